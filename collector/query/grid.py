"""Keep the instants that are asked for within what is stored, and within memory."""

from collections.abc import Iterator
from datetime import UTC, datetime

import sqlalchemy as sa

from collector.errors import QueryError
from collector.query.instants import Span, shown, text_of, whole_ns
from collector.query.resample import States, at_or_after
from collector.query.rows import MOST_VALUES, SMALLER, Series, ends_of, holding


def refuse_large(
    connection: sa.Connection, series: Series, span: Span, step_ns: int, alive_ns: int, columns: int
) -> None:
    """Raise QueryError, before a row is read, for a grid that is too large for a frame.

    `alive_ns` is until when a state is carried on at most.
    """
    stored = _stored(connection, series)
    if not stored:
        return
    first_ns, last_ns = min(stored), max(*stored, alive_ns)
    first_ns = first_ns if span.start_ns is None else max(first_ns, span.start_ns)
    last_ns = last_ns if span.end_ns is None else min(last_ns, span.end_ns)
    rows = max(last_ns - first_ns, 0) // step_ns + 1
    if rows * columns > MOST_VALUES:
        raise QueryError(
            f"from {shown(first_ns)} to {shown(last_ns)} these are {rows:,} instants of {columns} values; "
            f"expected at most {MOST_VALUES // columns:,}: choose a longer every=, {SMALLER}"
        )


def goes_on(connection: sa.Connection, series: Series, span: Span) -> bool:
    """Return whether more rows are stored behind the span."""
    if span.end_ns is None:
        return False
    stream = series.stream
    if holding(stream.parts, Span(span.end_ns, None)):
        return True
    rows = stream.between(text_of(span.end_ns), None).with_only_columns(stream.table.c.id)
    return connection.execute(rows.limit(1)).first() is not None


def unclipped(states: Iterator[States], span: Span, step_ns: int) -> Iterator[States]:
    """Yield the states; raise QueryError where the grid is clipped to what is stored."""
    due_ns = None if span.start_ns is None else at_or_after(span.start_ns, step_ns)
    for one in states:
        if due_ns is not None and one.at_ns[0] > due_ns:
            raise _not_stored(due_ns)
        due_ns = int(one.at_ns[-1]) + step_ns
        yield one
    if due_ns is not None and span.end_ns is not None and due_ns < span.end_ns:
        raise _not_stored(due_ns)


def _not_stored(at_ns: int) -> QueryError:
    return QueryError(f"{shown(at_ns)} is not covered: that is before or after what is stored; see on_gap")


def _stored(connection: sa.Connection, series: Series) -> list[int]:
    """Return two instants or more, between which all rows of a series stand."""
    rows, at = series.stream.between(None, None).order_by(None), series.stream.table.c.timestamp
    texts = [
        connection.execute(rows.with_only_columns(at).order_by(order).limit(1)).scalar()
        for order in (at.asc(), at.desc())
    ]
    found = [_text_ns(text) for text in texts if text is not None]
    return [*found, *ends_of(series.stream.parts)]


def _text_ns(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return whole_ns(moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment)
