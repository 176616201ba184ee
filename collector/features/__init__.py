"""Microstructure features, computed with numpy over a whole batch."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.features.bar_ends import end_ms
    from collector.features.flow import LastStates
    from collector.features.market_rows import MarketRows
    from collector.features.options import Mode, Sampling, StorageOptions
    from collector.features.practical import TOTAL_LEVELS, derived, imbalance, total
    from collector.features.rows import BookRows
    from collector.features.runs import Runs
    from collector.features.stream_facts import StreamFacts
    from collector.features.trade_bars import TradeBars
    from collector.features.unstored import unstored_books, unstored_market
else:
    __getattr__, __dir__ = face(__name__, __file__)
