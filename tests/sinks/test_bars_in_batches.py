"""Random states of bars, cut into batches anyhow, retried, with rows among them that no database takes."""

import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from bar_oracle import Oracle, State

from collector.database.tables import DEFAULT_TABLE_NAME, make_tables
from collector.errors import SinkError
from collector.events.batch import StreamKey
from collector.sinks.contract import AccountingState, Rows, SegmentState, SessionState, WriteSet
from collector.sinks.sql.sink import SqlSink
from collector.spool.codec import body_of, read_body
from collector.writer.poison import sift

sys.path.insert(0, str(Path(__file__).parents[1]))
from ready_tables import lay_tables

TABLES = make_tables(DEFAULT_TABLE_NAME)
SESSION = SessionState("s", 1, "0", "h", 1, "{}")
BAD = float("inf")
NUMBER = itertools.count(1)
STATES = st.lists(
    st.fixed_dictionaries(
        {
            "open_time": st.sampled_from([0, 0, 0, 1]),
            "confirmed": st.integers(0, 1),
            "received_at_ns": st.integers(1, 4),
            "close": st.sampled_from([*[1.0, 2.0, 2.0000000000000004] * 5, BAD]),
            "vwap": st.sampled_from([None, None, None, 1.0, 2.0]),
            "count": st.sampled_from([None, None, None, 7, 8]),
        }
    ),
    min_size=3,
    max_size=10,
)
CUTS = st.lists(st.integers(1, 9), max_size=4)
# An older state that comes late tells a number that the newest ones do not.
LATE = [
    {"open_time": 1, "confirmed": 0, "received_at_ns": at_ns, "close": 1.0, "vwap": vwap, "count": None}
    for at_ns, vwap in ((2, None), (1, 1.0), (2, None))
]
FEW = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Stream:
    """One stream of bars with a symbol of its own, so that all examples share a database."""

    def __init__(self, sink: SqlSink) -> None:
        self.sink = sink
        self.number = next(NUMBER)
        self.key = StreamKey("kraken", f"S{self.number}", "ohlcv.1m")
        self.batches = itertools.count()

    def write(self, states: Sequence[State], *, again: bool, spooled: bool) -> None:
        """Write a batch as the writer does: with its counts, bad rows sifted out; perhaps once more."""
        count, at_ns = len(states), [state["received_at_ns"] for state in states]
        columns: dict[str, list[Any]] = {
            "timestamp": [f"t{one}" for one in at_ns],
            "exchange": [self.key.exchange] * count,
            "symbol": [self.key.symbol] * count,
            "interval": ["1m"] * count,
            **{name: [1.0] * count for name in ("open", "high", "low", "volume")},
            **{name: [state[name] for state in states] for name in states[0]},
            "segment_id": [self.number] * count,
        }
        segment = SegmentState(
            *(self.number, "s", *self.key, min(at_ns), max(at_ns), max(at_ns)),
            *(None, None, count, "connection"),
        )
        batch = WriteSet(
            f"{self.number}/{next(self.batches)}",
            SESSION,
            (Rows("ohlcv", columns, self.key),),
            (segment,),
            (AccountingState("s", *self.key, received=count, written=count),),
        )
        if spooled:
            batch = replace(batch, rows=read_body(body_of(batch.rows)))
        if any(state["close"] == BAD for state in states):
            with pytest.raises(SinkError) as refused:
                self.sink.write(batch)
            assert not refused.value.transient
            batch = sift(batch, self.sink.refuses, 1).write_set
        self.sink.write(batch)
        if again:  # nobody heard of the commit
            assert self.sink.write(batch).repeated

    def check(self, oracle: Oracle, bad: int) -> None:
        """Hold what is stored and counted against the oracle."""
        told = ("open_time", "confirmed", "received_at_ns", "close", "vwap", "count")
        with self.sink._database.engine.connect() as connection:

            def rows(table: sa.Table, *order: str) -> list[dict[str, Any]]:
                question = sa.select(table).where(table.c.symbol == self.key.symbol)
                found = connection.execute(question.order_by(*(table.c[name] for name in order)))
                return [dict(row) for row in found.mappings()]

            bars = rows(TABLES.ohlcv, "open_time")
            corrections = rows(TABLES.ohlcv_corrections, "id")
            (counted,) = rows(TABLES.accounting, "symbol")
            segments = rows(TABLES.coverage, "start_ns")
        assert [{name: row[name] for name in told} for row in bars] == [
            {name: state[name] for name in told} for _, state in sorted(oracle.bars.items())
        ]
        assert [row["timestamp"] for row in bars] == [f"t{row['received_at_ns']}" for row in bars]
        assert [{name: row[name] for name in told} for row in corrections] == [
            {name: state[name] for name in told} for state in oracle.corrections
        ]
        in_segments = sum(segment["rows"] for segment in segments)
        assert in_segments == counted["written"] == len(bars) + len(corrections) == oracle.written
        assert any(segment["end_cause"] == "poison" for segment in segments) == (bad > 0)
        assert counted["merged"] == oracle.merged
        assert json.loads(counted["rejected_reasons"]) == ({"poison": bad} if bad else {})
        assert counted["received"] == oracle.written + oracle.merged + bad


def check_all_cuts(
    sink: SqlSink, states: list[State], cuts: list[int], *, again: bool, spooled: bool
) -> None:
    good = [state for state in states if state["close"] != BAD]
    oracle = Oracle()
    for state in good:
        oracle.tell(state | dict.fromkeys(("open", "high", "low", "volume"), 1.0))
    anyhow = sorted({0, len(states), *(cut for cut in cuts if cut < len(states))})
    for places in (anyhow, [0, len(states)], range(len(states) + 1)):
        stream = Stream(sink)
        for first, end in itertools.pairwise(places):
            stream.write(states[first:end], again=again, spooled=spooled)
        stream.check(oracle, len(states) - len(good))


@example(states=LATE, cuts=[1], again=False, spooled=False)
@settings(FEW, max_examples=settings().max_examples * 4 // 5)
@given(states=STATES, cuts=CUTS, again=st.booleans(), spooled=st.booleans())
def test_bars_come_out_the_same_however_they_are_cut_into_batches(
    file_sink: SqlSink, states: list[State], cuts: list[int], *, again: bool, spooled: bool
) -> None:
    check_all_cuts(file_sink, states, cuts, again=again, spooled=spooled)


@example(states=LATE, cuts=[1], again=False, spooled=False)
@settings(FEW, max_examples=settings().max_examples // 5)
@given(states=STATES, cuts=CUTS, again=st.booleans(), spooled=st.booleans())
def test_the_same_on_a_server(
    server_sink: SqlSink, states: list[State], cuts: list[int], *, again: bool, spooled: bool
) -> None:
    check_all_cuts(server_sink, states, cuts, again=again, spooled=spooled)


@pytest.fixture
def file_sink(tmp_path: Path) -> Iterator[SqlSink]:
    yield from opened(str(tmp_path / "live.db"))


@pytest.fixture
def server_sink(postgres_url: str) -> Iterator[SqlSink]:
    yield from opened(postgres_url)


def opened(url: str) -> Iterator[SqlSink]:
    sink = SqlSink(lay_tables(url), synchronous="OFF", auto_migrate=True)
    sink.open()
    yield sink
    sink.close()
