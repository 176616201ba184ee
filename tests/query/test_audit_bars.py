"""Bars against trades: compared where the trades are known to be all there, and only there."""

import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.events.batch import StreamKey
from collector.events.instants import iso_text
from collector.query.audit import run_audit
from collector.sinks.contract import AccountingState, Rows, SegmentState, SessionState, Value, WriteSet
from collector.sinks.sql.sink import SqlSink

sys.path.insert(0, str(Path(__file__).parents[1]))
from ready_tables import lay_tables

MINUTE_MS = 60_000
BEGIN_MS = 1_700_000_040_000  # a full minute
MS = 1_000_000
BTC = "BTC/USDT:USDT"
SESSION = SessionState("s", (BEGIN_MS - 60_000) * MS, "0", "h", 1, "{}", (BEGIN_MS + 400_000) * MS, "stop")
# at ms after the beginning, price, size, marked
TRADES = [
    (100, 50.0, 1.0, None),
    (20_000, 52.0, 0.5, None),
    (40_000, 49.0, 0.25, None),
    (59_999, 51.0, 1.0, None),
]
LIQUIDATION = (30_000, 90.0, 9.0, "INSURANCE_FUND")


def segment(number: int, channel: str, rows: int, start_ms: int, end_ms: int, **more: int) -> SegmentState:
    until_ms = more.get("until_ms", end_ms)
    return SegmentState(
        *(number, "s", "bybit", BTC, channel, start_ms * MS, end_ms * MS, until_ms * MS),
        *(None, None, rows, "connection", "stop"),
    )


def counted(channel: str, rows: int, rejected: int = 0) -> AccountingState:
    reasons = {"malformed": rejected} if rejected else {}
    return AccountingState(
        "s", "bybit", BTC, channel, received=rows + rejected, written=rows, rejected=reasons
    )


def common(at_ms: list[int], number: int) -> dict[str, list[Value]]:
    count = len(at_ms)
    return {
        "timestamp": [iso_text(at * MS) for at in at_ms],
        "exchange": ["bybit"] * count,
        "symbol": [BTC] * count,
        "received_at_ns": [at * MS for at in at_ms],
        "segment_id": [number] * count,
    }


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Path]:
    """Write a minute of trades and its bar."""

    def build(*, covered_from_ms: int = BEGIN_MS - 10_000, rejected: int = 0, **bar: float) -> Path:
        path = tmp_path / "live.db"
        trades = sorted([*TRADES, LIQUIDATION])
        at_ms = [BEGIN_MS + trade[0] for trade in trades]
        trade_rows: dict[str, list[Value]] = {
            **common([at + 5 for at in at_ms], 1),
            "kind": ["trade"] * len(trades),
            "trade_id": [f"t{at}" for at in at_ms],
            "price": [trade[1] for trade in trades],
            "size": [trade[2] for trade in trades],
            "side": ["buy"] * len(trades),
            "marked": [trade[3] for trade in trades],
            "exchange_timestamp": list(at_ms),
        }
        made = {"open": 50.0, "high": 52.0, "low": 49.0, "close": 51.0, "volume": 2.75, **bar}
        bar_rows: dict[str, list[Value]] = {
            **common([BEGIN_MS + MINUTE_MS], 2),
            "interval": ["1m"],
            "open_time": [BEGIN_MS],
            **{name: [value] for name, value in made.items()},
            "confirmed": [1],
        }
        last_ms = at_ms[-1] + 5
        end_ms = BEGIN_MS + MINUTE_MS
        sink = SqlSink(lay_tables(str(path)), synchronous="OFF")
        sink.open()
        sink.write(
            WriteSet(
                "b",
                SESSION,
                (Rows("trades", trade_rows), Rows("ohlcv", bar_rows)),
                (
                    segment(1, "trade", len(trades), covered_from_ms, last_ms, until_ms=end_ms + 30_000),
                    segment(2, "ohlcv.1m", 1, BEGIN_MS, end_ms),
                ),
                (counted("trade", len(trades), rejected), counted("ohlcv.1m", 1)),
            )
        )
        sink.close()
        return path

    return build


def test_a_bar_that_its_trades_make_is_sound(build: Callable[..., Path]) -> None:
    assert run_audit(build()).findings == ()


@pytest.mark.parametrize(
    ("bar", "text"),
    [
        ({"high": 53.0}, "high or low"),
        ({"low": 48.0}, "high or low"),
        ({"open": 51.0}, "open or close"),
        ({"close": 50.0}, "open or close"),
        ({"volume": 2.5}, "volume"),
        (
            {"volume": 11.75},
            "volume",
        ),  # with what was taken over by the insurance fund, which is no trade of a bar
    ],
)
def test_a_bar_that_says_otherwise_is_found(
    build: Callable[..., Path], bar: dict[str, float], text: str
) -> None:
    (found,) = run_audit(build(**bar)).findings
    assert found.check == "bars against trades"
    assert text in found.text
    assert "(id 1)" in found.text


def delay(path: Path, since_ms: int, late_ms: int) -> None:
    """Let the trades from some instant on be received late: the machine stood still."""
    change(
        path,
        f"UPDATE collector_trades SET received_at_ns = received_at_ns + {late_ms * MS}, "
        "timestamp = strftime('%Y-%m-%dT%H:%M:%f', (received_at_ns / 1000000 + "
        f"{late_ms}) / 1000.0, 'unixepoch') || '000Z' WHERE exchange_timestamp >= {BEGIN_MS + since_ms}",
    )
    change(
        path,
        "UPDATE collector_coverage SET end_ns = (SELECT max(received_at_ns) FROM collector_trades) "
        "WHERE channel = 'trade'",
    )


def test_a_bar_is_judged_by_what_was_stored_however_late(build: Callable[..., Path]) -> None:
    path = build()
    delay(path, 20_000, 10_000)
    assert run_audit(path).findings == ()
    change(path, "UPDATE collector_ohlcv SET volume = 7")
    (found,) = run_audit(path).findings
    assert "volume is not the sum of the trades" in found.text


def test_a_bar_whose_late_trades_may_have_been_under_way_at_the_end_is_not_judged(
    build: Callable[..., Path],
) -> None:
    path = build(volume=7.0)
    delay(path, 20_000, 29_000)
    assert run_audit(path).passed


def test_a_bar_whose_trades_were_not_seen_from_its_beginning_is_not_judged(
    build: Callable[..., Path],
) -> None:
    assert run_audit(build(covered_from_ms=BEGIN_MS + 50, volume=7.0)).passed


def test_a_bar_is_not_judged_by_trades_of_which_some_were_refused(build: Callable[..., Path]) -> None:
    assert run_audit(build(rejected=1, volume=7.0)).passed


def test_a_bar_that_is_not_over_is_not_judged(build: Callable[..., Path]) -> None:
    path = build(volume=7.0)
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE collector_ohlcv SET confirmed = 0")
    connection.close()
    assert run_audit(path).passed


def test_a_trade_whose_price_was_changed_shows_in_its_bar(build: Callable[..., Path]) -> None:
    path = build()
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE collector_trades SET price = 52.5 WHERE price = 52.0")
    connection.close()
    assert [one.check for one in run_audit(path).findings] == ["bars against trades"]


def tell_again(path: Path, received_ms: int = BEGIN_MS + 2 * MINUTE_MS, **bar: float) -> None:
    """Confirm the minute once more, as the writer would store it."""
    made = {"open": 50.0, "high": 52.0, "low": 49.0, "close": 51.0, "volume": 2.75, **bar}
    told: dict[str, list[Value]] = {
        **common([received_ms], 2),
        "interval": ["1m"],
        "open_time": [BEGIN_MS],
        **{name: [value] for name, value in made.items()},
        "confirmed": [1],
    }
    key = StreamKey("bybit", BTC, "ohlcv.1m")
    sink = SqlSink(str(path), synchronous="OFF")
    sink.open()
    states = segment(2, "ohlcv.1m", 1, BEGIN_MS, received_ms)
    sink.write(WriteSet("b2", SESSION, (Rows("ohlcv", told, key),), (states,), (counted("ohlcv.1m", 1),)))
    sink.close()


def change(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        assert connection.execute(statement).rowcount > 0
    connection.close()


def test_a_corrected_bar_is_held_against_its_trades_as_it_was_corrected(build: Callable[..., Path]) -> None:
    path = build(volume=7.0)
    tell_again(path)
    found = run_audit(path)
    assert found.findings == ()
    assert found.rows == len(TRADES) + 1 + 2  # and a liquidation, a bar and its correction


def test_a_correction_that_says_otherwise_than_the_trades_is_found(build: Callable[..., Path]) -> None:
    path = build()
    tell_again(path, high=53.0)
    (found,) = run_audit(path).findings
    assert found.text.startswith("collector_ohlcv_corrections: 1 row (id 1) whose high or low")


def test_what_came_late_and_stands_no_more_is_not_held_against_the_trades(build: Callable[..., Path]) -> None:
    path = build()
    tell_again(path, BEGIN_MS + MINUTE_MS - 1, volume=7.0)
    assert run_audit(path).findings == ()


def test_a_bar_told_again_unchanged_is_no_row(build: Callable[..., Path]) -> None:
    path = build()
    tell_again(path)
    found = run_audit(path)
    assert (found.findings, found.rows) == ((), len(TRADES) + 1 + 1)


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("DELETE FROM collector_ohlcv_corrections", "its segments say 2 rows, there are 1"),
        ("UPDATE collector_ohlcv_corrections SET low = 60, vwap = 1", "do not lie between low and high"),
        ("UPDATE collector_ohlcv_corrections SET vwap = 1", "vwap does not lie between low and high"),
        ("UPDATE collector_ohlcv_corrections SET segment_id = 9", "in no coverage segment"),
        ("UPDATE collector_ohlcv_corrections SET open_time = open_time + 1", "at no multiple"),
        ("UPDATE collector_ohlcv_corrections SET confirmed = 0", "of no confirmed bar"),
        ("UPDATE collector_ohlcv SET confirmed = 0", "of no confirmed bar"),
        ("DELETE FROM collector_ohlcv", "of no confirmed bar"),
    ],
)
def test_a_correction_that_was_spoilt_is_found(build: Callable[..., Path], statement: str, text: str) -> None:
    path = build()
    tell_again(path, volume=2.7500000000000004)
    assert run_audit(path).passed
    change(path, statement)
    assert text in " ".join(one.text for one in run_audit(path).findings)
