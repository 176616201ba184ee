"""Find in coverage what REST filled of a market's trades: with which kind, and what has no hole between."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from collector.database import Tables
from collector.events import TRADE, Channel
from collector.query.between import chains, is_filled, union
from collector.query.instants import Span
from collector.query.rows import PLACE, Fillings, Series, StoredStream, first_row, place_name

_AGGREGATE, _SINGLE = "agg", "trade"


def segments_of_trades(
    connection: sa.Connection, tables: Tables, exchange: str, symbol: str
) -> list[Mapping[str, Any]]:
    """Return the segments of a market's trades, in the order of their beginning."""
    table = tables.coverage
    query = (
        sa.select(table)
        .where(table.c.exchange == exchange, table.c.symbol == symbol)
        .order_by(table.c.start_ns, table.c.segment_id)
    )
    rows = connection.execute(query).mappings()
    return [dict(row) for row in rows if Channel.of(row["channel"]).family == TRADE]


def chains_of_trades(connection: sa.Connection, tables: Tables, stream: StoredStream) -> dict[int, int]:
    """Return for each segment the first one that it goes on from without a hole."""
    return chains(segments_of_trades(connection, tables, stream.exchange, stream.symbol))


def with_fillings(
    connection: sa.Connection, tables: Tables, stream: StoredStream, span: Span
) -> StoredStream:
    """Return the single trades with the aggregates that fill their holes, where it was not said which kind.

    The stream is returned as it is where no aggregate fills a hole, or there are no single trades.
    """
    if "kind" not in stream.alike or place_name(stream.table) != PLACE:
        return stream
    found = fillings(connection, tables, stream)
    if found is None:
        return stream
    first = first_row(connection, stream.without(found.segments), span, ["kind"])
    if first.get("kind") != _SINGLE:
        return stream
    return replace(stream, alike={**stream.alike, "kind": _SINGLE}, fillings=found)


def fillings(connection: sa.Connection, tables: Tables, stream: StoredStream) -> Fillings | None:
    """Return the aggregates that REST brought of a market, if any, and where it is covered without them."""
    segments = segments_of_trades(connection, tables, stream.exchange, stream.symbol)
    own = tuple(_aggregates(connection, stream, segments))
    if not own:
        return None
    others = [one for one in segments if one["segment_id"] not in own]
    return Fillings(own, tuple(union((one["start_ns"], one["alive_until_ns"]) for one in others)))


def _aggregates(
    connection: sa.Connection, stream: StoredStream, segments: list[Mapping[str, Any]]
) -> Iterator[int]:
    """Yield the filled segments whose rows are aggregates: all rows of one are of one kind."""
    for one in segments:
        if is_filled(one) and one["rows"]:
            rows = Series(replace(stream, alike={}).of_segment(one["segment_id"]), ("kind",))
            span = Span(one["start_ns"], one["alive_until_ns"] + 1)
            first = next((chunk for chunk in rows.read(connection, span, 1)), None)
            if first is not None and first["kind"][0] == _AGGREGATE:
                yield one["segment_id"]
