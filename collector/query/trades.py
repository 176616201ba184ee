"""Load trades."""

from collections.abc import Sequence

from collector.query.database import Database
from collector.query.frames import Frame, Output
from collector.query.holes import OnGap
from collector.query.instants import Instant
from collector.query.loading import Index, asked, load
from collector.query.streams import Wanted
from collector.sinks.schema import DEFAULT_TABLE_NAME, tables

TRADE_COLUMNS = tuple(column.name for column in tables(DEFAULT_TABLE_NAME).trades.columns)
DEFAULT_COLUMNS = ("trade_id", "price", "size", "side", "marked", "exchange_timestamp")


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
    chosen = DEFAULT_COLUMNS if columns is None else tuple(columns)
    wanted = {"kind": kind, "data_source": data_source}
    ask = asked(
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
