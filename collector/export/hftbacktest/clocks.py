"""Take a day apart where its clock was set back: what was seen at one time twice is not replayed as one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import sqlalchemy as sa

from collector.database import Tables
from collector.events import TRADE, Channel
from collector.export.hftbacktest.choice import Choice
from collector.export.utc_days import Day
from collector.query import Series, Span, overlapping


def by_clock(
    connection: sa.Connection, tables: Tables, choice: Choice, days: Mapping[str, Day], span: Span
) -> Iterator[Choice]:
    """Yield the choice for each stretch of the clock, in the order in which they were seen.

    In none of them do two segments of one stream overlap. Rows of no segment are in the first.
    """
    pairs = list(_pairs(connection, tables, choice, days, span))
    if not pairs:
        yield choice
        return
    order = _in_order(connection, tables, next(iter(days.values())), span)
    bounds = _bounds([sorted((order.index(one), order.index(other))) for one, other in pairs])
    yield replace(choice, without=tuple(order[bounds[0] :]))
    for begin, end in zip(bounds, [*bounds[1:], len(order)], strict=True):
        yield replace(choice, only=tuple(order[begin:end]))


def _pairs(
    connection: sa.Connection, tables: Tables, choice: Choice, days: Mapping[str, Day], span: Span
) -> Iterator[tuple[int, int]]:
    for kind, holds in (("features", _is_book), ("trades", _is_trade)):
        if kind in days:
            series = Series(choice.stream(connection, tables, days[kind]), ())
            for one, other in overlapping(connection, tables, series, holds, span):
                yield one.segment_id, other.segment_id


def _is_book(channel: Channel) -> bool:
    return channel.is_book


def _is_trade(channel: Channel) -> bool:
    return channel.family == TRADE


def _in_order(connection: sa.Connection, tables: Tables, day: Day, span: Span) -> list[int]:
    """List the segments of the symbol in the span as they were seen: session by session, by their ids."""
    table, sessions = tables.coverage, tables.sessions
    query = (
        sa.select(table.c.segment_id)
        .outerjoin(sessions, sessions.c.session_id == table.c.session_id)
        .where(table.c.exchange == day.exchange, table.c.symbol == day.symbol)
        .where(table.c.alive_until_ns >= span.start_ns, table.c.start_ns < span.end_ns)
        .order_by(sessions.c.started_ns, table.c.session_id, table.c.segment_id)
    )
    return list(connection.execute(query).scalars())


def _bounds(pairs: Sequence[Sequence[int]]) -> list[int]:
    """Return the fewest places at which to cut so that no stretch holds both of a pair.

    Of the places that do, take the first: what began with the later ones is seldom one of a pair itself.
    """
    bounds: list[int] = []
    until = -1
    for one, other in sorted(pairs, key=lambda pair: pair[1]):
        if one >= until:
            until = other
            bounds.append(one + 1)
        else:
            bounds[-1] = max(bounds[-1], one + 1)
    return bounds
