"""The seeded markets, what came of each step, and the truth about them."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.simulator.market.aggregates import (
        Aggregate,
        aggregate_base,
        aggregate_count,
        aggregate_position_at,
        aggregate_position_of,
        aggregates_since,
        live_aggregates,
    )
    from collector.simulator.market.bars import INTERVALS_MS, MINUTE_MS, Bar, roll
    from collector.simulator.market.depth import side_delta, whole_side_delta
    from collector.simulator.market.instruments import Conventions, Instrument, Pair, describe, pair_of
    from collector.simulator.market.market import Change, Market, Side
    from collector.simulator.market.outages import BarsInOutages, Outage
    from collector.simulator.market.past import HISTORY_DAYS, TRADES_A_MINUTE, PastPlan, PastTrade
    from collector.simulator.market.rest_history import (
        bars_back,
        bars_between,
        bars_from,
        last_day,
        position_at,
        position_of,
        trade_count,
        trades_since,
    )
    from collector.simulator.market.symbol_feed import RestBook, SymbolFeed
    from collector.simulator.market.truth import (
        AggregateState,
        BarState,
        BookState,
        Fault,
        Kind,
        Sent,
        TradeState,
        Truth,
    )
else:
    __getattr__, __dir__ = face(__name__, __file__)
