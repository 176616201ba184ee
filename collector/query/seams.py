"""Cut aggregates at the seams: what of them is there as single trades counts once."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal

import sqlalchemy as sa

from collector.query.between import Segment
from collector.query.instants import Span
from collector.query.rows import FIRST, LAST, SIZE, Series, StoredStream, held, met

AROUND_NS = 60 * 10**9  # the edge of what is covered: trades that were under way, and clocks that differ

Ids = tuple[int, int]


def cut_at_seams(
    connection: sa.Connection,
    stream: StoredStream,
    aggregates: Sequence[Segment],
    singles: Sequence[Segment],
    ids: Sequence[Ids],
    span: Span,
) -> dict[Ids, float]:
    """Return of aggregates some of whose trades are there as single ones the size of those that are not.

    `aggregates` and `singles` are the segments of either kind, `ids` what the latter hold.
    """
    bare, found = replace(stream, alike={}), dict[Ids, float]()
    for segment in aggregates:
        rows = Series(bare.of_segment(segment["segment_id"]), (FIRST, LAST, SIZE))
        for window in _windows(segment, singles, span):
            for chunk in rows.read(connection, window):
                first, last = chunk[FIRST], chunk[LAST]
                is_cut = (first >= 0) & met(ids, first, last) & ~held(ids, first, last)
                for place in is_cut.nonzero()[0].tolist():
                    one, at_ns = (int(first[place]), int(last[place])), int(chunk[rows.at][place])
                    there = _size_there(connection, bare, singles, one, at_ns)
                    found[one] = max(0.0, float(Decimal(repr(float(chunk[SIZE][place]))) - there))
    return found


def _windows(segment: Segment, singles: Sequence[Segment], span: Span) -> Iterator[Span]:
    """Yield the times around the edges of what is covered, each moment once."""
    first_ns, end_ns = segment["start_ns"] - AROUND_NS, segment["alive_until_ns"] + AROUND_NS
    if span.start_ns is not None:
        first_ns = max(first_ns, span.start_ns - AROUND_NS)
    if span.end_ns is not None:
        end_ns = min(end_ns, span.end_ns + AROUND_NS)
    edges = {one[name] for one in singles for name in ("start_ns", "alive_until_ns")}
    reached_ns = first_ns
    for edge_ns in sorted(edge for edge in edges if first_ns <= edge <= end_ns):
        begin_ns = max(reached_ns, edge_ns - AROUND_NS)
        reached_ns = edge_ns + AROUND_NS
        yield Span(begin_ns, reached_ns)


def _size_there(
    connection: sa.Connection, stream: StoredStream, singles: Sequence[Segment], ids: Ids, at_ns: int
) -> Decimal:
    """Sum up the single trades that are there of an aggregate."""
    span = Span(at_ns - AROUND_NS, at_ns + AROUND_NS)
    sizes: dict[int, Decimal] = {}
    for segment in singles:
        if segment["alive_until_ns"] < at_ns - AROUND_NS or segment["start_ns"] > at_ns + AROUND_NS:
            continue
        rows = Series(stream.of_segment(segment["segment_id"]), ("trade_id", SIZE))
        for chunk in rows.read(connection, span):
            for trade_id, size in zip(chunk["trade_id"].tolist(), chunk[SIZE].tolist(), strict=True):
                if trade_id.isdecimal() and ids[0] <= int(trade_id) <= ids[1]:
                    sizes[int(trade_id)] = Decimal(repr(size))
    return sum(sizes.values(), Decimal(0))
