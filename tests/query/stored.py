"""Histories with holes: made up, stored in a real database, and answered slowly and obviously."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from hypothesis import strategies as st

from collector.database.engine import make_engine
from collector.database.tables import DEFAULT_TABLE_NAME, make_tables
from collector.database.url import database_url
from collector.sinks.sql import multi_row

sys.path.insert(0, str(Path(__file__).parents[1]))
from ready_tables import lay_tables

SYMBOL = "BTC/USDT:USDT"
START_NS = 1_700_000_000_000_000_000
STEP_NS = 1_000_000
FIRST_SEGMENT = 2**62 + 1  # no float holds it


@dataclass(frozen=True)
class Row:
    at_ns: int
    segment: int | None
    mid: float
    ofi: float | None = None
    quality: float = 1.0


@dataclass(frozen=True)
class Stored:
    rows: list[Row]
    alive_until_ns: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """What all rows of a history have in common."""

    symbol: str = SYMBOL
    exchange: str = "bybit"
    depth: int = 50
    source: str = "simulator"


def iso(at_ns: int) -> str:
    return pd.Timestamp(at_ns // 1000 * 1000, tz="UTC").strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def prepare(url: str) -> str:
    """Make the tables."""
    return lay_tables(url)


def insert(url: str, table: str, columns: dict[str, list[Any]]) -> None:
    """Put rows into one of the tables, whoever may have written them."""
    engine = make_engine(database_url(url), synchronous="OFF")
    try:
        with engine.begin() as connection:
            multi_row.insert(connection, getattr(make_tables(DEFAULT_TABLE_NAME), table), columns)
    finally:
        engine.dispose()


def write(url: str, stored: Stored, facts: Facts | None = None) -> None:
    """Store a history of book rows and the segments that it says."""
    facts = facts or Facts()
    rows = stored.rows
    insert(
        url,
        "hot",
        {
            "timestamp": [iso(row.at_ns) for row in rows],
            "symbol": [facts.symbol] * len(rows),
            "exchange": [facts.exchange] * len(rows),
            "mid_price": [row.mid for row in rows],
            "sequence": [None if row.mid % 7 == 0 else 2**60 + place for place, row in enumerate(rows)],
            "exchange_timestamp": [row.at_ns // 1_000_000 for row in rows],
            "data_source": [facts.source] * len(rows),
            "data_quality_score": [row.quality for row in rows],
            "received_at_ns": [None if row.segment is None else row.at_ns for row in rows],
            "segment_id": [row.segment for row in rows],
            "depth": [facts.depth] * len(rows),
            "ofi": [row.ofi for row in rows],
        },
    )
    cover(url, stored, f"book.{facts.depth}", facts)


def cover(url: str, stored: Stored, channel: str, facts: Facts) -> None:
    """Store the segments of a history."""
    numbers = list(stored.alive_until_ns)
    own = {number: [row.at_ns for row in stored.rows if row.segment == number] for number in numbers}
    if not numbers:
        return
    insert(
        url,
        "coverage",
        {
            "segment_id": numbers,
            "session_id": ["s" if facts.source == "simulator" else f"s {facts.source}"] * len(numbers),
            "exchange": [facts.exchange] * len(numbers),
            "symbol": [facts.symbol] * len(numbers),
            "channel": [channel] * len(numbers),
            "start_ns": [own[number][0] for number in numbers],
            "end_ns": [own[number][-1] for number in numbers],
            "alive_until_ns": [stored.alive_until_ns[number] for number in numbers],
            "rows": [len(own[number]) for number in numbers],
            "witnessed": [0] * len(numbers),
            "disagreed": [0] * len(numbers),
            "verification": ["sequence"] * len(numbers),
            "end_cause": ["sequence_gap"] * len(numbers),
        },
    )


@st.composite
def histories(draw: st.DrawFn, *, first_segment: int = FIRST_SEGMENT) -> Stored:
    """Some segments, one after the other, each with rows and then a while alive."""
    at_ns = START_NS
    rows: list[Row] = []
    alive: dict[int, int] = {}
    for segment in range(first_segment, first_segment + draw(st.integers(1, 4))):
        for place in range(draw(st.integers(1, 6))):
            at_ns += draw(st.sampled_from([1, 300, STEP_NS // 2, STEP_NS, 3 * STEP_NS // 2]))
            mid = float(draw(st.integers(1, 1000)))
            flow = None if place == 0 else draw(st.floats(-5, 5))
            rows.append(Row(at_ns, segment, mid, flow, draw(st.sampled_from([1.0, 1.0, 0.4]))))
        at_ns += draw(st.integers(0, 3)) * STEP_NS
        alive[segment] = at_ns
        at_ns += draw(st.sampled_from([1, STEP_NS, 4 * STEP_NS]))
    return Stored(rows, alive)


@dataclass(frozen=True)
class State:
    mid: float
    segment: int | None
    flow: float
    quality: float
    is_covered: bool


def state_at(stored: Stored, edge_ns: int, step_ns: int = STEP_NS) -> State | None:
    """Answer what stood at an instant: the last row at or before it, verified while its segment was alive."""
    before = [row for row in stored.rows if row.at_ns <= edge_ns]
    if not before:
        return None
    last = before[-1]
    flow = 0.0
    for row in before:
        if row.segment == last.segment and row.at_ns > edge_ns - step_ns and row.ofi is not None:
            flow += row.ofi
    alive = last.segment is not None and edge_ns <= stored.alive_until_ns[last.segment]
    return State(last.mid, last.segment, flow, last.quality, alive)
