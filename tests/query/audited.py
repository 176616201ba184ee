"""A small sound database, written as the collector writes it: a book with its levels, trades and a bar."""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from collector.database.tables import ROW_COLUMNS
from collector.events.instants import iso_text
from collector.query.audit import run_audit
from collector.sinks.contract import AccountingState, Rows, SegmentState, SessionState, Value, WriteSet
from collector.sinks.sql.sink import SqlSink

sys.path.insert(0, str(Path(__file__).parents[1]))
from ready_tables import lay_tables

HOT, LEVELS, TRADES, BARS = (
    "l2_training_data_practical",
    "collector_l2_levels",
    "collector_trades",
    "collector_ohlcv",
)

MS = 1_000_000
MINUTE_MS = 60_000
BEGIN_MS = 1_700_000_040_000  # a full minute
MARKET = ("bybit", "BTC/USDT")
END_MS = BEGIN_MS + MINUTE_MS
SESSION = SessionState("s", (BEGIN_MS - 60_000) * MS, "0", "h", 1, "{}", (END_MS + 60_000) * MS, "stop")
OF_BOOK, OF_TRADES, OF_BARS = 11, 12, 13  # segments
# bid size, ask size and order flow of each row; bid 99 and ask 101, further levels one apart with a size of 1
STATES = [(2.0, 2.0, None), (4.0, 2.0, 2.0), (4.0, 1.0, 1.0), (4.0, 4.0, -3.0)]
# ms after the beginning, price, size
TRADED = [(100, 50.0, 1.0), (20_000, 52.0, 0.5), (40_000, 49.0, 0.25), (59_999, 51.0, 1.0)]


def write_sound(path: Path) -> Path:
    """Write it, with one session that has ended."""
    sink = SqlSink(lay_tables(str(path)), synchronous="OFF")
    sink.open()
    sink.write(
        WriteSet(
            "b",
            SESSION,
            (_book(), _levels(), _trades(), _bar()),
            (
                _segment(
                    OF_BOOK, "book.10", _at_ms(0), _at_ms(len(STATES) - 1), 5, 8, len(STATES), "sequence"
                ),
                _segment(
                    OF_TRADES,
                    "trade",
                    BEGIN_MS - 10_000,
                    BEGIN_MS + TRADED[-1][0] + 5,
                    None,
                    None,
                    4,
                    "sequence",
                ),
                _segment(OF_BARS, "ohlcv.1m", BEGIN_MS, END_MS, None, None, 1, "connection"),
            ),
            tuple(
                _counted(channel, rows) for channel, rows in (("book.10", 4), ("trade", 4), ("ohlcv.1m", 1))
            ),
        )
    )
    sink.close()
    return path


def _at_ms(place: int) -> int:
    return BEGIN_MS + 10 * place


def _segment(
    number: int,
    channel: str,
    start_ms: int,
    end_ms: int,
    first: int | None,
    last: int | None,
    rows: int,
    by: str,
) -> SegmentState:
    until_ns = (END_MS + 30_000) * MS
    span = start_ms * MS, end_ms * MS, until_ns
    return SegmentState(number, "s", *MARKET, channel, *span, first, last, rows, by, "stop")


def _counted(channel: str, rows: int) -> AccountingState:
    return AccountingState("s", *MARKET, channel, received=rows, written=rows)


def _common(at_ms: list[int], segment: int) -> dict[str, list[Value]]:
    count = len(at_ms)
    return {
        "timestamp": [iso_text(at * MS) for at in at_ms],
        "exchange": [MARKET[0]] * count,
        "symbol": [MARKET[1]] * count,
        "received_at_ns": [at * MS for at in at_ms],
        "segment_id": [segment] * count,
    }


def _of_book() -> dict[str, list[Value]]:
    places = range(len(STATES))
    return {
        **_common([_at_ms(place) for place in places], OF_BOOK),
        "depth": [10] * len(STATES),
        "sequence": [5 + place for place in places],
        "data_source": ["simulator"] * len(STATES),
    }


def _book() -> Rows:
    sizes = [(bid, ask) for bid, ask, _ in STATES]
    columns: dict[str, list[Value]] = {
        **_of_book(),
        "bid_price_1": [99.0] * 4,
        "bid_size_1": [bid for bid, _ in sizes],
        "ask_price_1": [101.0] * 4,
        "ask_size_1": [ask for _, ask in sizes],
        "total_bid_volume_10": [bid + 9.0 for bid, _ in sizes],
        "total_ask_volume_10": [ask + 9.0 for _, ask in sizes],
        "mid_price": [100.0] * 4,
        "spread": [2.0] * 4,
        "spread_bps": [200.0] * 4,
        "microprice": [(99.0 * ask + 101.0 * bid) / (bid + ask) for bid, ask in sizes],
        "order_book_imbalance": [(bid - ask) / (bid + ask + 18.0) for bid, ask in sizes],
        "ofi": [flow for _, _, flow in STATES],
        "data_quality_score": [1.0] * 4,
    }
    return Rows("book", {name: columns.get(name, [None] * 4) for name in ROW_COLUMNS})


def _levels() -> Rows:
    columns: dict[str, list[Value]] = _of_book()
    for level in range(1, 11):
        columns[f"bid_price_{level}"] = [100.0 - level] * 4
        columns[f"ask_price_{level}"] = [100.0 + level] * 4
        columns[f"bid_size_{level}"] = [bid if level == 1 else 1.0 for bid, _, _ in STATES]
        columns[f"ask_size_{level}"] = [ask if level == 1 else 1.0 for _, ask, _ in STATES]
    for levels in (5, 10):
        more = 2.0 * (levels - 1)
        columns[f"imbalance_{levels}"] = [(bid - ask) / (bid + ask + more) for bid, ask, _ in STATES]
    columns["ofi_1"] = [flow for _, _, flow in STATES]
    return Rows("levels", columns)


def _trades() -> Rows:
    at_ms = [BEGIN_MS + trade[0] for trade in TRADED]
    columns: dict[str, list[Value]] = {
        **_common([at + 5 for at in at_ms], OF_TRADES),
        "kind": ["trade"] * 4,
        "trade_id": ["1001", "1002", "1003", "1004"],
        "price": [trade[1] for trade in TRADED],
        "size": [trade[2] for trade in TRADED],
        "side": ["buy", "sell"] * 2,
        "exchange_timestamp": list(at_ms),
    }
    return Rows("trades", columns)


def _bar() -> Rows:
    columns: dict[str, list[Value]] = {
        **_common([END_MS], OF_BARS),
        "interval": ["1m"],
        "open_time": [BEGIN_MS],
        **{name: [price] for name, price in (("open", 50.0), ("high", 52.0), ("low", 49.0), ("close", 51.0))},
        "volume": [2.75],
        "vwap": [50.5],
        "confirmed": [1],
    }
    return Rows("ohlcv", columns)


def damage(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for one in statements:
            assert connection.execute(one).rowcount != 0, "nothing was damaged"


def found(path: Path) -> list[tuple[str, str]]:
    return [(one.check, one.text) for one in run_audit(path).findings]
