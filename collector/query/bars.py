"""Load bars: the latest of what the exchange said of each, by when it was known here."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import sqlalchemy as sa

from collector.database import Tables
from collector.events import OHLCV
from collector.query.chosen import Streams, tell_of_nothing
from collector.query.clock_steps import ClockSteps
from collector.query.database import as_stored, has_table, needed
from collector.query.fast import AboutToRead, with_engine
from collector.query.filled import chains_of
from collector.query.frames import Frame, Rows
from collector.query.instants import Integers, Span
from collector.query.overlaps import overlapping, refuse
from collector.query.request import PLACE as PLACE_INDEX
from collector.query.request import RECEIVED_AT, LoadedTable, Request
from collector.query.rows import (
    RECEIPT,
    Archive,
    Chunk,
    Series,
    Source,
    find_stream,
    gathered,
    picked,
    stored_market,
)

NUMBERS = ("open_time", "open", "high", "low", "close", "volume", "vwap", "count", "exchange_timestamp")
FLAGS = ("confirmed", "corrected")  # 1 or 0
BARS = LoadedTable(
    lambda tables: tables.ohlcv,
    (*NUMBERS, "origin"),
    NUMBERS,
    lambda channel: channel.family == OHLCV,
    (PLACE_INDEX, RECEIVED_AT, "exchange_timestamp", "open_time"),
)
_MS_NS = 1_000_000
_HINT = 'index="open_time" does not ask when bars were known, or choose a span without both'


class _Read(NamedTuple):
    series: Series
    bars: Chunk
    chains: Mapping[int, int]  # segments, and the first that each goes on from
    offs_ns: Mapping[int, int]  # what the stamps of a segment are off


def load_bars(request: Request, as_of_ns: int | None, *, unconfirmed: bool) -> Frame:
    """Return the bars of a request, unconfirmed ones where they are wanted."""
    rows, index = request.rows, request.index
    # A bar is received after it began: one that began in the span may be received behind it.
    known = _known(rows.span if index != "open_time" else Span(rows.span.start_ns), as_of_ns)

    def work(connection: sa.Connection, tables: Tables, about_to_read: AboutToRead) -> _Read:
        source = _all_versions(connection, tables)
        exchange, symbol = stored_market(connection, tables.ohlcv, rows.symbol, rows.exchange, Archive())
        alike = Streams.of(connection, tables, rows, tables.ohlcv, (exchange, symbol), Archive()).checked(
            rows.alike
        )
        stream = find_stream(connection, source, symbol, exchange, known, alike)
        if rows.origin is not None:
            stream = stream.of_origin(rows.origin)
        interval = () if "interval" in stream.constants else ("interval",)
        if is_by_clock or as_of_ns is not None:
            keys = Series(stream, ())
            refuse(overlapping(connection, tables, keys, rows.table.holds, rows.span), stream.symbol, _HINT)
        more = [name for name in request.columns if name not in NUMBERS and name in source.c]
        series = Series(stream, (RECEIPT, "id", *FLAGS, *interval, *NUMBERS, *more))
        about_to_read(connection, series.most(known))
        if index == RECEIVED_AT:
            bars = series.by_receipt(connection, known)
        else:
            bars = gathered(series.read(connection, known), series.kinds)
        if as_of_ns is not None:
            bars = picked(bars, bars[RECEIPT] <= as_of_ns)
        chains = {} if index == RECEIVED_AT else chains_of(connection, tables, stream, OHLCV)
        offs_ns: Mapping[int, int] = {}
        if not is_by_clock and as_of_ns is None and bars["corrected"].any():
            steps = ClockSteps.read(connection, tables)
            offs_ns = steps.offs_ns(connection, tables, stream.exchange, stream.symbol)
        return _Read(series, bars, chains, offs_ns)

    is_by_clock = index in {PLACE_INDEX, RECEIVED_AT}
    series, bars, chains, offs_ns = with_engine(rows.database, rows.table_name, request.engine, work)
    bars = picked(bars, _latest(bars, offs_ns))
    if not unconfirmed:
        bars = picked(bars, bars["confirmed"] == 1)
    clock = {PLACE_INDEX: series.at, RECEIVED_AT: RECEIPT}
    at_ns = bars[clock[index]] if is_by_clock else bars[index] * _MS_NS
    if index == "open_time":
        order = np.argsort(at_ns, kind="stable")
        order = order[rows.span.holds(at_ns[order])]
        bars, at_ns = picked(bars, order), at_ns[order]
    if not len(at_ns):
        tell_of_nothing(rows)
    flags = FLAGS if unconfirmed else ("corrected",)
    names = (*(name for name in request.columns if name != index), *flags, "segment")
    columns = {**bars, "open_time": bars["open_time"] * _MS_NS, "segment": bars["segment_id"]}
    found = Rows(at_ns, columns, series.stream.constants, None, index, chains=chains)
    return found.frame(request.output, names)


def _known(receipt: Span, as_of_ns: int | None) -> Span:
    """Return the span up to and including an instant."""
    if as_of_ns is None:
        return receipt
    end_ns = as_of_ns + 1 if receipt.end_ns is None else min(receipt.end_ns, as_of_ns + 1)
    return Span(receipt.start_ns, end_ns)


def _all_versions(connection: sa.Connection, tables: Tables) -> Source:
    """Return all versions of the bars: as they stand or were confirmed first, and the corrections."""
    table, corrections = needed(connection, tables.ohlcv), as_stored(connection, tables.ohlcv_corrections)
    first = sa.select(table, sa.literal_column("0", sa.BIGINT()).label("corrected"))
    if not has_table(connection, corrections):  # a database of an earlier version
        return first.subquery(table.name)
    later = sa.select(corrections, sa.literal_column("1", sa.BIGINT()).label("corrected"))
    return sa.union_all(first, later).subquery(table.name)


def _latest(bars: Chunk, offs_ns: Mapping[int, int]) -> Integers:
    """Return the places of the version received last of each bar, in the order of receipt.

    `offs_ns`: what is to be added to the stamps of a segment, for its clock was stepped since.
    """
    received_ns = bars["received_at_ns"].copy()
    for segment_id, off_ns in offs_ns.items():
        received_ns[bars["segment_id"] == segment_id] += off_ns
    interval = bars.get("interval")
    kinds = np.zeros(0) if interval is None else np.unique(interval.astype(str), return_inverse=True)[1]
    bar = (bars["open_time"],) if interval is None else (bars["open_time"], kinds)
    order = np.lexsort((bars["id"], bars["corrected"], received_ns, *bar))
    is_last = np.ones(len(order), dtype=np.bool_)
    is_last[:-1] = np.any([one[order][1:] != one[order][:-1] for one in bar], axis=0)
    return np.sort(order[is_last])
