"""What the loaders of states (features, levels) have in common: plan, read, resample, shape."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import sqlalchemy as sa

from collector.database.tables import Tables
from collector.errors import QueryError
from collector.query.coverage import alive_until
from collector.query.database import Database, needed, reading
from collector.query.frames import Frame, Output, Rows, checked_output
from collector.query.holes import OnGap, checked_on_gap, known_segment, shaped
from collector.query.instants import Instant, Integers, Span, duration_ns
from collector.query.resample import Alive, States, resampled
from collector.query.rows.archive_files import Archive, split_by_days
from collector.query.rows.columns import NO_INT, Array, Chunk, joined
from collector.query.rows.series import Series
from collector.query.rows.sparse import sparse
from collector.query.rows.stored_stream import Value, Wanted, find_stream

Index = Literal["received_at", "exchange_timestamp"]
PIECE_ROWS = 200_000
QUALITY = "data_quality_score"
_MS_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class Request:
    """What a caller wants of a table of states."""

    symbol: str
    exchange: str | None
    wanted: Mapping[str, Wanted]  # in what all rows must be alike
    span: Span
    columns: tuple[str, ...]
    step_ns: int | None
    on_gap: OnGap
    min_quality: float | None
    output: Output
    index: Index

    @property
    def order(self) -> tuple[str, ...]:
        """Return the columns of the frame."""
        return tuple(dict.fromkeys([*self.columns, "segment"]))


def checked_request(
    symbol: str,
    exchange: str | None,
    wanted: Mapping[str, Wanted],
    start: Instant,
    end: Instant,
    columns: Sequence[str],
    known: Sequence[str],
    every: str | None,
    on_gap: OnGap,
    min_quality: float | None,
    output: Output,
    index: Index,
) -> Request:
    """Check all that can be checked before a database is opened."""
    checked_on_gap(on_gap)
    checked_output(output)
    unknown = sorted(set(columns) - set(known))
    if unknown:
        raise QueryError(f"the table has no column {', '.join(unknown)}; it has {', '.join(known)}")
    if index not in {"received_at", "exchange_timestamp"}:
        raise QueryError(f"index is {index!r}; expected received_at or exchange_timestamp")
    if every is not None and index != "received_at":
        raise QueryError("every= takes states at instants of receipt: what was known then; leave out index=")
    if min_quality is not None and not 0.0 <= min_quality <= 1.0:
        raise QueryError(f"min_quality is {min_quality!r}; expected a number from 0 to 1")
    step_ns = None if every is None else duration_ns("every", every)
    span = Span.asked(start, end)
    return Request(
        symbol, exchange, wanted, span, tuple(columns), step_ns, on_gap, min_quality, output, index
    )


def load(database: Database, table_name: str, ask: Request, choose: Callable[[Tables], sa.Table]) -> Frame:
    """Return the frame that is asked for; with on_gap="split" a list of frames."""
    with reading(database, table_name) as (connection, tables):
        series = _series(connection, tables, needed(connection, choose(tables)), ask)
        if ask.step_ns is None:
            rows = _as_they_are(series, joined(list(series.read(connection, ask.span)), series.kinds), ask)
        else:
            until = alive_until(connection, tables, series.stream.symbol, series.stream.exchange)
            read, fetch = sparse(connection, tables, series, ask.step_ns)
            chunks = _from_before(read, connection, ask, read.read(connection, _wider(ask)))
            found = list(resampled(chunks, ask.span, ask.step_ns, Alive.of(until).until, fetch))
            rows = _at_instants(series, found, ask)
    frames = [piece.frame(ask.output, ask.order) for piece in rows.shaped(ask, None)]
    return frames if ask.on_gap == "split" else frames[0]


def iterate(
    database: Database, table_name: str, ask: Request, choose: Callable[[Tables], sa.Table]
) -> Iterator[Frame]:
    """Yield frames of consecutive pieces; no transaction is open while the caller works."""
    reader = _Pieces(database, table_name, ask, choose)
    before: int | None = None
    for rows in reader.rows():
        for piece in rows.shaped(ask, before):
            yield piece.frame(ask.output, ask.order)
        before = int(rows.rows.columns["segment"][-1])


@dataclass(frozen=True, slots=True)
class _Read:
    """Rows, and which of them can be relied on."""

    rows: Rows
    good: np.ndarray[tuple[int], np.dtype[np.bool_]]
    seen: np.ndarray[tuple[int], np.dtype[np.bool_]]

    def shaped(self, ask: Request, before: int | None) -> list[Rows]:
        return shaped(self.rows, self.good, self.seen, ask.on_gap, before)


class _Pieces:
    """Reads piece after piece, each in a transaction of its own."""

    def __init__(
        self, database: Database, table_name: str, ask: Request, choose: Callable[[Tables], sa.Table]
    ) -> None:
        self._database = database
        self._table_name = table_name
        self._ask = ask
        self._choose = choose
        self._alive = Alive.of({})
        self._has_begun = False
        with reading(database, table_name) as (connection, tables):
            self._series = _series(connection, tables, needed(connection, choose(tables)), ask)

    def rows(self) -> Iterator[_Read]:
        """Yield the pieces."""
        ask, series = self._ask, self._series
        if ask.step_ns is None:
            for chunk in self._chunks(ask.span):
                yield _as_they_are(series, dict(chunk), ask)
            return
        states = resampled(self._chunks(_wider(ask)), ask.span, ask.step_ns, self._until)
        for found in states:
            yield _at_instants(series, [found], ask)

    def _until(self, segment_ids: Integers) -> Integers:
        return self._alive.until(segment_ids)  # of the newest piece: open segments live on

    def _chunks(self, span: Span) -> Iterator[Chunk]:
        """Yield the rows of the table in pieces, those of days that were moved to files a day at a time."""
        for part in split_by_days(span, self._series.stream.parts):
            yield from self._pieces(part)

    def _pieces(self, span: Span) -> Iterator[Chunk]:
        position, is_over = span.start_ns, False
        while not is_over:
            with reading(self._database, self._table_name) as (connection, tables):
                stream = self._series.stream
                self._alive = Alive.of(alive_until(connection, tables, stream.symbol, stream.exchange))
                here = Span(position, span.end_ns)
                if any(part.may_hold(here) for part in stream.parts):
                    chunks, following = list(self._series.read(connection, here)), None
                else:
                    chunk, following = self._series.piece(connection, here, PIECE_ROWS)
                    chunks = [chunk]
                if not self._has_begun:
                    chunks = list(_from_before(self._series, connection, self._ask, iter(chunks)))
                    self._has_begun = True
            yield from (one for one in chunks if len(one["received_at_ns"]))
            position, is_over = following, following is None


def _series(connection: sa.Connection, tables: Tables, table: sa.Table, ask: Request) -> Series:
    archive = Archive.read(connection, tables, table)
    stream = find_stream(connection, table, ask.symbol, ask.exchange, ask.span, ask.wanted, archive)
    names = ["received_at_ns", "segment_id", *ask.columns]
    if ask.min_quality is not None:
        names.append(QUALITY)
    if ask.index == "exchange_timestamp":
        names.append("exchange_timestamp")
    constants = stream.constants
    return Series(stream, tuple(name for name in dict.fromkeys(names) if name not in constants))


def _wider(ask: Request) -> Span:
    """Return the span that flows need: the step before the first instant too."""
    if ask.span.start_ns is None or ask.step_ns is None:
        return ask.span
    return Span(ask.span.start_ns - ask.step_ns, ask.span.end_ns)


def _from_before(
    series: Series, connection: sa.Connection, ask: Request, chunks: Iterator[Chunk]
) -> Iterator[Chunk]:
    """Put the state that stands at the beginning before the rows."""
    start_ns = _wider(ask).start_ns
    if ask.step_ns is not None and start_ns is not None:
        last = series.last_before(connection, start_ns)
        if last is not None:
            yield last
    yield from chunks


def _as_they_are(series: Series, columns: dict[str, Array], ask: Request) -> _Read:
    received = columns["received_at_ns"]
    good = _good(columns, ask)
    seen = good
    if ask.on_gap in {"split", "raise"}:
        good = good & known_segment(columns["segment_id"])
    return _Read(_rows(series, received, columns, ask), good, seen)


def _at_instants(series: Series, found: list[States], ask: Request) -> _Read:
    if not found:
        nothing = np.zeros(0, dtype=np.bool_)
        return _Read(
            _rows(series, np.empty(0, dtype=np.int64), joined([], series.kinds), ask), nothing, nothing
        )
    columns = joined([one.columns for one in found])
    at_ns = np.concatenate([one.at_ns for one in found])
    quality = _good(columns, ask)
    good = np.concatenate([one.covered for one in found]) & quality
    seen = np.concatenate([one.seen for one in found]) & quality
    return _Read(_rows(series, at_ns, columns, ask), good, seen)


def _good(columns: Mapping[str, Array], ask: Request) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    if ask.min_quality is None:
        return np.ones(len(columns["received_at_ns"]), dtype=np.bool_)
    return np.asarray(columns[QUALITY] >= ask.min_quality)


def _rows(series: Series, at_ns: Integers, columns: dict[str, Array], ask: Request) -> Rows:
    constants: dict[str, Value] = series.stream.constants
    kept = {name: columns[name] for name in ask.columns if name in columns}
    kept["segment"] = columns["segment_id"]
    if ask.index == "exchange_timestamp":
        told = columns["exchange_timestamp"]
        at_ns = np.where(told == NO_INT, NO_INT, told * _MS_NS)
    return Rows(at_ns, kept, constants, None, ask.index, ask.step_ns)
