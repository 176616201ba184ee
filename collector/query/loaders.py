"""Load the table of book rows without ever pretending that a hole was seen."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import sqlalchemy as sa

from collector.database.market_tables import LEVEL_COLUMNS, STORED_LEVELS
from collector.database.tables import DEFAULT_TABLE_NAME, HOT_COLUMNS, Tables, tables
from collector.errors import QueryError
from collector.query.database import Database, has_table, needed, reading
from collector.query.frames import Frame, Output, Rows, checked_output
from collector.query.holes import OnGap
from collector.query.instants import Instant, Integers, Span, instant_ns
from collector.query.loading import Index, Request, checked_request, iterate, load
from collector.query.rows.columns import Chunk, joined, picked
from collector.query.rows.series import Series
from collector.query.rows.stored_stream import Source, Wanted, find_stream
from collector.query.training import windows

LEVELS_COLUMNS = tuple(column.name for column in tables(DEFAULT_TABLE_NAME).levels.columns)
# DeepLOB's order (Zhang, Zohren, Roberts 2019): ask price, ask size, bid price, bid size, level by level.
TENSOR_COLUMNS = tuple(
    f"{side}_{what}_{level}"
    for level in range(1, STORED_LEVELS + 1)
    for side in ("ask", "bid")
    for what in ("price", "size")
)


def load_levels(
    db: Database,
    symbol: str,
    *,
    exchange: str | None = None,
    depth: int | None = None,
    start: Instant = None,
    end: Instant = None,
    columns: Sequence[str] | None = None,
    every: str | None = None,
    on_gap: OnGap = "mask",
    data_source: Wanted = None,
    index: Index = "received_at",
    output: Output = "pandas",
    table_name: str = DEFAULT_TABLE_NAME,
) -> Frame:
    """Return the best ten levels a side, stored where `storage.features` is `deep`; as load_features.

    `columns` are the 40 prices and sizes unless others are named.

    >>> load_levels("live.db", "BTC/USDT:USDT", every="1s")  # doctest: +SKIP
    """
    chosen = LEVEL_COLUMNS if columns is None else tuple(columns)
    wanted = {"depth": depth, "data_source": data_source}
    ask = checked_request(
        symbol,
        exchange,
        wanted,
        start,
        end,
        chosen,
        LEVELS_COLUMNS,
        every,
        on_gap,
        None,
        output,
        index,
    )
    return load(db, table_name, ask, lambda known: known.levels)


def book_tensor(levels: pd.DataFrame, length: int, step: int = 1) -> npt.NDArray[np.float64]:
    """Return (samples, length, 40): windows of ten levels in DeepLOB's order; none crosses a hole.

    A window in which a level is missing is left out like one with a hole. Numbers are as stored: normalise
    with the past only.
    """
    missing = sorted(set(TENSOR_COLUMNS) - set(levels.columns))
    if missing:
        raise QueryError(f"the frame has no column {missing[0]}; expected one that load_levels made")
    return windows(levels, length, step, columns=TENSOR_COLUMNS).samples


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


TRADE_COLUMNS = tuple(column.name for column in tables(DEFAULT_TABLE_NAME).trades.columns)
TRADE_COLUMNS = ("trade_id", "price", "size", "side", "marked", "exchange_timestamp")


def load_trades(
    db: Database,
    symbol: str,
    *,
    exchange: str | None = None,
    kind: str | None = None,
    start: Instant = None,
    end: Instant = None,
    columns: Sequence[str] | None = None,
    on_gap: OnGap = "mask",
    data_source: Wanted = None,
    index: Index = "received_at",
    output: Output = "pandas",
    table_name: str = DEFAULT_TABLE_NAME,
) -> Frame:
    """Return the trades received in [start, end), with their `segment`; `side` is the taker's.

    `kind` is "trade" or "agg" (Binance's aggregates): asked for where both are stored. `on_gap` acts on
    segments: "split" returns a list of frames, "raise" refuses a hole, "mask" and "ignore" take the trades
    as they are. A trade with `marked` is not one of the market.

    >>> load_trades("live.db", "BTC/USDT:USDT")  # doctest: +SKIP
    """
    chosen = TRADE_COLUMNS if columns is None else tuple(columns)
    wanted = {"kind": kind, "data_source": data_source}
    ask = checked_request(
        symbol,
        exchange,
        wanted,
        start,
        end,
        chosen,
        TRADE_COLUMNS,
        None,
        on_gap,
        None,
        output,
        index,
    )
    return load(db, table_name, ask, lambda known: known.trades)


NOT_LOADED = ("id", "timestamp", "symbol", "exchange", "created_at", "received_at_ns", "segment_id", "depth")
DEFAULT_COLUMNS = tuple(name for name in HOT_COLUMNS if name not in NOT_LOADED)


def load_features(
    db: Database,
    symbol: str,
    *,
    exchange: str | None = None,
    depth: int | None = None,
    start: Instant = None,
    end: Instant = None,
    columns: Sequence[str] | None = None,
    every: str | None = None,
    on_gap: OnGap = "mask",
    min_quality: float | None = None,
    data_source: Wanted = None,
    index: Index = "received_at",
    output: Output = "pandas",
    table_name: str = DEFAULT_TABLE_NAME,
) -> Frame:
    """Return a symbol's rows received in [start, end), indexed by receipt in UTC, with their `segment`.

    `every` ("100ms", "1s") asks for the last verified state at each such instant instead, order flow
    (`ofi`) summed, a state being carried on only while its segment is alive. `on_gap` says what becomes of
    an instant that is not covered: "mask" leaves it empty, "split" returns a list with one frame for each
    unbroken stretch, "raise" refuses, and "ignore" carries the last state across. Without `every`, rows are
    what they are: "split" and "raise" act on segments. Rows below `min_quality` count as not covered.

    >>> load_features("live.db", "BTC/USDT:USDT", every="1s")  # doctest: +SKIP
    """
    wanted = {"depth": depth, "data_source": data_source}
    ask = _asked(symbol, exchange, wanted, start, end, columns, every, on_gap, min_quality, output, index)
    return load(db, table_name, ask, lambda tables: tables.hot)


def iter_features(
    db: Database,
    symbol: str,
    *,
    exchange: str | None = None,
    depth: int | None = None,
    start: Instant = None,
    end: Instant = None,
    columns: Sequence[str] | None = None,
    every: str | None = None,
    on_gap: OnGap = "mask",
    min_quality: float | None = None,
    data_source: Wanted = None,
    index: Index = "received_at",
    output: Output = "pandas",
    table_name: str = DEFAULT_TABLE_NAME,
) -> Iterator[Frame]:
    """Yield what `load_features` would return as one, in consecutive frames: for more than memory holds.

    Nothing is held open between two frames. With on_gap="split" each frame is unbroken; a long stretch
    comes in several, of one `segment`.
    """
    wanted = {"depth": depth, "data_source": data_source}
    ask = _asked(symbol, exchange, wanted, start, end, columns, every, on_gap, min_quality, output, index)
    return iterate(db, table_name, ask, lambda tables: tables.hot)


def _asked(
    symbol: str,
    exchange: str | None,
    wanted: dict[str, Wanted],
    start: Instant,
    end: Instant,
    columns: Sequence[str] | None,
    *rest: Any,
) -> Request:
    chosen = DEFAULT_COLUMNS if columns is None else tuple(columns)
    return checked_request(symbol, exchange, wanted, start, end, chosen, HOT_COLUMNS, *rest)
