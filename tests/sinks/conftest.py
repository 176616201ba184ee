"""Batches to write, and a sink that is closed again."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.database.tables import ROW_COLUMNS
from collector.sinks.contract import Rows, SessionState, Value, WriteSet
from collector.sinks.sql.sink import SqlSink

sys.path.insert(0, str(Path(__file__).parents[1]))
from ready_tables import lay_tables

SESSION = SessionState("session-1", 1_000, "0.1.0", "host", 42, '["bybit BTC/USDT:USDT book.50"]')
ROW: dict[str, Value] = {
    "timestamp": "2026-01-01T00:00:00.000001Z",
    "symbol": "BTC/USDT:USDT",
    "exchange": "bybit",
    "bid_price_1": 0.1 + 0.2,
    "sequence": 2**63 - 1,
    "exchange_timestamp": 1_767_225_600_000,
    "data_source": "simulator",
    "data_quality_score": 0.75,
    "received_at_ns": 1_767_225_600_000_001_000,
    "segment_id": 2**62 + 1,
    "depth": 50,
}


@pytest.fixture
def session() -> SessionState:
    return SESSION


@pytest.fixture
def make_rows() -> Callable[..., Rows]:
    """Make rows of all columns; those not named hold NULL. `sequence` counts up unless given."""

    def make(count: int = 1, **columns: list[Value]) -> Rows:
        numbered: dict[str, list[Value]] = {"sequence": list(range(count))}
        return Rows(
            "book",
            {name: (numbered | columns).get(name, [ROW.get(name)] * count) for name in ROW_COLUMNS},
        )

    return make


@pytest.fixture
def make_batch(make_rows: Callable[..., Rows]) -> Callable[..., WriteSet]:
    """Make a batch of so many rows."""

    def make(batch_id: str = "batch-1", count: int = 1, **parts: Any) -> WriteSet:
        return WriteSet(batch_id, **({"session": SESSION, "rows": (make_rows(count),)} | parts))

    return make


@pytest.fixture
def open_sink() -> Iterator[Callable[..., SqlSink]]:
    """Open sinks that are closed when the test ends."""
    opened: list[SqlSink] = []

    def open_one(url: str, table_name: str = "l2_training_data_practical", **options: Any) -> SqlSink:
        lay_tables(url)
        sink = SqlSink(url, table_name, auto_migrate=True, **options)
        opened.append(sink)
        sink.open()
        return sink

    yield open_one
    for sink in opened:
        sink.close()
