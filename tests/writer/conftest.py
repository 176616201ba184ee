"""Write sets to keep, and a spool that is closed again."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector.database.tables import ROW_COLUMNS
from collector.events.batch import StreamKey
from collector.sinks.contract import AccountingState, Rows, SegmentState, SessionState, Value, WriteSet
from collector.writer.spool_file import SpoolFile

BTC = StreamKey("bybit", "BTC/USDT:USDT", "book.50")
SESSION = SessionState("session-1", 1_000, "0", "host", 1, "{}")
ROW: dict[str, Value] = {
    "timestamp": "2026-01-01T00:00:00.000001Z",
    "symbol": BTC.symbol,
    "exchange": BTC.exchange,
    "bid_price_1": 0.1 + 0.2,
    "segment_id": 7,
    "depth": 50,
}


@pytest.fixture
def make_write_set() -> Callable[..., WriteSet]:
    """Make a write set of one segment; columns that are named have the values given."""

    def make(batch_id: str = "batch-1", count: int = 3, **columns: list[Value]) -> WriteSet:
        numbered: dict[str, list[Value]] = {
            "sequence": list(range(count)),
            "received_at_ns": list(range(100, 100 + count)),
        }
        values = {name: (numbered | columns).get(name, [ROW.get(name)] * count) for name in ROW_COLUMNS}
        segment = SegmentState(
            7, "session-1", *BTC, 100, 99 + count, 99 + count, 0, count - 1, count, "sequence"
        )
        account = AccountingState("session-1", *BTC, received=count, written=count)
        return WriteSet(batch_id, SESSION, (Rows("book", values),), (segment,), (account,))

    return make


@pytest.fixture
def open_spool(tmp_path: Path) -> Iterator[Callable[..., SpoolFile]]:
    """Open spools that are closed when the test ends."""
    opened: list[SpoolFile] = []

    def open_one(name: str = "spool", max_bytes: int = 1 << 20) -> SpoolFile:
        spool = SpoolFile(tmp_path / name, max_bytes=max_bytes)
        spool.open()
        opened.append(spool)
        return spool

    yield open_one
    for spool in opened:
        spool.close()
