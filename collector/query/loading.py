"""Load states and trades: read the rows, take the states at even instants, mark what is not covered."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
import sqlalchemy as sa

from collector.database import Tables
from collector.events import TRADE
from collector.query.chosen import Streams, tell_of_nothing
from collector.query.covered import alive_until
from collector.query.database import needed, reading
from collector.query.fast import (
    AboutToRead,
    Reader,
    can_be_fast,
    is_long,
    reading_beside,
    started,
    with_engine,
)
from collector.query.filled import chains_of, with_fillings
from collector.query.frames import Frame, Rows
from collector.query.grid import goes_on, refuse_large, unclipped
from collector.query.instants import Integers, Span
from collector.query.on_gap import Flags, known_segment, shaped
from collector.query.overlaps import apart, overlapping, refuse
from collector.query.request import RECEIVED_AT, Request
from collector.query.resample import Alive, States, resampled
from collector.query.rows import (
    NO_INT,
    RECEIPT,
    Archive,
    Array,
    Chunk,
    Series,
    find_stream,
    gathered,
    joined,
    length,
    place_name,
    split_by_days,
    stored_market,
)
from collector.query.sparse_rows import sparse

PIECE_ROWS = 200_000
QUALITY = "data_quality_score"
_MS_NS = 1_000_000


def load(request: Request) -> Frame:
    """Return the frame of a request; with on_gap="split" a list of frames."""
    rows = request.rows

    def work(connection: sa.Connection, tables: Tables, about_to_read: AboutToRead) -> list[_Loaded]:
        series = _series(connection, tables, request)
        about_to_read(connection, series.most(request.read_span))
        return [_whole(connection, tables, *one) for one in _unmixed(connection, tables, request, series)]

    loaded = with_engine(rows.database, rows.table_name, request.engine, work)
    pieces = [piece for rows in loaded for piece in rows.shaped(request, None)]
    if not any(len(piece.at_ns) for piece in pieces):
        tell_of_nothing(request.rows)
    frames = [piece.frame(request.output, request.order) for piece in pieces]
    return frames if request.on_gap == "split" else frames[0]


def iterate(request: Request) -> Iterator[Frame]:
    """Yield frames of consecutive pieces; no transaction is open while the caller works."""
    database, engine = request.rows.database, request.engine
    with reading(database, request.rows.table_name) as (connection, tables):
        whole = _series(connection, tables, request)
        unmixed = list(_unmixed(connection, tables, request, whole))
        is_fast = can_be_fast(database, engine) and (
            engine != "auto" or is_long(connection, whole.most(request.read_span))
        )
    before: int | None = None
    is_empty = True
    with started(database) if is_fast else nullcontext() as reader:
        for one, series in unmixed:
            for rows in _Pieces(one, series, reader).rows():
                for piece in rows.shaped(request, before):
                    is_empty = False
                    yield piece.frame(request.output, request.order)
                before = int(rows.chain[-1])
    if is_empty:
        tell_of_nothing(request.rows)


def _unmixed(
    connection: sa.Connection, tables: Tables, request: Request, series: Series
) -> Iterator[tuple[Request, Series]]:
    """Yield what to read one after the other; raise where a clock was set back, unless that may be split."""
    pairs = overlapping(connection, tables, series, request.rows.table.holds, request.rows.span)
    if not pairs:
        yield request, series
    elif request.on_gap != "split":
        refuse(pairs, series.stream.symbol)
    else:
        for stream, span in apart(series.stream, request.rows.span, pairs):
            yield request.within(span), series.of(stream)


def _whole(connection: sa.Connection, tables: Tables, request: Request, series: Series) -> "_Loaded":
    span, step_ns = request.rows.span, request.step_ns
    if step_ns is None and request.index == RECEIVED_AT:
        return _as_stored(series, series.by_receipt(connection, span), request)
    if step_ns is None:
        columns = gathered(series.read(connection, span), series.kinds)
        return _as_stored(series, columns, request, chains_of(connection, tables, series.stream, TRADE))
    alive = _alive(connection, tables, series)
    refuse_large(connection, series, span, step_ns, alive.last_ns, len(request.order) + 1)
    read, fetch = sparse(connection, tables, series, step_ns)
    chunks = _with_state_before(read, connection, request, read.read(connection, request.read_span))
    states = resampled(chunks, span, step_ns, alive.until, fetch, goes_on=goes_on(connection, series, span))
    return _at_instants(series, list(_checked(states, request)), request)


def _checked(states: Iterator[States], request: Request) -> Iterator[States]:
    if request.on_gap != "raise" or request.step_ns is None:
        return states
    return unclipped(states, request.rows.span, request.step_ns)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """Rows or states, and which of them can be relied on."""

    rows: Rows
    good: Flags
    seen: Flags
    chain: Integers  # of segments that go on without a hole

    def shaped(self, request: Request, before: int | None) -> list[Rows]:
        return shaped(self.rows, self.good, self.seen, self.chain, request.on_gap, before)


class _Pieces:
    """Reads piece after piece, each in a transaction of its own."""

    def __init__(self, request: Request, series: Series, reader: Reader | None) -> None:
        self._reader = reader
        self._request = request
        self._series = series
        self._alive = Alive.of({})
        self._has_begun = False

    def rows(self) -> Iterator[_Loaded]:
        """Yield the pieces."""
        request, series = self._request, self._series
        if request.step_ns is None:
            for chunk in self._chunks():
                yield _as_stored(series, dict(chunk), request)
            return
        with reading(request.rows.database, request.rows.table_name) as (connection, _):
            more = goes_on(connection, series, request.rows.span)
        found = resampled(self._chunks(), request.rows.span, request.step_ns, self._until, goes_on=more)
        for states in _checked(found, request):
            yield _at_instants(series, [states], request)

    def _until(self, segment_ids: Integers) -> Integers:
        return self._alive.until(segment_ids)  # of the newest piece: open segments live on

    def _chunks(self) -> Iterator[Chunk]:
        """Yield the rows of the table in pieces, those of days that were moved to files a day at a time.

        Each piece sees in one transaction what was moved by then: a day may be while the caller works.
        """
        rows, span = self._request.rows, self._request.read_span
        position, is_over = span.start_ns, False
        while not is_over:
            with reading_beside(self._reader, rows.database, rows.table_name) as (connection, tables):
                self._alive = _alive(connection, tables, self._series)
                archive = Archive.read(connection, tables, needed(connection, rows.table.choose(tables)))
                series = self._series.of(self._series.stream.with_files(archive))
                rest = next(split_by_days(Span(position, span.end_ns), series.stream.parts))
                if any(part.may_hold(rest) for part in series.stream.parts):
                    chunks, following = list(series.read(connection, rest)), rest.end_ns
                else:
                    chunk, next_ns = series.piece(connection, rest, PIECE_ROWS)
                    chunks, following = [chunk], rest.end_ns if next_ns is None else next_ns
                if not self._has_begun:
                    chunks = list(_with_state_before(series, connection, self._request, iter(chunks)))
                    self._has_begun = True
            yield from (chunk for chunk in chunks if length(chunk))
            position, is_over = following, following == span.end_ns


def _series(connection: sa.Connection, tables: Tables, request: Request) -> Series:
    rows = request.rows
    table = needed(connection, rows.table.choose(tables))
    archive = Archive.read(connection, tables, table)
    exchange, symbol = stored_market(connection, table, rows.symbol, rows.exchange, archive)
    streams = Streams.of(connection, tables, rows, table, (exchange, symbol), archive)
    wanted = streams.with_deepest(streams.checked(rows.alike), rows.span)
    stream = find_stream(connection, table, symbol, exchange, rows.span, wanted, archive)
    stream = with_fillings(connection, tables, stream, rows.span)
    if rows.origin is not None:
        stream = stream.of_origin(rows.origin)
    names = [place_name(table), "segment_id", *request.columns]
    if request.min_quality is not None:
        names.append(QUALITY)
    if request.index == "exchange_timestamp":
        names.append("exchange_timestamp")
    constants = stream.constants
    known = {*table.columns.keys(), place_name(table)}  # an older database lacks what came later
    return Series(stream, tuple(one for one in dict.fromkeys(names) if one in known and one not in constants))


def _alive(connection: sa.Connection, tables: Tables, series: Series) -> Alive:
    return Alive.of(alive_until(connection, tables, series.stream.symbol, series.stream.exchange))


def _with_state_before(
    series: Series, connection: sa.Connection, request: Request, chunks: Iterator[Chunk]
) -> Iterator[Chunk]:
    """Yield the last row before the span and then the rows, where states are asked for."""
    start_ns = request.read_span.start_ns
    if request.step_ns is not None and start_ns is not None:
        last = series.last_before(connection, start_ns)
        if last is not None:
            yield last
    yield from chunks


def _as_stored(
    series: Series, columns: dict[str, Array], request: Request, chains: Mapping[int, int] | None = None
) -> _Loaded:
    good = seen = _good(columns, request)
    segment = columns["segment_id"]
    if request.on_gap in {"split", "raise"}:
        good = good & known_segment(segment)
    chain = segment
    if chains:
        numbers, places = np.unique(segment, return_inverse=True)
        first = np.array([chains.get(number, number) for number in numbers.tolist()], dtype=np.int64)
        chain = first[places]
    at_ns = columns[RECEIPT if request.index == RECEIVED_AT else series.at]
    rows = replace(_rows(series, at_ns, columns, request), chains=chains or {})
    return _Loaded(rows, good, seen, chain)


def _at_instants(series: Series, found: list[States], request: Request) -> _Loaded:
    if not found:
        none = np.zeros(0, dtype=np.bool_)
        found = [States(np.zeros(0, dtype=np.int64), joined([], series.kinds), none, none)]
    columns = joined([states.columns for states in found])
    at_ns = np.concatenate([states.at_ns for states in found])
    quality = _good(columns, request)
    good = np.concatenate([states.covered for states in found]) & quality
    seen = np.concatenate([states.seen for states in found]) & quality
    return _Loaded(_rows(series, at_ns, columns, request), good, seen, columns["segment_id"])


def _good(columns: Mapping[str, Array], request: Request) -> Flags:
    if request.min_quality is None:
        return np.ones(length(columns), dtype=np.bool_)
    return np.asarray(columns[QUALITY] >= request.min_quality)


def _rows(series: Series, at_ns: Integers, columns: Mapping[str, Array], request: Request) -> Rows:
    kept = {name: columns[name] for name in request.columns if name in columns}
    kept["segment"] = columns["segment_id"]
    if request.index == "exchange_timestamp":
        exchange_ms = columns["exchange_timestamp"]
        at_ns = np.where(exchange_ms == NO_INT, NO_INT, exchange_ms * _MS_NS)
    return Rows(at_ns, kept, series.stream.constants, None, request.index, request.step_ns)
