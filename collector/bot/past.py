"""Offer the past to programs: into the database, or as a frame without one."""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from collector.app import Asked, Backfill
from collector.app import backfill as bring_in
from collector.backfilling import Lack, Plan, Progress
from collector.errors import UserError
from collector.events import CandleMessage, ContractSize, TradeMessage
from collector.query import Instant, instant_ns
from collector.settings import Settings, load_with_notes

if TYPE_CHECKING:
    import pandas as pd

NS_A_MS = 1_000_000
NO_SETTINGS: Mapping[str, object] = MappingProxyType({})  # any key of the configuration
Result = TypeVar("Result")
ConfigFile = str | PathLike[str]
Row = dict[str, Any]


def backfill(
    start: Instant,
    end: Instant = None,
    *,
    exchange: str | None = None,
    symbols: str | None = None,
    channels: str | None = None,
    holes: bool = False,
    dry_run: bool = False,
    config: ConfigFile | None = None,
    settings: Mapping[str, object] = NO_SETTINGS,
    database: str | None = None,
    on_progress: Callable[[Progress], None] = lambda _progress: None,
) -> tuple[Plan, Progress | None]:
    """Bring trades and bars of the past into the database, as the command `backfill` does.

    Returns what was planned, with notes on what cannot be had, and what came of it: None where nothing was
    to be asked for, or `dry_run` says not to ask. Without an end: until now.
    """
    wanted = {"exchange": exchange, "symbols": symbols, "channels": channels, "database.url": database}
    loaded = _settings(config, settings, wanted)
    asked = _asked(start, end, only_holes=holes)
    return _in_own_thread(lambda: bring_in(loaded, asked, is_dry=dry_run, on_progress=on_progress))


def fetch_ohlcv(
    exchange: str,
    symbol: str,
    interval: str = "1m",
    *,
    start: Instant,
    end: Instant = None,
    config: ConfigFile | None = None,
    settings: Mapping[str, object] = NO_SETTINGS,
) -> "pd.DataFrame":
    """Return the bars of a market that were over after the start, and opened before the end, from REST.

    The index is when they opened. `attrs` has `notes` on what cannot be had, and what the exchange lacks.
    """
    wanted = {"exchange": exchange, "symbols": symbol, "channels": f"ohlcv.{interval}"}
    return _frame(_settings(config, settings, wanted), _asked(start, end, whole=True), _bar, "open_time")


def fetch_trades(
    exchange: str,
    symbol: str,
    *,
    start: Instant,
    end: Instant = None,
    config: ConfigFile | None = None,
    settings: Mapping[str, object] = NO_SETTINGS,
) -> "pd.DataFrame":
    """Return the trades of a market of a time, both ends included, from REST.

    The index is the exchange's time. `kind` is `agg` where it gives trades of one order put together.
    `attrs` has `notes` on what cannot be had, and what the exchange lacks.
    """
    wanted = {"exchange": exchange, "symbols": symbol, "channels": "trade"}
    return _frame(
        _settings(config, settings, wanted), _asked(start, end, whole=True), _trade, "exchange_time"
    )


def _settings(
    config: ConfigFile | None, more: Mapping[str, object], wanted: Mapping[str, object]
) -> Settings:
    overrides = {**more, **{name: value for name, value in wanted.items() if value is not None}}
    path = None if config is None else Path(config)
    return load_with_notes(path, overrides=overrides, default_setup=True).settings


def _asked(start: Instant, end: Instant, *, only_holes: bool = False, whole: bool = False) -> Asked:
    start_ns, end_ns = instant_ns("start", start), instant_ns("end", end)
    if start_ns is None:
        raise UserError("start: a time expected, like 2026-01-31T12:00:00Z")
    end_ns = time.time_ns() if end_ns is None else end_ns
    if end_ns <= start_ns:
        raise UserError(f"end {end!r} is not after start {start!r}")
    return Asked(start_ns // NS_A_MS, end_ns // NS_A_MS, only_holes=only_holes, whole=whole)


def _frame(
    settings: Settings, asked: Asked, row_of: Callable[[Any, ContractSize | None], Row], index: str
) -> "pd.DataFrame":
    """Return a frame of what comes of the one stream asked for."""
    import pandas as pd  # noqa: PLC0415

    async def gather() -> tuple[Plan, list[Row], list[Lack]]:
        job = Backfill(settings, asked)
        planned = await job.plan()
        if not planned.stretches and planned.notes:
            raise UserError("; ".join(planned.notes))
        rows: list[Row] = []
        lacks: list[Lack] = []
        async with aclosing(job.rows(planned)) as portions:
            async for contract, portion in portions:
                for part in portion.parts:
                    if isinstance(part, Lack):
                        lacks.append(part)
                    else:
                        rows += [row_of(one, contract) for one in part]
        return planned, rows, lacks

    planned, rows, lacks = _in_own_thread(lambda: asyncio.run(gather()))
    frame = pd.DataFrame(rows, columns=list(_COLUMNS[row_of]))
    frame[index] = pd.to_datetime(frame[index], unit="ms", utc=True)
    frame = frame.set_index(index)
    frame.attrs.update(notes=list(planned.notes), lacking=[tuple(one) for one in lacks])
    return frame


def _bar(bar: CandleMessage, contract: ContractSize | None) -> Row:
    volume = bar.volume if contract is None else contract.in_base(bar.volume)
    values = bar.open_ms, bar.open, bar.high, bar.low, bar.close, volume, bar.vwap, bar.count
    return dict(zip(_COLUMNS[_bar], values, strict=True))


def _trade(trade: TradeMessage, contract: ContractSize | None) -> Row:
    size = trade.size if contract is None else contract.in_base(trade.size)
    values = trade.exchange_ms, trade.trade_id, trade.kind, trade.price, size, str(trade.side), trade.marked
    return dict(zip(_COLUMNS[_trade], values, strict=True))


_COLUMNS: dict[Callable[[Any, ContractSize | None], Row], tuple[str, ...]] = {
    _bar: ("open_time", "open", "high", "low", "close", "volume", "vwap", "count"),
    _trade: ("exchange_time", "trade_id", "kind", "price", "size", "side", "marked"),
}


def _in_own_thread(work: Callable[[], Result]) -> Result:
    """Run in a thread: a notebook's own has a loop already, in which no other can run."""
    with ThreadPoolExecutor(1, "past") as thread:
        return thread.submit(work).result()
