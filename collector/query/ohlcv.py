"""Load bars."""

from typing import Literal

import numpy as np

from collector.errors import QueryError
from collector.query.columns import joined, picked
from collector.query.database import Database, needed, reading
from collector.query.frames import Frame, Output, Rows, checked_output
from collector.query.instants import Instant, Span
from collector.query.series import Series
from collector.query.streams import Wanted, find_stream
from collector.sinks.schema import DEFAULT_TABLE_NAME

BarIndex = Literal["received_at", "exchange_timestamp", "open_time"]
NUMBERS = ("open_time", "open", "high", "low", "close", "volume", "vwap", "count", "exchange_timestamp")
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
    data_source: Wanted = None,
    index: BarIndex = "received_at",
    output: Output = "pandas",
    table_name: str = DEFAULT_TABLE_NAME,
) -> Frame:
    """Return the bars that the exchange called finished, indexed by when that was known here.

    `index="open_time"` gives the beginning of each bar instead, for charts, and [start, end) is then of
    that: joined to other data by it, a bar tells what was not known yet. `unconfirmed` adds bars that were
    not finished when last heard of, with a column `confirmed`. `open_time` is in milliseconds.

    >>> load_ohlcv("live.db", "BTC/USDT:USDT", interval="1m")  # doctest: +SKIP
    """
    checked_output(output)
    if index not in {"received_at", "exchange_timestamp", "open_time"}:
        raise QueryError(f"index is {index!r}; expected received_at, exchange_timestamp or open_time")
    span = Span.asked(start, end)
    receipt = span if index != "open_time" else Span(span.start_ns)  # a bar is heard of after it began
    with reading(db, table_name) as (connection, tables):
        table = needed(connection, tables.ohlcv)
        wanted = {"interval": interval, "data_source": data_source}
        stream = find_stream(connection, table, symbol, exchange, receipt, wanted)
        series = Series(stream, ("received_at_ns", "segment_id", "confirmed", *NUMBERS))
        bars = joined(list(series.read(connection, receipt)), series.kinds)
    if not unconfirmed:
        bars = picked(bars, bars["confirmed"] == 1)
    at_ns = bars["received_at_ns"]
    if index != "received_at":
        at_ns = bars[index] * _MS_NS
    if index == "open_time":
        order = np.argsort(at_ns, kind="stable")
        order = order[span.holds(at_ns[order])]
        bars, at_ns = picked(bars, order), at_ns[order]
    order_of_columns = (*(name for name in NUMBERS if name != index), *(["confirmed"] if unconfirmed else []))
    columns = {**bars, "segment": bars["segment_id"]}
    return Rows(at_ns, columns, stream.constants, None, index).frame(output, (*order_of_columns, "segment"))
