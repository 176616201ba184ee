"""Collect crypto market data that can be trusted: every update in, every hole known, every row right."""

from typing import TYPE_CHECKING, Any

from collector.version import __version__

if TYPE_CHECKING:
    from collector.bot.components import ComponentFactory
    from collector.bot.config import DataIngestorConfig
    from collector.bot.ingestor import DataIngestor, create_data_ingestor
    from collector.bot.live_bars import Bar, LiveBars
    from collector.bot.symbol_names import AmbiguousSymbolError
    from collector.bot.tick_store import Tick, TickStore, Top
    from collector.errors import CollectorError, IngestorError, SettingsError, UserError
    from collector.events.bus import EventBus
    from collector.events.market import Candle, L2Update, Trade
    from collector.events.notices import BookVerified, PotentialHalt, State, StreamVerified, SystemState
    from collector.query.coverage import coverage, gaps
    from collector.query.loaders import (
        iter_features,
        load_features,
        load_levels,
        load_ohlcv,
        load_trades,
    )
    from collector.query.symbols import symbols
    from collector.query.training import book_tensor, labels, windows

__all__ = [
    "AmbiguousSymbolError",
    "Bar",
    "BookVerified",
    "Candle",
    "CollectorError",
    "ComponentFactory",
    "DataIngestor",
    "DataIngestorConfig",
    "EventBus",
    "IngestorError",
    "L2Update",
    "LiveBars",
    "PotentialHalt",
    "SettingsError",
    "State",
    "StreamVerified",
    "SystemState",
    "Tick",
    "TickStore",
    "Top",
    "Trade",
    "UserError",
    "__version__",
    "book_tensor",
    "coverage",
    "create_data_ingestor",
    "gaps",
    "iter_features",
    "labels",
    "load_features",
    "load_levels",
    "load_ohlcv",
    "load_trades",
    "symbols",
    "windows",
]

# Loaded when first asked for: `python run.py --help` must not pay for pandas and SQLAlchemy.
_HOMES = {
    "AmbiguousSymbolError": "collector.bot.symbol_names",
    "Bar": "collector.bot.live_bars",
    "BookVerified": "collector.events.notices",
    "Candle": "collector.events.market",
    "CollectorError": "collector.errors",
    "ComponentFactory": "collector.bot.components",
    "DataIngestor": "collector.bot.ingestor",
    "DataIngestorConfig": "collector.bot.config",
    "EventBus": "collector.events.bus",
    "IngestorError": "collector.errors",
    "L2Update": "collector.events.market",
    "LiveBars": "collector.bot.live_bars",
    "PotentialHalt": "collector.events.notices",
    "SettingsError": "collector.errors",
    "State": "collector.events.notices",
    "StreamVerified": "collector.events.notices",
    "SystemState": "collector.events.notices",
    "Tick": "collector.bot.tick_store",
    "TickStore": "collector.bot.tick_store",
    "Top": "collector.bot.tick_store",
    "Trade": "collector.events.market",
    "UserError": "collector.errors",
    "coverage": "collector.query.coverage",
    "create_data_ingestor": "collector.bot.ingestor",
    "gaps": "collector.query.coverage",
    "load_features": "collector.query.loaders",
    "book_tensor": "collector.query.training",
    "iter_features": "collector.query.loaders",
    "labels": "collector.query.training",
    "load_levels": "collector.query.loaders",
    "load_ohlcv": "collector.query.loaders",
    "load_trades": "collector.query.loaders",
    "symbols": "collector.query.symbols",
    "windows": "collector.query.training",
}


def __getattr__(name: str) -> Any:
    """Find a public name in the module that it lives in."""
    if name not in _HOMES:
        raise AttributeError(f"module 'collector' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(_HOMES[name]), name)
