"""Load stored rows as frames, with holes shown as holes."""

from collections.abc import Iterator, Sequence
from typing import Literal

from collector.database import DEFAULT_TABLE_NAME, HOT_COLUMNS, LEVEL_COLUMNS, make_tables
from collector.events import TRADE, Channel
from collector.query.bars import BARS, load_bars
from collector.query.database import Database
from collector.query.fast import Engine
from collector.query.frames import Frame, Output
from collector.query.instants import Duration, Instant, Span, instant_ns
from collector.query.loading import iterate, load
from collector.query.on_gap import OnGap
from collector.query.request import PLACE, RECEIVED_AT, LoadedTable, Lookup, checked_request
from collector.query.rows import Depth, Origin, Wanted

Index = Literal["received_at", "exchange_timestamp"]
TradeIndex = Literal["place", "received_at", "exchange_timestamp"]
BarIndex = Literal["place", "received_at", "exchange_timestamp", "open_time"]

_NOT_LOADED = ("id", "timestamp", "symbol", "exchange", "created_at", "received_at_ns", "segment_id", "depth")
DEFAULT_COLUMNS = tuple(name for name in HOT_COLUMNS if name not in _NOT_LOADED)
_LEVELS_COLUMNS = tuple(column.name for column in make_tables(DEFAULT_TABLE_NAME).levels.columns)
_TRADES_COLUMNS = tuple(column.name for column in make_tables(DEFAULT_TABLE_NAME).trades.columns)
_TRADE = ("trade_id", "price", "size", "side", "marked", "exchange_timestamp")


def _is_book(channel: Channel) -> bool:
    return channel.is_book


FEATURES = LoadedTable(
    lambda tables: tables.hot,
    HOT_COLUMNS,
    DEFAULT_COLUMNS,
    _is_book,
    elsewhere={"load_levels": _LEVELS_COLUMNS},
)
LEVELS = LoadedTable(
    lambda tables: tables.levels,
    _LEVELS_COLUMNS,
    LEVEL_COLUMNS,
    _is_book,
    (RECEIVED_AT,),
    elsewhere={"load_features": HOT_COLUMNS},
)
TRADES = LoadedTable(
    lambda tables: tables.trades,
    _TRADES_COLUMNS,
    _TRADE,
    lambda channel: channel.family == TRADE,
    (PLACE, RECEIVED_AT, "exchange_timestamp"),
)


def load_features(
    db: Database,
    symbol: str,
    *,
    exchange: str | None = None,
    depth: Depth = None,
    start: Instant = None,
    end: Instant = None,
    columns: Sequence[str] | str | None = None,
    every: Duration = None,
    on_gap: OnGap = "mask",
    min_quality: float | None = None,
    data_source: Wanted = None,
    index: Index = "received_at",
    output: Output = "pandas",
    engine: Engine = "auto",
    table_name: str = DEFAULT_TABLE_NAME,
) -> Frame:
    """Return a symbol's rows received in [start, end), indexed by receipt in UTC, with their `segment`.

    `every` ("100ms", "1s") asks for the last verified state at each such instant instead, order flow
    (`ofi`) summed, a state being carried on only while its segment is alive. `on_gap` says what becomes of
    an instant that is not covered: "mask" leaves it empty, "split" returns a list with one frame for each
    unbroken stretch, "raise" refuses, and "ignore" carries the last state across. Without `every`, rows are
    what they are: "split" and "raise" act on segments. Rows below `min_quality` count as not covered.

    `depth=[50, 200]`, or `"*"` for all, takes several books, and so does `data_source`: a column of that
    name then says of which each row is.

    >>> load_features("live.db", "BTC/USDT:USDT", every="1s")  # doctest: +SKIP
    """
    alike = {"depth": depth, "data_source": data_source}
    rows = Lookup(FEATURES, db, table_name, symbol, exchange, Span.of(start, end), alike)
    request = checked_request(
        rows,
        columns,
        every=every,
        on_gap=on_gap,
        min_quality=min_quality,
        index=index,
        output=output,
        engine=engine,
    )
    return load(request)


def iter_features(
    db: Database,
    symbol: str,
    *,
    exchange: str | None = None,
    depth: Depth = None,
    start: Instant = None,
    end: Instant = None,
    columns: Sequence[str] | str | None = None,
    every: Duration = None,
    on_gap: OnGap = "mask",
    min_quality: float | None = None,
    data_source: Wanted = None,
    index: Index = "received_at",
    output: Output = "pandas",
    engine: Engine = "auto",
    table_name: str = DEFAULT_TABLE_NAME,
) -> Iterator[Frame]:
    """Yield what `load_features` would return as one, in consecutive frames: for more than memory holds.

    Nothing is held open between two frames. With on_gap="split" each frame is unbroken; a long stretch
    comes in several, of one `segment`.
    """
    alike = {"depth": depth, "data_source": data_source}
    rows = Lookup(FEATURES, db, table_name, symbol, exchange, Span.of(start, end), alike)
    request = checked_request(
        rows,
        columns,
        every=every,
        on_gap=on_gap,
        min_quality=min_quality,
        index=index,
        output=output,
        engine=engine,
    )
    return iterate(request)


def load_levels(
    db: Database,
    symbol: str,
    *,
    exchange: str | None = None,
    depth: Depth = None,
    start: Instant = None,
    end: Instant = None,
    columns: Sequence[str] | str | None = None,
    every: Duration = None,
    on_gap: OnGap = "mask",
    data_source: Wanted = None,
    index: Literal["received_at"] = "received_at",
    output: Output = "pandas",
    engine: Engine = "auto",
    table_name: str = DEFAULT_TABLE_NAME,
) -> Frame:
    """Return the best ten levels a side, stored where `storage.features` is `deep`; as load_features.

    `columns` are the 40 prices and sizes (`bid_price_1` to `ask_size_10`) unless others are named:
    `imbalance_5`, `imbalance_10`, `ofi_1` to `ofi_10` (a level each), `sequence`, `depth`, `data_source`.

    >>> load_levels("live.db", "BTC/USDT:USDT", every="1s")  # doctest: +SKIP
    """
    alike = {"depth": depth, "data_source": data_source}
    rows = Lookup(LEVELS, db, table_name, symbol, exchange, Span.of(start, end), alike)
    return load(
        checked_request(rows, columns, every=every, on_gap=on_gap, index=index, output=output, engine=engine)
    )


def load_trades(
    db: Database,
    symbol: str,
    *,
    exchange: str | None = None,
    kind: str | None = None,
    start: Instant = None,
    end: Instant = None,
    columns: Sequence[str] | str | None = None,
    on_gap: OnGap = "mask",
    data_source: Wanted = None,
    origin: Origin | None = None,
    index: TradeIndex = "place",
    output: Output = "pandas",
    engine: Engine = "auto",
    table_name: str = DEFAULT_TABLE_NAME,
) -> Frame:
    """Return the trades in [start, end), with their `segment`; `side` is the taker's.

    Trades stand at their receipt, those that REST brought afterwards at the exchange's time, and the index is
    that place. `index="received_at"` places all at their receipt instead, and [start, end) is of that: what
    REST brought was not known before. `origin` is "live" or "rest"; None takes both.

    `kind` is "trade" or "agg" (Binance's aggregates): asked for where both are stored, unless the
    aggregates fill holes of the trades. Then they count where no single trade is covered, and nowhere else.
    `on_gap` acts on holes: "split" returns a list of frames, "raise" refuses a hole, "mask" and "ignore" take
    the trades as they are. A trade with `marked` is not one of the market. There is no `every=`, for a trade
    is no state that stands until the next: `load_ohlcv` has bars, and pandas resamples.

    >>> load_trades("live.db", "BTC/USDT:USDT")  # doctest: +SKIP
    """
    alike = {"kind": kind, "data_source": data_source}
    rows = Lookup(TRADES, db, table_name, symbol, exchange, Span.of(start, end), alike, origin)
    return load(checked_request(rows, columns, on_gap=on_gap, index=index, output=output, engine=engine))


def load_ohlcv(
    db: Database,
    symbol: str,
    *,
    interval: str | None = None,
    exchange: str | None = None,
    start: Instant = None,
    end: Instant = None,
    columns: Sequence[str] | str | None = None,
    unconfirmed: bool = False,
    as_of: Instant = None,
    data_source: Wanted = None,
    origin: Origin | None = None,
    index: BarIndex = "place",
    output: Output = "pandas",
    engine: Engine = "auto",
    table_name: str = DEFAULT_TABLE_NAME,
) -> Frame:
    """Return the bars that the exchange called finished, indexed by when that was known here.

    What REST brought afterwards stands at the end of the bar, as if it had come at once.
    `index="received_at"` places all at their receipt instead. `origin` is "live" or "rest"; None takes both.

    Of a bar that the exchange corrected later, the latest is returned, at the place of the correction,
    with `corrected` 1; only what stands in [start, end) counts. `as_of` returns what was known at that
    instant: what was received at or before it.

    `index="open_time"` gives the beginning of each bar instead, for charts, and [start, end) is then of
    that: joined to other data by it, a bar tells what was not known yet. `unconfirmed` adds bars that were
    not finished when last heard of, with a column `confirmed`; what they were before is not stored, so that
    `as_of` leaves out those heard of since. `open_time` is an instant in UTC, as the index is.

    >>> load_ohlcv("live.db", "BTC/USDT:USDT", interval="1m")  # doctest: +SKIP
    """
    alike = {"interval": interval, "data_source": data_source}
    rows = Lookup(BARS, db, table_name, symbol, exchange, Span.of(start, end), alike, origin)
    request = checked_request(rows, columns, index=index, output=output, engine=engine)
    return load_bars(request, instant_ns("as_of", as_of), unconfirmed=unconfirmed)
