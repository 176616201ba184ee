"""The seeded markets, what came of each step, and the truth about them."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.simulator.market.bars import INTERVALS_MS, MINUTE_MS, Bar, roll
    from collector.simulator.market.depth import side_delta, whole_side_delta
    from collector.simulator.market.instruments import Conventions, Instrument, Pair, describe, pair_of
    from collector.simulator.market.market import Change, Market, Side
    from collector.simulator.market.past import PastTrade
    from collector.simulator.market.rest_history import (
        PAST_TRADES,
        bars_between,
        position_at,
        position_of,
        trade_count,
        trades_since,
    )
    from collector.simulator.market.symbol_feed import RestBook, SymbolFeed
    from collector.simulator.market.truth import BarState, BookState, Fault, Kind, Sent, TradeState, Truth
else:
    __getattr__, __dir__ = face(__name__, __file__)
