"""Leave rows in a spool, as a collector does that ends while its database is away."""

from pathlib import Path
from typing import Any

from collector.events.batch import StreamKey
from collector.sinks.contract import AccountingState, Rows, SegmentState, SessionState, WriteSet
from collector.spool.file import SpoolFile
from collector.spool.owner import SpoolOwner

LEFT = StreamKey("bybit", "SOL/USDT:USDT", "book.50")


def left_write_set(number: int, *, session: str = "left", started_ns: int = 1, rows: int = 2) -> WriteSet:
    """Return the write set of a number, of a session of its own: its rows go on where the last one ended."""
    sequences = list(range(number * rows, (number + 1) * rows))
    columns: dict[str, list[Any]] = {
        "timestamp": [f"2026-01-01T00:00:00.{one:06}Z" for one in sequences],
        "symbol": [LEFT.symbol] * rows,
        "exchange": [LEFT.exchange] * rows,
        "sequence": sequences,
        "received_at_ns": [started_ns + one for one in sequences],
        "segment_id": [started_ns] * rows,
        "depth": [50] * rows,
    }
    began_ns, ended_ns = columns["received_at_ns"][0], columns["received_at_ns"][-1]
    segment = SegmentState(
        started_ns,
        session,
        *LEFT,
        *(began_ns, ended_ns, ended_ns),
        *(sequences[0], sequences[-1], rows, "sequence"),
    )
    return WriteSet(
        f"{session}-{number}",
        SessionState(session, started_ns, "0", "host", 1, "{}"),
        (Rows("book", columns),),
        (segment,),
        (AccountingState(session, *LEFT, received=rows, written=rows),),
    )


def leave_rows(path: Path, *write_sets: WriteSet, owner: SpoolOwner | None = None) -> Path:
    """Put write sets into a spool, and close it; without any, one of two rows."""
    spool = SpoolFile(path, max_bytes=1 << 24, synchronous="OFF", owner=owner)
    spool.open()
    for number, write_set in enumerate(write_sets or (left_write_set(1),), spool.last_number + 1):
        spool.append(number, write_set)
    spool.close()
    return path


def left_in(path: Path) -> list[str]:
    """Return the batches that a spool holds, in their order, and leave the file as it is."""
    spool = SpoolFile(path, max_bytes=1 << 24, synchronous="OFF", by_name=True)
    spool.open()
    try:
        return [head.batch_id for head in spool.heads()]
    finally:
        spool.close()
