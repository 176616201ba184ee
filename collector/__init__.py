"""Collect crypto market data that can be trusted: every update in, every hole known, every row right."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collector.errors import CollectorError, IngestorError, SettingsError, UserError
    from collector.events.bus import EventBus
    from collector.events.market import Candle, L2Update, Trade
    from collector.events.notices import PotentialHalt, State, SystemState
    from collector.factory import ComponentFactory
    from collector.ingestor.config import DataIngestorConfig
    from collector.ingestor.ingestor import DataIngestor, create_data_ingestor
    from collector.query.coverage import coverage, gaps
    from collector.query.features import iter_features, load_features
    from collector.query.labels import labels
    from collector.query.levels import book_tensor, load_levels
    from collector.query.ohlcv import load_ohlcv
    from collector.query.symbols import symbols
    from collector.query.trades import load_trades
    from collector.query.windows import windows
    from collector.ticks.bars import Bar, LiveBars
    from collector.ticks.names import AmbiguousSymbolError
    from collector.ticks.store import Tick, TickStore, Top

__version__ = "0.1.0"
__all__ = [
    "AmbiguousSymbolError",
    "Bar",
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
    "AmbiguousSymbolError": "collector.ticks.names",
    "Bar": "collector.ticks.bars",
    "Candle": "collector.events.market",
    "CollectorError": "collector.errors",
    "ComponentFactory": "collector.factory",
    "DataIngestor": "collector.ingestor.ingestor",
    "DataIngestorConfig": "collector.ingestor.config",
    "EventBus": "collector.events.bus",
    "IngestorError": "collector.errors",
    "L2Update": "collector.events.market",
    "LiveBars": "collector.ticks.bars",
    "PotentialHalt": "collector.events.notices",
    "SettingsError": "collector.errors",
    "State": "collector.events.notices",
    "SystemState": "collector.events.notices",
    "Tick": "collector.ticks.store",
    "TickStore": "collector.ticks.store",
    "Top": "collector.ticks.store",
    "Trade": "collector.events.market",
    "UserError": "collector.errors",
    "coverage": "collector.query.coverage",
    "create_data_ingestor": "collector.ingestor.ingestor",
    "gaps": "collector.query.coverage",
    "load_features": "collector.query.features",
    "book_tensor": "collector.query.levels",
    "iter_features": "collector.query.features",
    "labels": "collector.query.labels",
    "load_levels": "collector.query.levels",
    "load_ohlcv": "collector.query.ohlcv",
    "load_trades": "collector.query.trades",
    "symbols": "collector.query.symbols",
    "windows": "collector.query.windows",
}


def __getattr__(name: str) -> Any:
    """Find a public name in the module that it lives in."""
    if name not in _HOMES:
        raise AttributeError(f"module 'collector' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(_HOMES[name]), name)
