"""Collect crypto market data that can be trusted: every update in, every hole known, every row right."""

from typing import TYPE_CHECKING

from collector.face import face
from collector.version import __version__

if TYPE_CHECKING:
    from collector.bot import (
        AmbiguousSymbolError,
        Bar,
        BookNotVerifiedError,
        ComponentFactory,
        DataIngestor,
        DataIngestorConfig,
        IngestorStats,
        Listener,
        LiveBars,
        LocalBook,
        MarketNow,
        Tick,
        TickStore,
        Top,
        backfill,
        create_data_ingestor,
        fetch_ohlcv,
        fetch_trades,
    )
    from collector.errors import CollectorError, IngestorError, SettingsError, TickError, UserError
    from collector.events import (
        BookVerified,
        Candle,
        EventBus,
        L2Update,
        PotentialHalt,
        State,
        StreamVerified,
        SystemState,
        Trade,
    )
    from collector.exchanges import bar_intervals, register_exchange
    from collector.network import RateLimiter
    from collector.query import (
        book_tensor,
        coverage,
        gaps,
        iter_features,
        labels,
        load_features,
        load_levels,
        load_ohlcv,
        load_trades,
        symbols,
        windows,
    )
    from collector.settings import load_settings
    from collector.sinks import register_sink
else:
    # Loaded when first asked for: `python run.py --help` must not pay for pandas and SQLAlchemy.
    __getattr__, __dir__ = face(__name__, __file__)

__all__ = [
    "AmbiguousSymbolError",
    "Bar",
    "BookNotVerifiedError",
    "BookVerified",
    "Candle",
    "CollectorError",
    "ComponentFactory",
    "DataIngestor",
    "DataIngestorConfig",
    "EventBus",
    "IngestorError",
    "IngestorStats",
    "L2Update",
    "Listener",
    "LiveBars",
    "LocalBook",
    "MarketNow",
    "PotentialHalt",
    "RateLimiter",
    "SettingsError",
    "State",
    "StreamVerified",
    "SystemState",
    "Tick",
    "TickError",
    "TickStore",
    "Top",
    "Trade",
    "UserError",
    "__version__",
    "backfill",
    "bar_intervals",
    "book_tensor",
    "coverage",
    "create_data_ingestor",
    "fetch_ohlcv",
    "fetch_trades",
    "gaps",
    "iter_features",
    "labels",
    "load_features",
    "load_levels",
    "load_ohlcv",
    "load_settings",
    "load_trades",
    "register_exchange",
    "register_sink",
    "symbols",
    "windows",
]
