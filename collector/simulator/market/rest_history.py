"""The trades and bars of one symbol as REST requests ask for them, from the made-up past until now.

Live trades go on with the next id after the past; bars are made of both alike.
"""

from bisect import bisect_left

from collector.simulator.market.bars import MINUTE_MS, Bar, empty_bar
from collector.simulator.market.past import HISTORY_MINUTES, TRADES_PER_MINUTE, PastTrade
from collector.simulator.market.symbol_feed import SymbolFeed

PAST_TRADES = HISTORY_MINUTES * TRADES_PER_MINUTE


def trades_since(feed: SymbolFeed, index: int, limit: int) -> list[PastTrade]:
    """List trades from a position on, the oldest first; position 0 is the first trade of the past."""
    history, result = feed.history, []
    last = min(index + limit, PAST_TRADES + len(feed.trades))
    for at in range(max(0, index), last):
        if at < PAST_TRADES:
            result.append(history.minute(at // TRADES_PER_MINUTE)[at % TRADES_PER_MINUTE])
        elif at - PAST_TRADES >= feed.trades.first:
            at_ms, ticks, lots, buys, _ = feed.trades[at - PAST_TRADES]
            result.append(PastTrade(feed.trade_ids.at(at - PAST_TRADES), at_ms, ticks, lots, bool(buys)))
    return result


def trade_count(feed: SymbolFeed) -> int:
    """Count the trades of the past and since."""
    return PAST_TRADES + len(feed.trades)


def position_at(feed: SymbolFeed, at_ms: int) -> int:
    """Find the position of the first trade not before a time."""
    history = feed.history
    if at_ms >= history.end_ms:
        return PAST_TRADES + feed.trades.find(at_ms)
    minute = max(0, (at_ms - history.begin_ms) // MINUTE_MS)
    times = [trade.at_ms for trade in history.minute(minute)]
    return minute * TRADES_PER_MINUTE + bisect_left(times, at_ms)


def position_of(feed: SymbolFeed, number: int) -> int:
    """Find the position of a trade id."""
    past = number - feed.history.first_number
    return past if past < PAST_TRADES else PAST_TRADES + feed.trade_ids.find(number)


def bars_between(feed: SymbolFeed, interval_ms: int, start_ms: int, end_ms: int) -> list[Bar]:
    """List the bars that open within [start, end], the oldest first; the present one is the last there is."""
    history = feed.history
    start_ms = max(start_ms, history.begin_ms) // interval_ms * interval_ms
    first = max(0, (start_ms - history.begin_ms) // MINUTE_MS)
    end_of_last_ms = end_ms // interval_ms * interval_ms + interval_ms
    bars: list[Bar] = []
    for minute in _minutes(feed, first, end_of_last_ms):
        if not bars or minute.open_ms >= bars[-1].end_ms:
            bars.append(empty_bar(minute.open_ms, interval_ms, minute.open))
        bars[-1].merge(minute)
    return bars


def _minutes(feed: SymbolFeed, first: int, before_ms: int) -> list[Bar]:
    history = feed.history
    past = min(HISTORY_MINUTES, max(0, (before_ms - history.begin_ms + MINUTE_MS - 1) // MINUTE_MS))
    minutes = [history.bar(index) for index in range(first, past)]
    minutes += [bar for bar in feed.minutes[max(0, first - HISTORY_MINUTES) :] if bar.open_ms < before_ms]
    return minutes
