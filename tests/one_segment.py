"""Make write sets of one segment, whose columns a test may name."""

from collector.database.tables import ROW_COLUMNS
from collector.events.batch import StreamKey
from collector.sinks.contract import AccountingState, Rows, SegmentState, SessionState, Value, WriteSet

_BTC = StreamKey("bybit", "BTC/USDT:USDT", "book.50")
_ROW: dict[str, Value] = {
    "timestamp": "2026-01-01T00:00:00.000001Z",
    "symbol": _BTC.symbol,
    "exchange": _BTC.exchange,
    "bid_price_1": 0.1 + 0.2,
    "segment_id": 7,
    "depth": 50,
}


def make_write_set(batch_id: str = "batch-1", count: int = 3, **columns: list[Value]) -> WriteSet:
    """Make a write set of one segment; columns that are named have the values given."""
    numbered: dict[str, list[Value]] = {
        "sequence": list(range(count)),
        "received_at_ns": list(range(100, 100 + count)),
    }
    values = {name: (numbered | columns).get(name, [_ROW.get(name)] * count) for name in ROW_COLUMNS}
    session = SessionState("session-1", 1_000, "0", "host", 1, "{}")
    segment = SegmentState(
        7, "session-1", *_BTC, 100, 99 + count, 99 + count, 0, count - 1, count, "sequence"
    )
    account = AccountingState("session-1", *_BTC, received=count, written=count)
    return WriteSet(batch_id, session, (Rows("book", values),), (segment,), (account,))
