"""Bars that the exchange corrected: the latest by default, and what was known at an instant."""

import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector import load_ohlcv, windows
from collector.errors import QueryError
from collector.query import Asked, ShortReads
from collector.query.pages import bars_page

sys.path.insert(0, str(Path(__file__).parent))
from stored import START_NS, SYMBOL, insert, iso

MINUTE_NS = 60_000_000_000
FIRST, CORRECTIONS = "ohlcv", "ohlcv_corrections"
FEW = settings(
    max_examples=settings().max_examples // 3, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
# Minute, minutes until it was received, close.
Told = tuple[int, int, float]


def at(minutes: int) -> int:
    return START_NS + minutes * MINUTE_NS


def store(url: str, table: str, *told: Told, **changed: Any) -> None:
    if not told:
        return
    count = len(told)
    received = [at(minute + 1 + later) + 7 for minute, later, _ in told]
    close = [close for *_, close in told]
    columns = {
        "timestamp": [iso(one) for one in received],
        "received_at_ns": received,
        "open_time": [at(minute) // 1_000_000 for minute, *_ in told],
        **dict.fromkeys(("open", "high", "low", "close", "volume"), close),
    }
    alike = {"exchange": "bybit", "symbol": SYMBOL, "interval": "1m", "data_source": "simulator"}
    alike |= {"segment_id": 1, "confirmed": 1, **changed}
    insert(url, table, {**columns, **{name: [value] * count for name, value in alike.items()}})


def rows(frame: pd.DataFrame) -> list[tuple[int, int, float, int]]:
    """Return minute, minutes until it was received, close, corrected."""
    received = (frame.index.as_unit("ns").asi8 - START_NS - 7) // MINUTE_NS
    minutes = (frame["open_time"].astype("int64") - START_NS) // MINUTE_NS
    return [
        (int(minute), int(known - minute - 1), close, corrected)
        for minute, known, close, corrected in zip(
            minutes, received, frame["close"], frame["corrected"], strict=True
        )
    ]


def test_the_latest_is_returned_and_what_was_known_on_request(any_stored: str) -> None:
    store(any_stored, FIRST, (0, 0, 1.0), (1, 0, 2.0), (2, 0, 3.0))
    store(any_stored, CORRECTIONS, (1, 4, 2.5), (1, 9, 2.6))
    assert rows(load_ohlcv(any_stored, SYMBOL)) == [(0, 0, 1.0, 0), (2, 0, 3.0, 0), (1, 9, 2.6, 1)]
    chart = load_ohlcv(any_stored, SYMBOL, index="open_time")
    assert chart["close"].tolist() == [1.0, 2.6, 3.0]
    assert chart["corrected"].tolist() == [0, 1, 0]
    for as_of, closes in ((at(6), [1.0, 2.0, 3.0]), (at(6) + 7, [1.0, 2.5, 3.0]), (at(2) + 6, [1.0])):
        known = load_ohlcv(any_stored, SYMBOL, index="open_time", as_of=as_of)
        assert known["close"].tolist() == closes
    assert rows(load_ohlcv(any_stored, SYMBOL, as_of=at(5))) == [
        (0, 0, 1.0, 0),
        (1, 0, 2.0, 0),
        (2, 0, 3.0, 0),
    ]
    assert load_ohlcv(any_stored, SYMBOL, as_of=iso(at(6))).equals(
        load_ohlcv(any_stored, SYMBOL, as_of=at(6))
    )


def test_what_was_known_in_a_span_is_not_changed_by_what_came_after_it(any_stored: str) -> None:
    store(any_stored, FIRST, (0, 0, 1.0), (1, 0, 2.0))
    before = load_ohlcv(any_stored, SYMBOL, end=at(5))
    store(any_stored, CORRECTIONS, (1, 9, 2.5))
    pd.testing.assert_frame_equal(load_ohlcv(any_stored, SYMBOL, end=at(5)), before)
    assert rows(load_ohlcv(any_stored, SYMBOL, start=at(5))) == [(1, 9, 2.5, 1)]


@FEW
@given(
    told=st.dictionaries(
        st.integers(0, 3), st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True), min_size=1
    ),
    span=st.tuples(st.integers(-1, 6), st.integers(0, 6)),
    as_of=st.none() | st.integers(0, 9),
)
def test_bars_equal_the_oracle(
    stored_file: str, emptied: Any, told: dict[int, list[int]], span: tuple[int, int], as_of: int | None
) -> None:
    emptied(stored_file)
    all_told = [
        (minute, later, float(number))
        for minute, received in told.items()
        for number, later in enumerate(received)
    ]
    store(stored_file, FIRST, *(one for one in all_told if not one[2]))
    store(stored_file, CORRECTIONS, *(one for one in all_told if one[2]))
    start, end = at(span[0]), at(span[0] + span[1])
    as_of_ns = None if as_of is None else at(as_of) + 7
    for index in ("received_at", "open_time"):
        best: dict[int, Told] = {}
        for one in all_told:
            received = at(one[0] + 1 + one[1]) + 7
            is_in = start <= received < end if index == "received_at" else start <= at(one[0]) < end
            if is_in and (as_of_ns is None or received <= as_of_ns):
                best[one[0]] = max(best.get(one[0], one), one, key=lambda one: one[1])
        frame = load_ohlcv(
            stored_file, SYMBOL, exchange="bybit", start=start, end=end, as_of=as_of_ns, index=index
        )
        assert frame.index.is_monotonic_increasing
        found = zip(frame["close"].tolist(), frame["corrected"].tolist(), strict=True)
        expected = [(one[2], int(one[2] > 0)) for _, one in sorted(best.items())]
        assert (list(found) if index == "open_time" else sorted(found)) == (
            expected if index == "open_time" else sorted(expected)
        )


def step(url: str, detail: str) -> None:
    """Store the segments of bars before and after a step of the clock, 1 and 2."""
    count = {"witnessed": [0] * 2, "disagreed": [0] * 2, "rows": [1] * 2, "verification": ["connection"] * 2}
    stream = {"session_id": ["s"] * 2, "exchange": ["bybit"] * 2, "symbol": [SYMBOL] * 2}
    times = {name: [at(60), at(3)] for name in ("start_ns", "end_ns", "alive_until_ns")}
    causes = {"end_cause": ["clock_step", "stop"], "detail": [detail, ""]}
    own = {"segment_id": [1, 2], "channel": ["ohlcv.1m"] * 2}
    insert(url, "coverage", {**own, **stream, **count, **times, **causes})


def paged(url: str) -> list[float]:
    with ShortReads(url, limit_s=30.0).reading() as (connection, tables):
        page = bars_page(connection, tables, Asked("bybit", SYMBOL, limit=9), "1m")
    return [row[page.columns.index("close")] for row in page.rows]


def test_a_correction_is_the_later_one_also_where_the_clock_was_set_back(any_stored: str) -> None:
    """It bears an earlier stamp than what it corrects."""
    store(any_stored, FIRST, (0, 60, 1.0), (1, 60, 2.0))
    store(any_stored, CORRECTIONS, (0, 5, 1.5), segment_id=2)
    step(any_stored, "-3600.000 s")
    chart = load_ohlcv(any_stored, SYMBOL, index="open_time")
    assert chart["close"].tolist() == paged(any_stored) == [1.5, 2.0]
    assert chart["corrected"].tolist() == [1, 0]


def test_what_came_late_does_not_take_the_place_of_what_is_newer(any_stored: str) -> None:
    """A spool was brought in by which a bar was told before: there as a correction, and not the latest."""
    store(any_stored, FIRST, (0, 60, 1.0), (1, 60, 2.0))
    store(any_stored, CORRECTIONS, (0, 5, 1.5))
    chart = load_ohlcv(any_stored, SYMBOL, index="open_time")
    assert chart["close"].tolist() == paged(any_stored) == [1.0, 2.0]


def test_two_intervals_are_not_mixed_by_their_corrections(any_stored: str) -> None:
    store(any_stored, FIRST, (0, 0, 1.0))
    store(any_stored, FIRST, (0, 0, 5.0), interval="5m")
    store(any_stored, CORRECTIONS, (0, 8, 5.5), interval="5m")
    assert rows(load_ohlcv(any_stored, SYMBOL, interval="1m")) == [(0, 0, 1.0, 0)]
    assert rows(load_ohlcv(any_stored, SYMBOL, interval="5m")) == [(0, 8, 5.5, 1)]
    with pytest.raises(QueryError, match="more than one interval: '1m', '5m'"):
        load_ohlcv(any_stored, SYMBOL)
    assert load_ohlcv(any_stored, SYMBOL, interval="*", index="open_time")["close"].tolist() == [1.0, 5.5]


def test_a_bar_that_is_not_over_is_as_it_was_heard_of_last(stored_file: str) -> None:
    store(stored_file, FIRST, (0, 0, 1.0))
    store(stored_file, FIRST, (1, 3, 2.0), confirmed=0)
    frame = load_ohlcv(stored_file, SYMBOL, unconfirmed=True)
    assert frame[["confirmed", "corrected"]].to_numpy().tolist() == [[1, 0], [0, 0]]
    assert rows(load_ohlcv(stored_file, SYMBOL, unconfirmed=True, as_of=at(4))) == [(0, 0, 1.0, 0)]


def test_a_database_without_a_table_of_corrections_is_read(stored_file: str) -> None:
    store(stored_file, FIRST, (0, 0, 1.0))
    engine = sa.create_engine(f"sqlite:///{stored_file}")
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE collector_ohlcv_corrections")
    engine.dispose()
    assert rows(load_ohlcv(stored_file, SYMBOL, as_of=at(9))) == [(0, 0, 1.0, 0)]


def test_an_instant_that_is_none_is_refused(stored_file: str) -> None:
    with pytest.raises(QueryError, match="as_of is 'yesterday-ish'; expected an instant"):
        load_ohlcv(stored_file, SYMBOL, as_of="yesterday-ish")


def test_whether_a_bar_was_corrected_is_no_number_to_learn_from(stored_file: str) -> None:
    store(stored_file, FIRST, *((minute, 0, 1.0) for minute in range(4)))
    cut = windows(load_ohlcv(stored_file, SYMBOL, columns=["open_time", "close", "exchange_timestamp"]), 2)
    assert cut.columns == ("close",)
