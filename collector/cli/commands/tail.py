"""Define the command `tail`."""

import json
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Annotated, Any

import typer

from collector.cli.options import (
    DEFAULT_DATABASE,
    DEFAULT_TABLE,
    AsJson,
    DatabaseUrl,
    Exchange,
    Seconds,
    TableName,
)
from collector.cli.running import set_by_interrupt

LOOK_EVERY_S = 0.25
BARS = (
    *("timestamp", "exchange", "symbol", "interval", "open_time", "open", "high", "low", "close"),
    *("volume", "count", "confirmed"),
)
# What a person wants to see of a row, table by table; --json has every column.
SHOWN = {
    "book": (
        *("timestamp", "exchange", "symbol", "depth", "sequence", "bid_price_1", "bid_size_1"),
        *("ask_price_1", "ask_size_1", "spread_bps", "order_book_imbalance", "ofi", "segment_id"),
    ),
    "levels": (
        *("timestamp", "exchange", "symbol", "depth", "sequence", "bid_price_1", "bid_price_2"),
        *("bid_price_3", "ask_price_1", "ask_price_2", "ask_price_3", "segment_id"),
    ),
    "trades": ("timestamp", "exchange", "symbol", "kind", "trade_id", "side", "price", "size", "marked"),
    "ohlcv": BARS,
    "ohlcv_corrections": BARS,
    "rejected": ("id", "exchange", "symbol", "channel", "reason", "detail", "original"),
    "events": ("id", "kind", "exchange", "symbol", "code", "detail"),
}


def tail(
    what: Annotated[
        str,
        typer.Argument(
            help="Which rows: book, levels, trades, ohlcv, ohlcv_corrections, rejected or events."
        ),
    ] = "book",
    *,
    db: DatabaseUrl = DEFAULT_DATABASE,
    table: TableName = DEFAULT_TABLE,
    exchange: Exchange = None,
    symbol: Annotated[str | None, typer.Option("--symbol", help="Only this symbol.")] = None,
    last: Annotated[
        int, typer.Option("--last", "-n", min=0, help="Begin with so many rows that are there.")
    ] = 10,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Go on with the rows that come.")
    ] = True,
    seconds: Seconds = None,
    as_json: AsJson = False,
) -> int:
    """Print rows as they come, until Ctrl-C.

    Example: python run.py tail trades --db ./live.db --symbol BTC/USDT:USDT
    """
    from collector.query.tail import Tail, Wanted  # noqa: PLC0415

    until_s = None if seconds is None else time.monotonic() + seconds
    reader = Tail(db, Wanted(what, exchange, symbol), last=last, table_name=table)
    with closing(reader), set_by_interrupt() as stopped:
        while True:
            for row in reader.more():
                print(json.dumps(row, default=str) if as_json else _line(row, SHOWN[what]))
                if stopped.wait(0):
                    return 0
            sys.stdout.flush()
            if not follow or (until_s is not None and time.monotonic() >= until_s):
                return 0
            if stopped.wait(LOOK_EVERY_S):  # another process writes: there is nothing else to wait on
                return 0


def _line(row: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return "  ".join(_text(name, row.get(name)) for name in names)


def _text(name: str, value: Any) -> str:
    text = "-" if value is None else f"{value:.10g}" if isinstance(value, float) else str(value)
    return text if name in {"timestamp", "exchange", "symbol"} else f"{name}={text}"
