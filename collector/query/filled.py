"""Find in coverage what REST filled of a market: what has no hole between, and trades of which kind."""

from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa

from collector.database import Tables
from collector.events import TRADE, Channel
from collector.query.between import Segment, chains, is_filled, union
from collector.query.instants import Span
from collector.query.rows import FIRST, PLACE, Fillings, Series, StoredStream, place_name
from collector.query.seams import cut_at_seams

_SINGLE = "trade"
EVER = Span()


def chains_of(connection: sa.Connection, tables: Tables, stream: StoredStream, family: str) -> dict[int, int]:
    """Return for each segment that goes on from another without a hole the first of them."""
    if place_name(stream.table) != PLACE:
        return {}  # nothing of the table can be filled
    found: dict[int, int] = {}
    by_channel: dict[str, list[Segment]] = {}
    for one in _segments(connection, tables, stream, family):
        by_channel.setdefault(one["channel"], []).append(one)
    for own in by_channel.values():
        found.update(chains(own))
    return {number: first for number, first in found.items() if number != first}


def with_fillings(
    connection: sa.Connection, tables: Tables, stream: StoredStream, span: Span
) -> StoredStream:
    """Return the trades with those of the other kind that fill their holes, where it was not said which kind.

    The stream is returned as it is where none of the other kind fills a hole, or there are no others.
    """
    if "kind" not in stream.alike or place_name(stream.table) != PLACE:
        return stream
    found = fillings(connection, tables, stream, span)
    if found is None:
        return stream
    others = Series(replace(stream, alike={}).without(found.segments), ("kind",))
    first = next(iter(others.read(connection, span, 1)), None)
    if first is None or first["kind"][0] != found.counts:
        return stream
    return replace(stream, alike={**stream.alike, "kind": found.counts}, fillings=found)


def fillings(
    connection: sa.Connection, tables: Tables, stream: StoredStream, span: Span = EVER
) -> Fillings | None:
    """Return what REST brought of the other kind than came live, if any, and where that is covered.

    Where nothing came live, single trades count before aggregates.
    """
    segments = _segments(connection, tables, stream, TRADE)
    # One that brought nothing new, for all of it was there, says nothing of either kind.
    filled = [one for one in segments if is_filled(one) and one["rows"]]
    kinds = {one["segment_id"]: _kind_of(connection, stream, one) for one in filled}
    if not kinds:
        return None
    live = (_kind_of(connection, stream, one) for one in segments if not is_filled(one) and one["rows"])
    counts = next((kind for kind in live if kind is not None), _SINGLE)
    own = tuple(number for number, kind in kinds.items() if kind not in {counts, None})
    if not own:
        return None
    covering = [one for one in segments if not is_filled(one) or kinds.get(one["segment_id"]) == counts]
    spans = union((one["start_ns"], one["alive_until_ns"]) for one in covering)
    ids = _ids_of(covering) if counts == _SINGLE and FIRST in stream.table.c else ()
    aggregates = [one for one in filled if one["segment_id"] in own]
    cut = cut_at_seams(connection, stream, aggregates, covering, ids, span) if ids else {}
    return Fillings(own, tuple(spans), counts, ids, cut)


def _ids_of(segments: Sequence[Segment]) -> tuple[tuple[int, int], ...]:
    """Return the ids of the trades that segments hold, where these are numbers."""
    found = [(one["first_sequence"], one["last_sequence"]) for one in segments]
    joined = union((first, last + 1) for first, last in found if first is not None and last is not None)
    return tuple((first, last - 1) for first, last in joined)


def _kind_of(connection: sa.Connection, stream: StoredStream, segment: Segment) -> str | None:
    """Return the kind of a segment's rows, which are all of one; None where there is none any more."""
    rows = Series(replace(stream, alike={}).of_segment(segment["segment_id"]), ("kind",))
    span = Span(segment["start_ns"], segment["alive_until_ns"] + 1)
    first = next(iter(rows.read(connection, span, 1)), None)
    return None if first is None else str(first["kind"][0])


def _segments(connection: sa.Connection, tables: Tables, stream: StoredStream, family: str) -> list[Segment]:
    """Return the segments of a market's trades or bars, in the order of their beginning."""
    table = tables.coverage
    query = (
        sa.select(table)
        .where(table.c.exchange == stream.exchange, table.c.symbol == stream.symbol)
        .order_by(table.c.start_ns, table.c.segment_id)
    )
    rows = connection.execute(query).mappings()
    return [dict(row) for row in rows if Channel.of(row["channel"]).family == family]
