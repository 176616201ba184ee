"""Run the collector within another program, such as a bot."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.bot.components import ComponentFactory
    from collector.bot.config import DataIngestorConfig
    from collector.bot.ingestor import DataIngestor, create_data_ingestor
    from collector.bot.listener import Listener
    from collector.bot.live_bars import Bar, LiveBars
    from collector.bot.local_book import BookNotVerifiedError, LocalBook
    from collector.bot.past import backfill, fetch_ohlcv, fetch_trades
    from collector.bot.stats import IngestorStats, StreamStats
    from collector.bot.symbol_names import AmbiguousSymbolError
    from collector.bot.tick import Tick
    from collector.bot.tick_store import MarketNow, TickStore, Top
else:
    __getattr__, __dir__ = face(__name__, __file__)
