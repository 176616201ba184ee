"""Find the one stream that is meant, or raise an error that names the choices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import sqlalchemy as sa
from sqlalchemy.sql.selectable import NamedFromClause

from collector.errors import QueryError
from collector.events import REST
from collector.query.database import distinct_values
from collector.query.instants import Span, text_of
from collector.query.names import Market, in_order, market_named
from collector.query.rows.archive_files import Archive, Part, holding
from collector.query.rows.fillings import Fillings
from collector.query.rows.placing import ORIGIN

Value = str | int | None
Source = NamedFromClause  # a table, or a query that stands for one
Origin = Literal["live", "rest"]
Wanted: TypeAlias = "str | int | Sequence[str] | Sequence[int] | None"
Depth: TypeAlias = "int | Sequence[int] | Literal['*'] | None"
ALL = "*"  # stands for every data source

_SHOWN = 20


class MixedRowsError(QueryError):
    """Rows that should be alike differ."""


@dataclass(frozen=True, slots=True)
class StoredStream:
    """Rows of one symbol of one exchange that are alike in everything else that distinguishes streams."""

    table: Source
    symbol: str
    exchange: str
    where: tuple[sa.ColumnElement[bool], ...]  # what was wanted
    alike: Mapping[str, Value] = field(default_factory=dict)  # found in the first row; every row must agree
    given: Mapping[str, Value] = field(default_factory=dict)  # one value wanted, so that every row has it
    among: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)  # several values wanted
    parts: tuple[Part, ...] = ()  # files that hold rows which are no more in the table
    left_out: tuple[int, ...] = ()  # segments that are not wanted
    origin: Origin | None = None  # how the rows wanted came; None: in either way
    fillings: Fillings | None = None  # aggregates that stand among single trades, where none of these are

    @property
    def constants(self) -> dict[str, Value]:
        """Return the columns that have the same value in every row."""
        alike = dict(self.alike)
        if self.fillings is not None:
            del alike["kind"]
        return {"symbol": self.symbol, "exchange": self.exchange, **self.given, **alike}

    def with_files(self, archive: Archive) -> "StoredStream":
        """Return the same rows by what was moved to files by now."""
        return replace(self, parts=archive.of(self.symbol, self.exchange))

    def of_origin(self, origin: Origin) -> "StoredStream":
        """Return the rows that came live, or those that REST brought."""
        column = self.table.c.get(ORIGIN)
        if column is None:  # an older database: all of it is live
            is_wanted: sa.ColumnElement[bool] = sa.true() if origin == "live" else sa.false()
        else:
            is_wanted = column == REST if origin == REST else column.is_distinct_from(REST)
        return replace(self, where=(*self.where, is_wanted), origin=origin)

    def received_within(self, span: Span) -> "StoredStream":
        """Return the rows in the table whose receipt is in the span."""
        received, where = self.table.c.received_at_ns, list(self.where)
        if span.start_ns is not None:
            where.append(received >= span.start_ns)
        if span.end_ns is not None:
            where.append(received < span.end_ns)
        return replace(self, where=tuple(where))

    def of_segment(self, segment_id: int) -> "StoredStream":
        """Return the rows of one segment."""
        where = (*self.where, self.table.c.segment_id == segment_id)
        return replace(self, where=where, given={**self.given, "segment_id": segment_id})

    def of_segments(self, segment_ids: tuple[int, ...]) -> "StoredStream":
        """Return the rows of some segments."""
        where = (*self.where, self.table.c.segment_id.in_(segment_ids))
        return replace(self, where=where, among={**self.among, "segment_id": segment_ids})

    def without(self, segment_ids: tuple[int, ...]) -> "StoredStream":
        """Return the rows that are of none of these segments."""
        if not segment_ids:
            return self
        segment = self.table.c.segment_id
        where = (*self.where, sa.or_(segment.is_(None), segment.not_in(segment_ids)))
        return replace(self, where=where, left_out=segment_ids)

    def between(self, start_text: str | None, end_text: str | None) -> "sa.Select[Any]":
        """Select the rows from one text of time to another, both included, in order."""
        at = self.table.c.timestamp
        query = sa.select(self.table).where(*self.where)
        if start_text is not None:
            query = query.where(at >= start_text)
        if end_text is not None:
            query = query.where(at <= end_text)
        return query.order_by(at, self.table.c.id)


def find_stream(
    connection: sa.Connection,
    table: Source,
    symbol: str,
    exchange: str | None,
    span: Span,
    wanted: Mapping[str, Wanted],
    archive: Archive | None = None,
) -> StoredStream:
    """Return the stream, or raise QueryError that names what is left open.

    `wanted` has the columns in which all rows must be alike, and the value of each; for None the value of the
    first row is taken, and reading proves it of the others.
    """
    archive = archive or Archive()
    exchange, symbol = stored_market(connection, table, symbol, exchange, archive)
    where = [table.c.symbol == symbol, table.c.exchange == exchange]
    given: dict[str, Value] = {}
    among: dict[str, tuple[Value, ...]] = {}
    left_open: list[str] = []
    for name, value in wanted.items():
        if value is None:
            left_open.append(name)
        elif isinstance(value, str | int) and value != ALL:
            where.append(table.c[name] == value)
            given[name] = value
        elif value != ALL:
            where.append(table.c[name].in_(tuple(value)))
            among[name] = tuple(value)
    parts = archive.of(symbol, exchange)
    stream = StoredStream(table, symbol, exchange, tuple(where), {}, given, among, parts)
    if not left_open:
        return stream
    first = first_row(connection, stream, span, left_open)
    return replace(stream, alike=first)


def mixed(connection: sa.Connection, stream: StoredStream, span: Span) -> MixedRowsError:
    """Return the error that names the values among the rows of a span."""
    for name, value in stream.alike.items():
        column = stream.table.c[name]
        rows = stream.between(*_texts(span)).order_by(None).with_only_columns(column).distinct().limit(_SHOWN)
        found = connection.execute(rows).scalars().all()
        if len(found) > 1:
            choices = ", ".join(repr(one) for one in in_order(found))
            hint = f'; data_source="{ALL}" takes all' if name == "data_source" else ""
            return MixedRowsError(
                f"{stream.symbol} is stored with more than one {name}: {choices}; say which: {name}=...{hint}"
            )
        if found and found[0] != value:
            return MixedRowsError(f"{stream.symbol} was being changed while it was read; try again")
    return MixedRowsError(f"the rows of {stream.symbol} are not alike")


def _texts(span: Span) -> tuple[str | None, str | None]:
    return (
        None if span.start_ns is None else text_of(span.start_ns),
        None if span.end_ns is None else text_of(span.end_ns),
    )


def first_row(
    connection: sa.Connection, stream: StoredStream, span: Span, names: list[str]
) -> dict[str, Value]:
    """Return some values of the first row in a span; nothing where there is none."""
    columns = [stream.table.c[name] for name in names]
    row = connection.execute(stream.between(*_texts(span)).with_only_columns(*columns).limit(1)).first()
    if row is not None:
        return dict(zip(names, row, strict=True))
    parts = holding(stream.parts, span)
    return parts[0].first_row(names) if parts else {}


def stored_market(
    connection: sa.Connection, table: Source, symbol: str, exchange: str | None, archive: Archive
) -> Market:
    """Return the market that is meant, of those with rows in the table or its files."""
    known = sa.select(table.c.id).where(table.c.symbol == symbol).limit(1)
    is_exact = isinstance(symbol, str) and connection.execute(known).first() is not None
    # A name that is stored needs no list of all others.
    stored = markets_in(connection, table, archive, [symbol] if is_exact else None)
    return market_named(stored, symbol, exchange, table.name)


def markets_in(
    connection: sa.Connection, table: Source, archive: Archive, symbols: Sequence[str] | None = None
) -> set[Market]:
    """Return the markets with rows in a table, of some symbols or all, or in its files."""
    c = table.c
    found = archive.markets
    for symbol in distinct_values(connection, c.symbol) if symbols is None else symbols:
        found |= {(one, symbol) for one in distinct_values(connection, c.exchange, c.symbol == symbol)}
    return found
