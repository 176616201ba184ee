"""What REST brings of a stream that comes live too: its own rows and segment, one account, nothing twice."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from ready_tables import lay_tables
from two_origins import BEGIN_MS, LAG_NS, MINUTE_MS, MINUTES, NS_A_MS, TRADES, TwoOrigins

from collector.database.engine import make_engine
from collector.database.url import database_url

LATER_MS = BEGIN_MS + 3_600_000


@pytest.fixture
def both(any_database: str) -> Iterator[TwoOrigins]:
    made = TwoOrigins(lay_tables(any_database))
    yield made
    made.stop()


def rows(both: TwoOrigins, table: str, order: str = "id") -> list[dict[str, Any]]:
    engine = make_engine(database_url(both.url))
    with engine.connect() as connection:
        found = connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY {order}").mappings()
        listed = [dict(row) for row in found]
    engine.dispose()
    return listed


def test_a_trade_that_rest_brings_stands_at_its_exchange_time_and_keeps_its_receipt(
    both: TwoOrigins,
) -> None:
    live = both.open(TRADES, BEGIN_MS)
    both.trades(live, [(1, BEGIN_MS + 10)])
    filled = both.open(TRADES, BEGIN_MS + 20, "rest")
    both.trades(filled, [(2, BEGIN_MS + 1_000), (3, BEGIN_MS + 2_000)], LATER_MS)
    both.flush()
    found = [
        (row["trade_id"], row["origin"], row["timestamp"], row["received_at_ns"], row["segment_id"])
        for row in rows(both, "collector_trades", "trade_id")
    ]
    assert found == [
        ("1", None, "2026-01-01T00:00:00.015000Z", (BEGIN_MS + 10) * NS_A_MS + LAG_NS, live),
        ("2", "rest", "2026-01-01T00:00:01.000000Z", LATER_MS * NS_A_MS, filled),
        ("3", "rest", "2026-01-01T00:00:02.000000Z", LATER_MS * NS_A_MS, filled),
    ]


def test_a_bar_that_rest_brings_stands_at_its_end(both: TwoOrigins) -> None:
    filled = both.open(MINUTES, BEGIN_MS, "rest")
    both.bars(filled, [BEGIN_MS, BEGIN_MS + MINUTE_MS], LATER_MS)
    both.flush()
    found = [
        (row["origin"], row["timestamp"], row["exchange_timestamp"], row["received_at_ns"])
        for row in rows(both, "collector_ohlcv")
    ]
    ends = ["2026-01-01T00:01:00.000000Z", "2026-01-01T00:02:00.000000Z"]
    assert found == [
        ("rest", end, BEGIN_MS + number * MINUTE_MS, LATER_MS * NS_A_MS) for number, end in enumerate(ends, 1)
    ]


def test_a_filled_segment_lies_in_exchange_time(both: TwoOrigins) -> None:
    filled = both.open(TRADES, BEGIN_MS, "rest")
    both.trades(filled, [(2, BEGIN_MS + 1_000), (3, BEGIN_MS + 2_000)], LATER_MS)
    both.flush()
    both.trades(filled, [(4, BEGIN_MS + 3_000)], LATER_MS + 1)
    both.close(filled, BEGIN_MS + 4_000, "filled")
    both.flush()
    (segment,) = rows(both, "collector_coverage", "segment_id")
    assert {name: segment[name] for name in ("start_ns", "end_ns", "alive_until_ns")} == {
        "start_ns": BEGIN_MS * NS_A_MS,
        "end_ns": (BEGIN_MS + 3_000) * NS_A_MS,
        "alive_until_ns": (BEGIN_MS + 4_000) * NS_A_MS,
    }
    assert (segment["rows"], segment["first_sequence"], segment["last_sequence"]) == (3, 2, 4)
    assert (segment["verification"], segment["end_cause"]) == ("rest", "filled")


def test_a_filled_segment_is_whole_as_far_as_it_goes_at_any_moment(both: TwoOrigins) -> None:
    """No kill leaves one that looks as if a live stream had broken."""
    filled = both.open(TRADES, BEGIN_MS, "rest", "sequence")
    both.trades(filled, [(2, BEGIN_MS + 1_000)], LATER_MS)
    both.flush()
    (segment,) = rows(both, "collector_coverage", "segment_id")
    assert (segment["verification"], segment["end_cause"]) == ("sequence", "filled")
    assert segment["alive_until_ns"] == (BEGIN_MS + 1_000) * NS_A_MS


def test_what_is_there_live_is_merged_and_taken_off_the_segment_that_brought_it_again(
    both: TwoOrigins,
) -> None:
    live = both.open(TRADES, BEGIN_MS)
    both.trades(live, [(1, BEGIN_MS + 10)])
    both.flush()
    filled = both.open(TRADES, BEGIN_MS, "rest")
    both.trades(filled, [(1, BEGIN_MS + 10), (2, BEGIN_MS + 20)], LATER_MS)
    both.trades(live, [(7, LATER_MS), (8, LATER_MS + 1), (9, LATER_MS + 2)])  # in the same transaction
    both.flush()
    assert [row["origin"] for row in rows(both, "collector_trades", "trade_id")] == [
        *(None, "rest"),
        *[None] * 3,
    ]
    counted = {row["segment_id"]: row["rows"] for row in rows(both, "collector_coverage", "segment_id")}
    assert counted == {live: 4, filled: 1}
    (account,) = rows(both, "collector_accounting", "channel")
    assert (account["received"], account["written"], account["merged"]) == (6, 5, 1)
    seen, _ = both.buffer.snapshot()
    assert [counts.received for counts, _ in seen.values()] == [6]


def test_rejections_of_both_are_one_account(both: TwoOrigins) -> None:
    live, filled = (both.buffer.register(TRADES, None, origin) for origin in (None, "rest"))
    assert live != filled
    both.buffer.count_rejected(live, 1, "malformed")
    both.buffer.count_rejected(filled, 1, "malformed")
    both.buffer.count_rejected(filled, 2, "stale")
    both.flush()
    (account,) = rows(both, "collector_accounting", "channel")
    assert (account["received"], account["rejected"]) == (3, 3)
    assert account["rejected_reasons"] == '{"malformed": 2, "stale": 1}'


def test_bars_confirmed_live_stay_and_others_are_completed(both: TwoOrigins) -> None:
    first, second, third = (BEGIN_MS + number * MINUTE_MS for number in range(3))
    live = both.open(MINUTES, BEGIN_MS)
    both.bars(live, [first, third])
    both.bars(live, [second], confirmed=False, close=90.0)
    both.flush()
    filled = both.open(MINUTES, BEGIN_MS, "rest")
    both.bars(filled, [first, second], LATER_MS)
    both.bars(filled, [third], LATER_MS, close=101.0)
    both.flush()
    found = [
        (row["open_time"], row["origin"], row["segment_id"], row["close"], row["confirmed"])
        for row in rows(both, "collector_ohlcv", "open_time")
    ]
    assert found == [
        (first, None, live, 100.0, 1),
        (second, "rest", filled, 100.0, 1),
        (third, None, live, 100.0, 1),
    ]
    (corrected,) = rows(both, "collector_ohlcv_corrections")
    assert (corrected["open_time"], corrected["close"], corrected["origin"]) == (third, 101.0, "rest")
    assert corrected["timestamp"] == "2026-01-01T00:03:00.000000Z"


def test_a_live_state_takes_the_place_and_the_origin_of_one_that_rest_brought(both: TwoOrigins) -> None:
    filled = both.open(MINUTES, BEGIN_MS, "rest")
    both.bars(filled, [BEGIN_MS], BEGIN_MS + 30_000, confirmed=False)
    both.flush()
    live = both.open(MINUTES, BEGIN_MS)
    both.bars(live, [BEGIN_MS], close=104.0)
    both.flush()
    (bar,) = rows(both, "collector_ohlcv")
    assert (bar["origin"], bar["segment_id"], bar["close"]) == (None, live, 104.0)


def test_only_rows_of_rest_name_their_origin(both: TwoOrigins) -> None:
    """The column is left out of what is live, which costs nothing there."""
    live = both.open(TRADES, BEGIN_MS)
    both.trades(live, [(1, BEGIN_MS)])
    (write_set,) = both.preparation.write_sets(both.buffer.swap(), extend_alive=True)
    (trades,) = write_set.rows
    assert "origin" not in trades.columns
    assert both.sink.write(write_set).merged == {}
