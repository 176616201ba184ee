"""The trades and bars of one symbol as REST requests ask for them, from the made-up past until now.

Live trades go on with the next id after the past; bars are made of both alike.
"""

from collections.abc import Iterator

from collector.simulator.market.bars import INTERVALS_MS, MINUTE_MS, Bar, empty_bar
from collector.simulator.market.past import PastTrade
from collector.simulator.market.symbol_feed import SymbolFeed


def trades_since(feed: SymbolFeed, index: int, limit: int) -> list[PastTrade]:
    """List trades from a position on, the oldest first; position 0 is the first trade of the past."""
    past = feed.history.trade_count
    first, end = max(0, index), min(index + limit, trade_count(feed))
    result = list(feed.history.trades(first, min(end, past)))
    for at in range(max(first - past, feed.trades.first), end - past):
        at_ms, ticks, lots, buys, _ = feed.trades[at]
        result.append(PastTrade(feed.trade_ids.at(at), at_ms, ticks, lots, bool(buys)))
    return result


def trade_count(feed: SymbolFeed) -> int:
    """Count the trades of the past and since."""
    return feed.history.trade_count + len(feed.trades)


def position_at(feed: SymbolFeed, at_ms: int) -> int:
    """Find the position of the first trade not before a time."""
    if at_ms >= feed.history.end_ms:
        return feed.history.trade_count + feed.trades.find(at_ms)
    return feed.history.position_at(at_ms)


def position_of(feed: SymbolFeed, number: int) -> int:
    """Find the position of a trade id; of the trade after it, where nobody has it."""
    past = feed.history.position_of(number)
    count = feed.history.trade_count
    if past < count:
        return past
    return count + min(len(feed.trades), max(0, feed.trade_ids.find(number)))


def bars_between(feed: SymbolFeed, interval_ms: int, start_ms: int, end_ms: int) -> list[Bar]:
    """List the bars that hold a moment of [start, end], the oldest first; the present one is the last."""
    return list(bars_from(feed, interval_ms, start_ms // interval_ms * interval_ms, end_ms))


def bars_from(feed: SymbolFeed, interval_ms: int, start_ms: int, end_ms: int) -> Iterator[Bar]:
    """Make the bars that open within [start, end], the oldest first."""
    for open_ms in _opens(feed, interval_ms, start_ms, end_ms):
        bar = _bar(feed, interval_ms, open_ms)
        if bar is not None:
            yield bar


def bars_back(feed: SymbolFeed, interval_ms: int, start_ms: int, end_ms: int) -> Iterator[Bar]:
    """Make the bars that open within [start, end], the newest first."""
    for open_ms in reversed(_opens(feed, interval_ms, start_ms, end_ms)):
        bar = _bar(feed, interval_ms, open_ms)
        if bar is not None:
            yield bar


def last_day(feed: SymbolFeed, now_ms: int) -> Bar:
    """Sum up the last 24 hours, hour by hour; a fault may have multiplied what was traded."""
    day_ms, hour_ms = INTERVALS_MS["1d"], INTERVALS_MS["1h"]
    hours = [_hour(feed, at) for at in _opens(feed, hour_ms, (now_ms - day_ms) // hour_ms * hour_ms, now_ms)]
    day = empty_bar(now_ms - day_ms, day_ms, next(hour.open for hour in hours if hour is not None))
    for hour in hours:
        if hour is not None:
            day.merge(hour)
    day.lots, day.turnover = round(day.lots * feed.volume_factor), round(day.turnover * feed.volume_factor)
    return day


def _hour(feed: SymbolFeed, open_ms: int) -> Bar | None:
    """Make the bar of an hour; one that lies before the start is made once."""
    hour_ms = INTERVALS_MS["1h"]
    if open_ms + hour_ms > feed.history.end_ms:
        return _bar(feed, hour_ms, open_ms)
    if open_ms not in feed.past_hours:
        feed.past_hours[open_ms] = _bar(feed, hour_ms, open_ms)
    return feed.past_hours[open_ms]


def _opens(feed: SymbolFeed, interval_ms: int, start_ms: int, end_ms: int) -> range:
    """List when bars open; the first holds the beginning of the past, the last the present."""
    begin_ms = feed.history.begin_ms // interval_ms * interval_ms
    start_ms = max(begin_ms, -(-start_ms // interval_ms) * interval_ms)
    return range(start_ms, min(end_ms, feed.minutes[-1].open_ms) + 1, interval_ms)


def _bar(feed: SymbolFeed, interval_ms: int, open_ms: int) -> Bar | None:
    bar: Bar | None = None
    for minute in _minutes(feed, open_ms, open_ms + interval_ms):
        if bar is None:
            bar = empty_bar(open_ms, interval_ms, minute.open)
        bar.merge(minute)
    return bar


def _minutes(feed: SymbolFeed, start_ms: int, end_ms: int) -> Iterator[Bar]:
    history, live = feed.history, feed.minutes
    first = max(0, (start_ms - history.begin_ms) // MINUTE_MS)
    end = (end_ms - history.begin_ms) // MINUTE_MS
    for index in range(first, min(end, history.minutes)):
        bar = history.bar(index)
        if bar is not None:
            yield bar
    yield from live[max(0, first - history.minutes) : max(0, end - history.minutes)]
