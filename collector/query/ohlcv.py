"""Load bars."""

from typing import Literal

import numpy as np
import sqlalchemy as sa

from collector.errors import QueryError
from collector.query.columns import Chunk, joined, picked
from collector.query.database import Database, has_table, needed, reading
from collector.query.frames import Frame, Output, Rows, checked_output
from collector.query.instants import Instant, Integers, Span, instant_ns
from collector.query.series import Series
from collector.query.streams import Source, Wanted, find_stream
from collector.sinks.schema import DEFAULT_TABLE_NAME, Tables

BarIndex = Literal["received_at", "exchange_timestamp", "open_time"]
NUMBERS = ("open_time", "open", "high", "low", "close", "volume", "vwap", "count", "exchange_timestamp")
FLAGS = ("confirmed", "corrected")  # 1 or 0
_MS_NS = 1_000_000


def load_ohlcv(
    db: Database,
    symbol: str,
    *,
    interval: str | None = None,
    exchange: str | None = None,
    start: Instant = None,
    end: Instant = None,
    unconfirmed: bool = False,
    as_of: Instant = None,
    data_source: Wanted = None,
    index: BarIndex = "received_at",
    output: Output = "pandas",
    table_name: str = DEFAULT_TABLE_NAME,
) -> Frame:
    """Return the bars that the exchange called finished, indexed by when that was known here.

    Of a bar that the exchange corrected later, the latest is returned, at the time when that was received,
    with `corrected` 1; only what was received in [start, end) counts. `as_of` returns what was known at that
    instant: what was received at or before it.

    `index="open_time"` gives the beginning of each bar instead, for charts, and [start, end) is then of
    that: joined to other data by it, a bar tells what was not known yet. `unconfirmed` adds bars that were
    not finished when last heard of, with a column `confirmed`; what they were before is not stored, so that
    `as_of` leaves out those heard of since. `open_time` is in milliseconds.

    >>> load_ohlcv("live.db", "BTC/USDT:USDT", interval="1m")  # doctest: +SKIP
    """
    checked_output(output)
    if index not in {"received_at", "exchange_timestamp", "open_time"}:
        raise QueryError(f"index is {index!r}; expected received_at, exchange_timestamp or open_time")
    span = Span.asked(start, end)
    receipt = span if index != "open_time" else Span(span.start_ns)  # a bar is heard of after it began
    receipt = _known(receipt, instant_ns("as_of", as_of))
    with reading(db, table_name) as (connection, tables):
        told = _told(connection, tables)
        wanted = {"interval": interval, "data_source": data_source}
        stream = find_stream(connection, told, symbol, exchange, receipt, wanted)
        which = () if "interval" in stream.constants else ("interval",)
        series = Series(stream, ("received_at_ns", "segment_id", "id", *FLAGS, *which, *NUMBERS))
        bars = joined(list(series.read(connection, receipt)), series.kinds)
    bars = picked(bars, _latest(bars))
    if not unconfirmed:
        bars = picked(bars, bars["confirmed"] == 1)
    at_ns = bars["received_at_ns"]
    if index != "received_at":
        at_ns = bars[index] * _MS_NS
    if index == "open_time":
        order = np.argsort(at_ns, kind="stable")
        order = order[span.holds(at_ns[order])]
        bars, at_ns = picked(bars, order), at_ns[order]
    flags = FLAGS if unconfirmed else ("corrected",)
    order_of_columns = (*(name for name in NUMBERS if name != index), *flags, "segment")
    columns = {**bars, "segment": bars["segment_id"]}
    return Rows(at_ns, columns, stream.constants, None, index).frame(output, order_of_columns)


def _known(receipt: Span, as_of_ns: int | None) -> Span:
    """Leave out what was received after an instant."""
    if as_of_ns is None:
        return receipt
    end_ns = as_of_ns + 1 if receipt.end_ns is None else min(receipt.end_ns, as_of_ns + 1)
    return Span(receipt.start_ns, end_ns)


def _told(connection: sa.Connection, tables: Tables) -> Source:
    """Return all that was told of bars: as it stands or was confirmed first, and the corrections."""
    table, corrections = needed(connection, tables.ohlcv), tables.ohlcv_corrections
    first = sa.select(table, sa.literal_column("0", sa.BIGINT()).label("corrected"))
    if not has_table(connection, corrections):  # a database of an earlier version
        return first.subquery(table.name)
    later = sa.select(corrections, sa.literal_column("1", sa.BIGINT()).label("corrected"))
    return sa.union_all(first, later).subquery(table.name)


def _latest(bars: Chunk) -> Integers:
    """Return the places of what was received last of each bar, in the order of receipt."""
    interval = bars.get("interval")
    kinds = np.zeros(0) if interval is None else np.unique(interval.astype(str), return_inverse=True)[1]
    bar = (bars["open_time"],) if interval is None else (bars["open_time"], kinds)
    order = np.lexsort((bars["id"], bars["corrected"], bars["received_at_ns"], *bar))
    is_last = np.ones(len(order), dtype=np.bool_)
    is_last[:-1] = np.any([one[order][1:] != one[order][:-1] for one in bar], axis=0)
    return np.sort(order[is_last])
