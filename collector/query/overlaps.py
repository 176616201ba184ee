"""Find segments of one stream that overlap in time, and take them apart.

They do where a clock was set back, for what was received later bears earlier stamps, and where a collector
whose database was away had a stream that another took. In the order of the stamps the rows of both stand
mixed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import sqlalchemy as sa

from collector.database import Tables
from collector.errors import QueryError
from collector.events import Channel
from collector.query.between import is_filled
from collector.query.instants import Span, shown
from collector.query.rows import Series, StoredStream

SPLIT_HINT = 'on_gap="split" takes them apart, or choose a span without both'


@dataclass(frozen=True, slots=True)
class Stretch:
    """A segment of coverage: one chain, and from when to when it is known to be alive."""

    segment_id: int
    chain: tuple[str, ...]  # what only one segment can be of at a time: its channel, and its source
    start_ns: int
    until_ns: int
    is_open: bool


def overlapping(
    connection: sa.Connection, tables: Tables, series: Series, holds: Callable[[Channel], bool], span: Span
) -> list[tuple[Stretch, Stretch]]:
    """Return the pairs of segments that overlap within the span and have rows in the series.

    `holds` says of a channel whether its rows may be in it.
    """
    stretches = _stretches(connection, tables, series.stream, span)
    found = _pairs((one for one in stretches if holds(Channel.of(one.chain[0]))), span)
    own = {one: _source(connection, series, one) for one in dict.fromkeys(chain.from_iterable(found))}
    kept = [replace(one, chain=(*one.chain, source)) for one, source in own.items() if source is not None]
    return _pairs(sorted(kept, key=lambda one: one.start_ns), span)


def refuse(pairs: Sequence[tuple[Stretch, Stretch]], symbol: str, hint: str = SPLIT_HINT) -> None:
    """Raise QueryError if there are any."""
    for one, other in pairs[:1]:
        from_ns, until_ns = other.start_ns, min(one.until_ns, other.until_ns)
        raise QueryError(
            f"from {shown(from_ns)} to {shown(until_ns)} two segments of {symbol} {one.chain[0]} overlap, "
            f"{one.segment_id} and {other.segment_id}: the clock was set back, "
            f"or two collectors had the stream; {hint}"
        )


def apart(
    stream: StoredStream, span: Span, pairs: Sequence[tuple[Stretch, Stretch]]
) -> Iterator[tuple[StoredStream, Span]]:
    """Yield streams and spans that hold all rows, each of a stretch of time that no two segments share."""
    stretches = sorted(set(chain.from_iterable(pairs)), key=lambda one: (one.start_ns, one.segment_id))
    rest = stream.without(tuple(one.segment_id for one in stretches))
    position = span.start_ns
    for cluster in _clusters(stretches):
        within = _cut(span, cluster[0].start_ns, _end_ns(cluster))
        if position is None or (within.start_ns is not None and within.start_ns > position):
            yield rest, Span(position, within.start_ns)
        for one in cluster:
            yield stream.of_segment(one.segment_id), _cut(span, one.start_ns, _end_ns([one]))
        yield rest, within
        position = within.end_ns
        if position is None or position == span.end_ns:
            return
    yield rest, Span(position, span.end_ns)


def _stretches(
    connection: sa.Connection, tables: Tables, stream: StoredStream, span: Span
) -> Iterator[Stretch]:
    """Yield the segments of a symbol, in the order of their beginning."""
    table = tables.coverage
    query = sa.select(table).where(table.c.exchange == stream.exchange, table.c.symbol == stream.symbol)
    if span.start_ns is not None:
        query = query.where(table.c.alive_until_ns > span.start_ns)
    if span.end_ns is not None:
        query = query.where(table.c.start_ns < span.end_ns)
    for row in connection.execute(query.order_by(table.c.start_ns, table.c.segment_id)).mappings():
        if is_filled(dict(row)):  # lies in exchange time, and meets what is live by rows that are stored once
            continue
        is_open = row["end_cause"] is None
        yield Stretch(row["segment_id"], (row["channel"],), row["start_ns"], row["alive_until_ns"], is_open)


def _pairs(stretches: Iterable[Stretch], span: Span) -> list[tuple[Stretch, Stretch]]:
    """Return those of one chain that overlap in the span; the stretches come in the order of their start."""
    alive: dict[tuple[str, ...], list[Stretch]] = {}
    found = []
    for one in stretches:
        before = [other for other in alive.get(one.chain, ()) if other.until_ns > one.start_ns]
        found += [
            (other, one)
            for other in before
            if one.until_ns > one.start_ns and _meets(span, one.start_ns, min(one.until_ns, other.until_ns))
        ]
        alive[one.chain] = [*before, one]
    return sorted(found, key=lambda pair: pair[1].start_ns)


def _meets(span: Span, from_ns: int, until_ns: int) -> bool:
    starts_later = span.start_ns is not None and until_ns < span.start_ns
    return not (starts_later or (span.end_ns is not None and from_ns >= span.end_ns))


def _source(connection: sa.Connection, series: Series, stretch: Stretch) -> str | None:
    """Return the source of a segment's rows, "" where all have one; None if none is in the series."""
    more = () if "data_source" in series.stream.constants else ("data_source",)
    own = Series(series.stream.of_segment(stretch.segment_id), more)
    for chunk in own.read(connection, Span(stretch.start_ns, stretch.until_ns + 1)):
        return str(chunk["data_source"][0]) if "data_source" in chunk else ""
    return None


def _clusters(stretches: Sequence[Stretch]) -> Iterator[list[Stretch]]:
    """Yield groups of stretches between which there is none."""
    cluster: list[Stretch] = []
    for one in stretches:
        end_ns = _end_ns(cluster) if cluster else one.start_ns
        if cluster and end_ns is not None and one.start_ns >= end_ns:
            yield cluster
            cluster = []
        cluster.append(one)
    if cluster:
        yield cluster


def _end_ns(cluster: Sequence[Stretch]) -> int | None:
    """Return the instant after the last one of them; None while one goes on."""
    return None if any(one.is_open for one in cluster) else max(one.until_ns for one in cluster) + 1


def _cut(span: Span, start_ns: int, end_ns: int | None) -> Span:
    start_ns = start_ns if span.start_ns is None else max(start_ns, span.start_ns)
    ends = [one for one in (end_ns, span.end_ns) if one is not None]
    return Span(start_ns, min(ends, default=None))
