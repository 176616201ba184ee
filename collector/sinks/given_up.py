"""Say of rows that they are given up: the segments that had them end before them, and they are counted."""

from collections.abc import Mapping
from dataclasses import replace

from collector.events import StreamKey
from collector.sinks.contract import AccountingState, SegmentState, WriteSet


def without_rows(write_set: WriteSet, reason: str, detail: str) -> WriteSet:
    """Return the write set without its rows, counted as rejected; the segments that had any end before it."""
    return replace(
        write_set,
        rows=(),
        segments=tuple(ended_before(one, reason, storable(detail)) for one in write_set.segments),
        accounting=tuple(as_rejected(one, {one.key: one.written}, reason) for one in write_set.accounting),
    )


def ended_before(segment: SegmentState, cause: str, detail: str) -> SegmentState:
    """Return the state of a segment of whose rows in this batch none is stored; unchanged if it has none."""
    if not segment.rows:
        return segment
    return replace(
        segment,
        end_ns=segment.start_ns,
        alive_until_ns=segment.start_ns,
        first_sequence=None,
        last_sequence=None,
        rows=0,
        end_cause=cause,
        detail=detail,
    )


def as_rejected(one: AccountingState, rejected: Mapping[StreamKey, int], reason: str) -> AccountingState:
    """Count rows of its stream as rejected, not as written."""
    count = rejected.get(one.key, 0)
    if not count or not one.written:
        return one
    reasons = {**one.rejected, reason: one.rejected.get(reason, 0) + count}
    return replace(one, written=one.written - count, rejected=reasons)


def storable(text: str) -> str:
    """Return a text that any database takes."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
