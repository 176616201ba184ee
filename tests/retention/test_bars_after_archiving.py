"""Bars beside a day whose trades were moved to a file: `verify` calls none wrong for what it does not see."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collector.query.audit import run_audit
from collector.retention.move import Retention, archive_slices
from collector.sinks.contract import AccountingState, Rows, SegmentState, SessionState, WriteSet
from collector.sinks.sql.sink import SqlSink

sys.path.insert(0, str(Path(__file__).parent))
from archiving import DAY_NS, MIDNIGHT_NS, TABLE, ask, work

sys.path.insert(0, str(Path(__file__).parents[1] / "query"))
from stored import iso

sys.path.insert(0, str(Path(__file__).parents[1]))
from ready_tables import lay_tables

pytest.importorskip("pyarrow")
S_NS, MINUTE_NS, MS_NS = 10**9, 60 * 10**9, 10**6
BEGIN_NS = MIDNIGHT_NS + DAY_NS - 3 * MINUTE_NS  # three minutes before a midnight, and three after it
MINUTES = range(6)
STREAM = ("bybit", "BTC/USDT")
OF_TRADES, OF_BARS = 7, 8
SESSION = SessionState("s", BEGIN_NS - MINUTE_NS, "1", "host", 1, "{}", BEGIN_NS + 7 * MINUTE_NS, "stop")
# Seconds into each minute. The last trade of a minute is received in the next one.
TRADED_S = (0.25, 20.0, 40.0, 59.95)
DELAY_NS = 100 * MS_NS


def price(at_ns: int) -> float:
    return 100.0 + at_ns // (50 * MS_NS) % 977


def traded_ns(minute: int) -> list[int]:
    return [BEGIN_NS + minute * MINUTE_NS + round(second * S_NS) for second in TRADED_S]


def rows_of(table: str, received: list[int], segment: int, **columns: Any) -> Rows:
    count = len(received)
    alike = {"exchange": STREAM[0], "symbol": STREAM[1], "segment_id": segment, "data_source": "simulator"}
    return Rows(
        table,
        {
            "timestamp": [iso(one) for one in received],
            "received_at_ns": received,
            **{name: [value] * count for name, value in alike.items()},
            **columns,
        },
    )


def trades() -> Rows:
    at = [one for minute in MINUTES for one in traded_ns(minute)]
    count = len(at)
    return rows_of(
        "trades",
        [one + DELAY_NS for one in at],
        OF_TRADES,
        kind=["trade"] * count,
        trade_id=[str(1000 + number) for number in range(count)],
        price=[price(one) for one in at],
        size=[1.0] * count,
        side=["buy"] * count,
        exchange_timestamp=[one // MS_NS for one in at],
    )


def bars() -> Rows:
    told = [[price(one) for one in traded_ns(minute)] for minute in MINUTES]
    return rows_of(
        "ohlcv",
        [BEGIN_NS + (minute + 1) * MINUTE_NS + DELAY_NS for minute in MINUTES],
        OF_BARS,
        interval=["1m"] * len(MINUTES),
        open_time=[(BEGIN_NS + minute * MINUTE_NS) // MS_NS for minute in MINUTES],
        open=[one[0] for one in told],
        high=[max(one) for one in told],
        low=[min(one) for one in told],
        close=[one[-1] for one in told],
        volume=[float(len(one)) for one in told],
        confirmed=[1] * len(MINUTES),
    )


def covered(number: int, channel: str, rows: Rows) -> SegmentState:
    ends_ns = BEGIN_NS - 10 * S_NS, max(rows.columns["received_at_ns"]), BEGIN_NS + 7 * MINUTE_NS  # type: ignore[type-var]
    numbers = (None, None, len(rows), "connection", "stop")
    return SegmentState(number, "s", *STREAM, channel, *ends_ns, *numbers)  # type: ignore[arg-type]


@pytest.fixture
def archived(tmp_path: Path) -> str:
    """Store six minutes around a midnight, and move the first day to files."""
    url = str(tmp_path / "live.db")
    sink = SqlSink(lay_tables(url), auto_migrate=True, synchronous="OFF")
    sink.open()
    own = {"trade": (OF_TRADES, trades()), "ohlcv.1m": (OF_BARS, bars())}
    sink.write(
        WriteSet(
            "b",
            SESSION,
            tuple(rows for _, rows in own.values()),
            tuple(covered(number, channel, rows) for channel, (number, rows) in own.items()),
            tuple(
                AccountingState("s", *STREAM, channel, received=len(rows), written=len(rows))
                for channel, (_, rows) in own.items()
            ),
        )
    )
    sink.close()
    assert run_audit(url).passed
    now = datetime.fromtimestamp((MIDNIGHT_NS + 2.5 * DAY_NS) / 1e9, UTC)
    moved = work(url, archive_slices(url, TABLE, Retention(1.0, tmp_path), lambda: now))
    assert moved == 3 * len(TRADED_S) - 1  # the last of the day was received on the next one
    return url


def found_in(url: str) -> list[str]:
    return [one.text for one in run_audit(url).findings]


def test_a_bar_whose_trades_are_in_a_file_in_part_is_not_called_wrong(archived: str) -> None:
    assert found_in(archived) == []


def test_the_others_are_held_against_their_trades_as_before(archived: str) -> None:
    midnight_ms = (MIDNIGHT_NS + DAY_NS) // MS_NS
    ask(archived, f"UPDATE collector_ohlcv SET volume = volume + 1 WHERE open_time > {midnight_ms}")
    (text,) = found_in(archived)
    assert text == "collector_ohlcv: 2 rows (id 5, 6) whose volume is not the sum of the trades"
