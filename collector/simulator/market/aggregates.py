"""Aggregates: trades of one order at one price counted as one, in a numbering of their own."""

from collections.abc import Iterator
from typing import NamedTuple

from collector.simulator.market.past import PastTrade
from collector.simulator.market.rest_history import position_at, trades_since
from collector.simulator.market.symbol_feed import SymbolFeed


class Aggregate(NamedTuple):
    """One aggregate; `first` and `last` are the ids of its trades."""

    number: int
    first: int
    last: int
    at_ms: int
    ticks: int
    lots: int
    buys: bool


def aggregate_base(feed: SymbolFeed) -> int:
    """Return the id of the first live aggregate: well below those of trades."""
    return feed.trade_base * 3 // 4


def aggregate_count(feed: SymbolFeed) -> int:
    """Count the aggregates of the past and since."""
    return feed.history.group_count + len(feed.groups)


def aggregates_since(feed: SymbolFeed, index: int, limit: int) -> Iterator[Aggregate]:
    """Make aggregates from a position on, the oldest first; position 0 is the first of the past."""
    past = feed.history.group_count
    for at in range(max(0, index), min(index + limit, aggregate_count(feed))):
        trades = _trades_of(feed, at)
        if trades:
            yield _joined(aggregate_base(feed) + at - past, trades)


def live_aggregates(feed: SymbolFeed, since: int) -> Iterator[Aggregate]:
    """Make the live aggregates from that of a live trade on."""
    return aggregates_since(feed, feed.history.group_count + feed.groups.find(since), len(feed.groups))


def aggregate_position_at(feed: SymbolFeed, at_ms: int) -> int:
    """Find the position of the first aggregate not before a time."""
    position, past = position_at(feed, at_ms), feed.history.trade_count
    if position < past:
        return feed.history.group_of(position)
    return feed.history.group_count + feed.groups.find(position - past)


def aggregate_position_of(feed: SymbolFeed, number: int) -> int:
    """Find the position of an aggregate's id."""
    return number - aggregate_base(feed) + feed.history.group_count


def _trades_of(feed: SymbolFeed, at: int) -> list[PastTrade]:
    group = at - feed.history.group_count
    if group < 0:
        first, end = feed.history.group(at)
        return trades_since(feed, first, end - first)
    first = feed.groups[group][0]
    end = feed.groups[group + 1][0] if group + 1 < len(feed.groups) else len(feed.trades)
    return trades_since(feed, feed.history.trade_count + first, end - first)


def _joined(number: int, trades: list[PastTrade]) -> Aggregate:
    first, last = trades[0], trades[-1]
    lots = sum(trade.lots for trade in trades)
    return Aggregate(number, first.number, last.number, first.at_ms, first.ticks, lots, first.buys)
