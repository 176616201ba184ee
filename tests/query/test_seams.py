"""Where aggregates fill holes of single trades: whatever was under way at the seams counts once."""

import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1]))
from ready_tables import lay_tables
from two_origins import BEGIN_MS, NS_A_MS, SYMBOL, TRADES, TwoOrigins

from collector import load_trades
from collector.database import DEFAULT_TABLE_NAME, database_url, make_engine
from collector.query.audit import run_audit
from collector.retention.move import Retention, archive_slices

FIRST_ID, FIRST_AGGREGATE = 50_000, 9_000
BEYOND_MS = 10_000  # REST is asked for so much at both ends of a hole
LATER_MS = BEGIN_MS + 24 * 3_600_000


class Single(NamedTuple):
    """A trade; those of one order have its time and price."""

    number: int
    order: int
    at_ms: int
    size: Decimal


def made(orders: Sequence[tuple[int, Sequence[int]]]) -> list[Single]:
    """Number the trades of orders, each given by the time since the one before and its sizes."""
    times_ms = accumulate((after_ms for after_ms, _ in orders), initial=BEGIN_MS + 20_000)
    next(times_ms)
    of_orders = [
        (order, at_ms, size)
        for order, ((_, sizes), at_ms) in enumerate(zip(orders, times_ms, strict=True))
        for size in sizes
    ]
    return [
        Single(FIRST_ID + number, order, at_ms, Decimal(size) / 1000)
        for number, (order, at_ms, size) in enumerate(of_orders)
    ]


def price_of(order: int) -> float:
    return 100.0 + order


def store_live(both: TwoOrigins, trades: Sequence[Single], missed: set[int], lag_ms: int) -> None:
    """Store what came live, by a clock of our own: a segment for each run of trades without a hole."""
    runs: list[list[Single]] = [[]]
    for one in trades:
        if one.number in missed:
            runs.append([])
        else:
            runs[-1].append(one)
    for run in filter(None, runs):
        segment, stream = both.open(TRADES, run[0].at_ms + lag_ms), both.buffer.register(TRADES, None, None)
        for one in run:
            integers = ((one.at_ms + lag_ms) * NS_A_MS, one.at_ms, one.number, stream, segment, 1, 0)
            numbers = price_of(one.order), float(one.size)
            both.buffer.append_trade(both._count(stream), numbers, integers, str(one.number), None)
        both.close(segment, run[-1].at_ms + lag_ms, "disconnect")
    both.flush()


def fill(both: TwoOrigins, trades: Sequence[Single], missed: Sequence[int]) -> None:
    """Let REST bring the aggregates around a hole."""
    of = {one.number: one for one in trades}
    start_ms, end_ms = of[missed[0]].at_ms - BEYOND_MS, of[missed[-1]].at_ms + BEYOND_MS
    segment, stream = both.open(TRADES, start_ms, "rest"), both.buffer.register(TRADES, None, "rest")
    for order in sorted({one.order for one in trades if start_ms <= one.at_ms <= end_ms}):
        own = [one for one in trades if one.order == order]
        number = FIRST_AGGREGATE + order
        integers = (LATER_MS * NS_A_MS, own[0].at_ms, number, stream, segment, 1, 1)
        numbers = price_of(order), float(sum(one.size for one in own))
        singles = own[0].number, own[-1].number
        both.buffer.append_trade(both._count(stream), numbers, integers, str(number), None, singles)
    both.close(segment, end_ms, "filled")
    both.flush()


def loaded(url: str, **asked: object) -> dict[int, Decimal]:
    """Sum up what is loaded of each order."""
    frame = load_trades(url, SYMBOL, columns=["price", "size"], **asked)
    found: dict[int, Decimal] = {}
    for price, size in zip(frame["price"].tolist(), frame["size"].tolist(), strict=True):
        order = round(price - 100.0)
        found[order] = found.get(order, Decimal(0)) + Decimal(repr(size))
    return found


def true(trades: Sequence[Single]) -> dict[int, Decimal]:
    found: dict[int, Decimal] = {}
    for one in trades:
        found[one.order] = found.get(one.order, Decimal(0)) + one.size
    return found


ORDERS = st.lists(
    st.tuples(st.integers(0, 4_000), st.lists(st.integers(1, 5_000), min_size=1, max_size=5)),
    min_size=12,
    max_size=25,
)


@settings(max_examples=settings().max_examples // 8, suppress_health_check=[HealthCheck.too_slow])
@given(ORDERS, st.data(), st.integers(-700, 700))
def test_the_sums_are_those_of_the_exchange_wherever_the_seams_are(
    orders: list[tuple[int, list[int]]], data: st.DataObject, lag_ms: int
) -> None:
    trades = made(orders)
    numbers = [one.number for one in trades]
    holes = []
    for _ in range(data.draw(st.integers(1, 3), "holes")):
        begin = data.draw(st.integers(1, len(numbers) - 2), "begin")
        holes.append(numbers[begin : min(begin + data.draw(st.integers(1, 12), "length"), len(numbers) - 1)])
    with tempfile.TemporaryDirectory() as folder:
        both = TwoOrigins(lay_tables(str(Path(folder) / "live.db")))
        store_live(both, trades, {one for hole in holes for one in hole}, lag_ms)
        for hole in holes:
            fill(both, trades, hole)
        both.stop()
        assert loaded(both.url) == true(trades)
        both.sink.close()


@pytest.fixture
def one_order(tmp_path: Path) -> tuple[str, list[Single]]:
    """Store an order of five trades, of which the first two and the last came live, between two others."""
    trades = made([(1_000, [1]), (1_000, [10, 20, 30, 40, 50]), (1_000, [2])])
    both = TwoOrigins(lay_tables(str(tmp_path / "live.db")))
    missed = [one.number for one in trades[3:5]]
    store_live(both, trades, set(missed), 40)
    fill(both, trades, missed)
    both.stop()
    both.sink.close()
    return both.url, trades


def test_an_aggregate_is_cut_down_to_what_is_missing(one_order: tuple[str, list[Single]]) -> None:
    url, trades = one_order
    frame = load_trades(url, SYMBOL, columns=["kind", "size", "first_trade_id"])
    of_order = frame[frame["kind"] == "agg"]
    assert of_order["size"].tolist() == [0.07]
    assert of_order["first_trade_id"].tolist() == [FIRST_ID + 1]
    assert loaded(url) == true(trades)
    assert load_trades(url, SYMBOL, kind="agg")["size"].tolist() == [0.001, 0.15, 0.002]
    assert len(load_trades(url, SYMBOL, kind="trade")) == 5
    assert list(run_audit(url).findings) == []


def test_a_part_of_the_time_shows_the_same(one_order: tuple[str, list[Single]]) -> None:
    url, trades = one_order
    start_ns = (trades[1].at_ms - 1) * NS_A_MS
    found = loaded(url, start=start_ns, end=start_ns + 200 * NS_A_MS)
    assert found == {1: Decimal("0.15")}


def test_the_same_is_read_from_the_archive(one_order: tuple[str, list[Single]], tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    url, trades = one_order
    now = datetime.fromtimestamp(BEGIN_MS / 1e3, UTC) + timedelta(days=5)
    engine = make_engine(database_url(url), synchronous="OFF")
    with engine.connect() as connection:
        slices = archive_slices(url, DEFAULT_TABLE_NAME, Retention(1.0, tmp_path / "archive"), lambda: now)
        moved = sum(one(connection) for one in slices)
    engine.dispose()
    assert moved >= len(trades)
    assert loaded(url) == true(trades)


def test_without_ids_their_time_decides(one_order: tuple[str, list[Single]]) -> None:
    """So it was stored before aggregates said which trades are in them."""
    url, _ = one_order
    with sqlite3.connect(url) as database:
        database.execute("UPDATE collector_trades SET first_trade_id = NULL, last_trade_id = NULL")
    database.close()
    assert loaded(url)[1] == Decimal("0.08")  # as it is dated, all of it was covered
