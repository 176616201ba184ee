"""Simulated exchanges with a past, settings for them, and what is stored against what is true."""

import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))
from ready_tables import lay_tables

from collector.app.wiring_backfill import Asked, backfill
from collector.backfilling import plan as planning
from collector.backfilling.plan import Plan
from collector.backfilling.run import Progress
from collector.exchanges.exchange import MarketKind, Rate, RequestLimits
from collector.exchanges.past import Past
from collector.network.budget import Budget
from collector.network.budgets import Budgets
from collector.settings.load import load_settings
from collector.settings.model import Settings
from collector.simulator import Simulator

MINUTE_MS, HOUR_MS, NS_A_MS = 60_000, 3_600_000, 1_000_000
SYMBOLS = {
    "bybit": ["BTC/USDT", "BTC/USDT:USDT"],
    "binance": ["BTC/USDT", "BTC/USDT:USDT"],
    "kraken": ["BTC/USD"],
    "okx": ["BTC/USDT", "BTC/USDT:USDT"],
}
CHANNELS = ("trade", "ohlcv.1m")
KEY = {"BINANCE_API_KEY": "any", "BINANCE_API_SECRET": "any"}


class NoLimits(Budgets):
    """Budgets that keep nobody waiting but whom the exchange refuses."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[str, Budget] = {}

    def of(self, exchange: str, environment: Any, endpoints: Any, kinds: Sequence[MarketKind]) -> Any:
        del environment, endpoints
        free = self._kept.setdefault(exchange, Budget(RequestLimits((Rate(10**9, 1.0),))))
        return dict.fromkeys(kinds, free)


@contextmanager
def simulated(symbols: dict[str, list[str]] = SYMBOLS, **more: Any) -> Iterator[Simulator]:
    """Run exchanges that allow any number of requests."""
    with Simulator(symbols=symbols, updates_per_s=0.0, **more) as simulator:
        for name in symbols:
            simulator.faults.rest_allowance(name, 10**9)
        yield simulator


def configured(
    simulator: Simulator,
    folder: Path,
    channels: Sequence[str] = CHANNELS,
    names: Sequence[str] | None = None,
    database: str | None = None,
) -> Settings:
    """Return the settings for what is simulated."""
    content = {
        "exchanges": {
            name: {"symbols": symbols, "channels": list(channels), "endpoints": simulator.endpoints(name)}
            for name, symbols in simulator.symbols.items()
            if names is None or name in names
        },
        "database": {"url": database or str(folder / "past.db"), "synchronous": "normal"},
    }
    path = folder / "past.yaml"
    path.write_text(yaml.safe_dump(content))
    return load_settings(path)


def small_pages(rows: int) -> None:
    """Ask for few rows at a time, in this process."""
    whole = planning._past_of

    def few(exchange: Any, one: Any) -> tuple[Past | None, Past | None, str]:
        past, seek, why = whole(exchange, one)
        return past and replace(past, rows=min(rows, past.rows)), seek, why

    planning._past_of = few


def brought_in(settings: Settings, start_ms: int, end_ms: int, **more: Any) -> tuple[Plan, Progress | None]:
    """Bring in the past, as fast as it goes."""
    more.setdefault("budgets", NoLimits())
    lay_tables(settings.database.url)
    only_holes = more.pop("only_holes", False)
    return backfill(settings, Asked(start_ms, end_ms, only_holes=only_holes), **more)


def whole_past(now_ms: int | None = None) -> tuple[int, int]:
    """Return a stretch of forty minutes that ends a while ago."""
    now_ms = now_ms or time.time_ns() // NS_A_MS
    return now_ms - 60 * MINUTE_MS, now_ms - 20 * MINUTE_MS


def rows_of(path: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    database = sqlite3.connect(path)
    try:
        return database.execute(query, values).fetchall()
    finally:
        database.close()


def bars_in(path: Path, exchange: str, symbol: str) -> list[tuple[Any, ...]]:
    columns = "open_time, open, high, low, close, volume, confirmed"
    where = "exchange = ? AND symbol = ? ORDER BY open_time"
    return rows_of(path, f"SELECT {columns} FROM collector_ohlcv WHERE {where}", exchange, symbol)


def true_bars(simulator: Simulator, exchange: str, symbol: str, start_ms: int, end_ms: int) -> list[Any]:
    """Return the bars that are over after the start and open before the end."""
    first_ms = start_ms // MINUTE_MS * MINUTE_MS
    bars = simulator.truth.bars_between(exchange, symbol, "ohlcv.1m", first_ms, end_ms)
    return [(one.open_ms, one.open, one.high, one.low, one.close, one.volume, 1) for one in bars]


def trades_in(path: Path, exchange: str, symbol: str) -> list[tuple[Any, ...]]:
    columns = "trade_id, exchange_timestamp, price, size, side"
    where = "exchange = ? AND symbol = ? ORDER BY exchange_timestamp, length(trade_id), trade_id"
    return rows_of(path, f"SELECT {columns} FROM collector_trades WHERE {where}", exchange, symbol)


def true_trades(
    simulator: Simulator, exchange: str, symbol: str, start_ms: int, end_ms: int, *, aggregates: bool = False
) -> list[Any]:
    truth = simulator.truth
    if aggregates:
        trades = [one.trade for one in truth.aggregates_between(exchange, symbol, start_ms, end_ms + 1)]
    else:
        trades = list(truth.trades_between(exchange, symbol, start_ms, end_ms + 1))
    found = [(one.trade_id, one.exchange_ms, one.price, one.size, one.side) for one in trades]
    return sorted(found, key=lambda one: (one[1], len(one[0]), one[0]))


def killed_on_the_way(run: Callable[[Callable[[], object]], None], kills: Sequence[int]) -> None:
    """Run in forked processes: kill -9 each after so many pages; the last one comes to its end.

    Call it in a process that has one thread.
    """
    for pages in (*kills, None):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            run(partial(os.write, writing, b"."))
            os._exit(0)
        os.close(writing)
        seen = 0
        while (pages is None or seen < pages) and (told := os.read(reading, 1)):
            seen += len(told)
        if pages is not None:
            os.kill(child, 9)
        os.close(reading)
        _, status = os.waitpid(child, 0)
        assert pages is not None or status == 0, status
