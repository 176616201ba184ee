"""Read the rows of one stream in the order of time, a chunk at a time, in flat memory.

That is the order of their receipt; what REST brought afterwards stands at its exchange time.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import sqlalchemy as sa

from collector.errors import QueryError
from collector.query.instants import Integers, Span, shown, text_of
from collector.query.rows import raw_rows
from collector.query.rows.archive_files import Part, beside, holding
from collector.query.rows.columns import NO_INT, Array, Chunk, Kind, gathered, joined, kind_of, length, picked
from collector.query.rows.file_rows import FileRows
from collector.query.rows.fillings import FIRST, LAST
from collector.query.rows.merging import merged
from collector.query.rows.placing import PLACE, RECEIPT, place, place_name
from collector.query.rows.stored_stream import StoredStream, mixed

# Marks in place of a row's segment: it has no received_at_ns; it is not like the first row of its stream.
_UNTIMED, _OTHER = NO_INT + 1, NO_INT + 2
_MICROSECOND_NS = 1_000


@dataclass(frozen=True, slots=True)
class Series:
    """The columns to read of a stream; in each chunk are its place in time and the segment as well."""

    stream: StoredStream
    names: tuple[str, ...]

    @property
    def at(self) -> str:
        """Return the column of a chunk that says where its rows stand in time."""
        return place_name(self.stream.table)

    @property
    def read_names(self) -> tuple[str, ...]:
        """Return the columns of a chunk."""
        fillings = self.stream.fillings
        by_id = () if fillings is None or not fillings.ids else (FIRST, LAST)
        return tuple(dict.fromkeys((*self.names, self.at, "segment_id", *by_id)))

    @property
    def kinds(self) -> dict[str, Kind]:
        """Return how each column is held."""
        return {name: self._kind(name) for name in self.read_names}

    def _kind(self, name: str) -> Kind:
        return "int" if name == PLACE else kind_of(self.stream.table.c[name])

    def of(self, stream: StoredStream) -> "Series":
        """Return the same columns of another stream."""
        return Series(stream, self.names)

    def only(self, names: tuple[str, ...]) -> "Series":
        """Return the same rows with these columns."""
        return Series(self.stream, names)

    def read(
        self, connection: sa.Connection, span: Span, chunk_rows: int = raw_rows.CHUNK_ROWS
    ) -> Iterator[Chunk]:
        """Yield the rows that stand in the span, in the order of time, from the table and from files."""
        parts = holding(self.stream.parts, span)
        if not parts:
            yield from self._from_table(connection, span, chunk_rows)
            return
        by_day: dict[str, list[Part]] = {}
        for part in parts:
            by_day.setdefault(part.day, []).append(part)
        days = (self._from_day(own, span, chunk_rows) for own in by_day.values())
        table = self._from_table(connection, span, chunk_rows)
        yield from merged([chain.from_iterable(days), table], self.at)

    def by_receipt(self, connection: sa.Connection, span: Span) -> dict[str, Array]:
        """Return the rows received in the span, in the order of receipt: what REST brought later is later."""
        stream = self.stream
        if self.at == RECEIPT:
            return gathered(self.read(connection, span), self.kinds)
        of_each = {
            one: Series(stream.of_origin(one), (*self.names, RECEIPT))
            for one in ("live", "rest")
            if stream.origin in {None, one}
        }
        found: list[Iterator[Chunk]] = []
        if "live" in of_each:
            found.append(of_each["live"].read(connection, span))
        if "rest" in of_each:
            rest = of_each["rest"].of(of_each["rest"].stream.received_within(span))
            within = Span(None, span.end_ns)  # nothing is received before it happened
            found.append(picked(one, span.holds(one[RECEIPT])) for one in rest.read(connection, within))
        rows = gathered(chain.from_iterable(found), next(iter(of_each.values())).kinds)
        return picked(rows, np.argsort(rows[RECEIPT], kind="stable"))

    def _from_day(self, parts: Sequence[Part], span: Span, rows: int) -> Iterator[Chunk]:
        """Yield the rows of the files of one day: hours follow each other, others lie among them."""
        of_hours: dict[str, list[Part]] = {}
        for part in parts:
            if part.is_of_hour:
                of_hours.setdefault(part.period, []).append(part)
        hours = (
            merged([self._file(one).read(span, rows) for one in own], self.at) for own in of_hours.values()
        )
        whole = [self._file(part).read(span, rows) for part in parts if not part.is_of_hour]
        return merged([chain.from_iterable(hours), *whole], self.at) if of_hours else merged(whole, self.at)

    def _file(self, part: Part) -> FileRows:
        return FileRows(part, self.stream, self.kinds, self.at)

    def _from_table(self, connection: sa.Connection, span: Span, chunk_rows: int) -> Iterator[Chunk]:
        found = self._checked(connection, self._within(span), span, chunk_rows)
        fillings = self.stream.fillings
        for chunk in _ordered(found, self.stream.symbol, self.at):
            wanted = span.holds(chunk[self.at])
            if fillings is not None:
                wanted &= fillings.count(chunk, self.at)
                chunk = fillings.sized(chunk)  # noqa: PLW2901
            kept = chunk if wanted.all() else picked(chunk, wanted)
            if length(kept):
                yield kept

    def piece(self, connection: sa.Connection, span: Span, rows: int) -> tuple[Chunk, int | None]:
        """Return about `rows` rows from the start of the span, and where the next piece begins, or None."""
        query = self._within(span).limit(rows)
        found = list(_ordered(self._checked(connection, query, span, rows), self.stream.symbol, self.at))
        whole = joined(found, self.kinds)
        next_ns = None
        if length(whole) >= rows:
            next_ns = _microsecond(int(whole[self.at][-1]))
            if next_ns == _microsecond(int(whole[self.at][0])):  # more of them in one microsecond
                return self.piece(connection, span, 2 * rows)
            whole = picked(whole, whole[self.at] < next_ns)
        return picked(whole, span.holds(whole[self.at])), next_ns

    def most(self, span: Span) -> "sa.Select[Any]":
        """Select at least the rows of the table that stand in the span, by what its index knows alone."""
        stream = self.stream
        c = stream.table.c
        market = (c.symbol == stream.symbol, c.exchange == stream.exchange)
        return replace(self, stream=replace(stream, where=market))._within(span)  # noqa: SLF001

    def last_before(self, connection: sa.Connection, at_ns: int) -> Chunk | None:
        """Return the newest row that stands before an instant."""
        table, text = self.stream.table, text_of(at_ns)
        stands_ns = sa.func.coalesce(place(table), sa.literal(_microsecond(at_ns), sa.BIGINT))
        query = (
            self._within(Span())
            .where(table.c.timestamp <= text, sa.or_(table.c.timestamp < text, stands_ns < at_ns))
            .order_by(None)
            .order_by(table.c.timestamp.desc(), stands_ns.desc(), table.c.id.desc())
            .limit(1)
        )
        found = list(self._checked(connection, query, Span(None, at_ns), 1))
        newest = found[0] if found else None
        after_ns = None if newest is None else int(newest[self.at][0])
        parts = holding(self.stream.parts, Span(after_ns, at_ns))
        while parts:
            last = self._file(parts.pop()).last(at_ns)
            if last is not None and (newest is None or last[self.at][0] > newest[self.at][0]):
                newest = last
            if newest is not None:
                parts = holding(parts, Span(int(newest[self.at][0]), None))
        return newest

    def _within(self, span: Span) -> "sa.Select[Any]":
        first = None if span.start_ns is None else text_of(span.start_ns)
        last = None if span.end_ns is None else text_of(span.end_ns)
        return self.stream.between(first, last).where(*beside(self.stream.table, self.stream.parts))

    def _checked(
        self, connection: sa.Connection, query: "sa.Select[Any]", span: Span, chunk_rows: int
    ) -> Iterator[Chunk]:
        """Yield the rows as the database returns them, checked to be alike."""
        done = 0
        narrowed = query.with_only_columns(*self._columns())
        with closing(raw_rows.chunks(connection, narrowed, chunk_rows)) as chunks:
            for chunk in chunks:
                segment = chunk["segment_id"]
                if (segment == _OTHER).any():
                    chunks.close()  # a server is asked one thing at a time
                    raise mixed(connection, self.stream, span)
                if (segment == _UNTIMED).any():
                    break
                done += len(segment)
                yield chunk
            else:
                return
        # Something else wrote these rows: the text is all there is.
        yield from self._by_text(connection, query.offset(done), span, chunk_rows)

    def _by_text(
        self, connection: sa.Connection, query: "sa.Select[Any]", span: Span, chunk_rows: int
    ) -> Iterator[Chunk]:
        added = [] if "timestamp" in self.read_names else [self.stream.table.c.timestamp]
        narrowed = query.with_only_columns(*self._columns(), *added)
        chunks = raw_rows.chunks(connection, narrowed, chunk_rows)
        for chunk in chunks:
            if (chunk["segment_id"] == _OTHER).any():
                chunks.close()
                raise mixed(connection, self.stream, span)
            is_untimed = chunk["segment_id"] == _UNTIMED
            if is_untimed.any():
                chunk[self.at][is_untimed] = _parsed(chunk["timestamp"][is_untimed])
            chunk["segment_id"][is_untimed] = NO_INT
            yield {name: chunk[name] for name in self.read_names}

    def _columns(self) -> list["sa.ColumnElement[Any]"]:
        table = self.stream.table
        made = {"segment_id": self._proven(), PLACE: place(table)}
        return [made[name] if name in made else table.c[name] for name in self.read_names]

    def _proven(self) -> "sa.ColumnElement[int]":
        """Return the segment, or a mark of what is wrong with the row: one value less to read."""
        table = self.stream.table
        segment = sa.case((table.c.received_at_ns.is_not(None), table.c.segment_id), else_=_UNTIMED)
        same = [table.c[name].is_not_distinct_from(value) for name, value in self.stream.alike.items()]
        if self.stream.fillings is not None:
            own = {name: value for name, value in self.stream.alike.items() if name != "kind"}
            same = [table.c[name].is_not_distinct_from(value) for name, value in own.items()]
            is_alike = table.c.kind == self.stream.alike["kind"]
            same.append(sa.or_(is_alike, table.c.segment_id.in_(self.stream.fillings.segments)))
        return (sa.case((sa.and_(*same), segment), else_=_OTHER) if same else segment).label("segment_id")


def _ordered(chunks: Iterator[Chunk], symbol: str, at: str) -> Iterator[Chunk]:
    """Sort the rows of each microsecond, whose texts of time are the same."""
    held: list[Chunk] = []
    reached_ns = NO_INT
    for chunk in chunks:
        if held and _microsecond(int(chunk[at].min())) > reached_ns:  # joined with it, all would be copied
            yield from held
            held = []
        rows = _sorted(joined([*held, chunk]), at)
        stands = rows[at]
        if stands[0] < reached_ns:
            raise QueryError(
                f"rows of {symbol} around {shown(int(stands[0]))} are not in the order of their "
                "`timestamp`: something else wrote it in another form; pandas.read_sql can read them"
            )
        reached_ns = _microsecond(int(stands[-1]))
        cut = int(np.searchsorted(stands, reached_ns))
        held = [picked(rows, slice(cut, None))]
        if cut:
            yield picked(rows, slice(0, cut))
    yield from held


def _sorted(rows: Chunk, at: str) -> Chunk:
    stands = rows[at]
    if (stands[1:] >= stands[:-1]).all():
        return rows
    return picked(rows, np.argsort(stands, kind="stable"))


def _parsed(texts: Array) -> Integers:
    import pandas as pd  # noqa: PLC0415  (rows of other programs only)

    moments = pd.DatetimeIndex(pd.to_datetime(texts, utc=True, format="ISO8601"))
    return moments.as_unit("ns").asi8


def _microsecond(at_ns: int) -> int:
    return at_ns // _MICROSECOND_NS * _MICROSECOND_NS
