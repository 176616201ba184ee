"""The messages of OKX's channels, as its documentation shows them."""

from collector.simulator.exchanges.messages import Outgoing, Topic, compact_json
from collector.simulator.market.bars import Bar
from collector.simulator.market.instruments import Instrument
from collector.simulator.market.market import Change
from collector.simulator.market.symbol_feed import SymbolFeed

_FIRST = -1  # the `prevSeqId` of a snapshot
_MOST_ORDERS = 9  # of one level, made up

Levels = list[tuple[int, int]]


def wire_name(channel: str, name: str) -> str:
    """Join a channel and an instrument as one name."""
    return f"{channel}:{name}"


def is_incremental(topic: Topic) -> bool:
    """Return whether a book is sent as a snapshot and updates, not whole each time."""
    return topic.wire.startswith("books:")


def previous_id(feed: SymbolFeed, change: Change) -> int:
    """Return the `prevSeqId` of the present step: the last id before it, also after the ids were reset.

    Ids that a fault skipped count as sent.
    """
    step, events = feed.step_count, feed.events
    is_reset = events.offset(step) < events.offset(step - 1)
    return feed.update_id(step - 1 if is_reset else step, change.first_event - 1)


def whole_book(topic: Topic, feed: SymbolFeed) -> Outgoing:
    """Write a book as it stands: the snapshot of `books`, or any message of `books5` and `bbo-tbt`."""
    bids, asks = feed.market.bids.top(topic.depth), feed.market.asks.top(topic.depth)
    levels = _levels(feed.instrument, bids, asks)
    if is_incremental(topic):
        return _incremental(topic, feed, "snapshot", levels, _FIRST, feed.now_ms)
    name = f',"instId":"{feed.instrument.name}"' if topic.kind == "book" else ""
    data = f'{{{levels}{name},"ts":"{feed.now_ms}","seqId":{feed.last_event}}}'
    return Outgoing(f'{{{_argument(topic, feed)},"data":[{data}]}}', "snapshot", feed.last_event)


def book_update(
    topic: Topic, feed: SymbolFeed, bids: Levels, asks: Levels, previous: int, at_ms: int | None = None
) -> Outgoing:
    """Write an update of `books`, of the present step unless another time is given."""
    levels = _levels(feed.instrument, bids, asks)
    return _incremental(topic, feed, "update", levels, previous, feed.now_ms if at_ms is None else at_ms)


def trades(topic: Topic, feed: SymbolFeed, change: Change) -> list[Outgoing]:
    """Write each trade of one step; the channel `trades` adds how many it stands for, and the sequence id."""
    instrument, out = feed.instrument, []
    more = f',"count":"1","source":"0","seqId":{feed.last_event}'
    more = more if topic.wire.startswith("trades:") else ',"source":"0"'
    for number, fill in feed.numbered(change):
        data = (
            f'{{"instId":"{instrument.name}","tradeId":"{instrument.trade_id(number)}"'
            f',"px":"{instrument.price_text(fill.ticks)}","sz":"{instrument.size_text(fill.lots)}"'
            f',"side":"{"buy" if fill.taker_buys else "sell"}","ts":"{feed.now_ms}"{more}}}'
        )
        out.append(Outgoing(f'{{{_argument(topic, feed)},"data":[{data}]}}', "trade", number))
    return out


def candle(topic: Topic, feed: SymbolFeed, bar: Bar, *, confirmed: bool) -> Outgoing:
    """Write a bar in its present state."""
    row = compact_json(candle_row(feed.instrument, bar, confirmed=confirmed))
    return Outgoing(f'{{{_argument(topic, feed)},"data":[{row}]}}', "bar", bar.open_ms)


def candle_row(instrument: Instrument, bar: Bar, *, confirmed: bool) -> list[str]:
    """Write a bar's numbers; its volume in contracts or base, in base (swaps) or quote, and in quote."""
    size, base = instrument.size_text(bar.lots), instrument.base_text(bar.lots)
    quote = f"{instrument.turnover(bar.turnover):.8f}".rstrip("0").rstrip(".")
    prices = [instrument.price_text(ticks) for ticks in (bar.open, bar.high, bar.low, bar.close)]
    second = base if instrument.is_linear else quote
    return [str(bar.open_ms), *prices, size, second, quote, "1" if confirmed else "0"]


def level_rows(instrument: Instrument, levels: Levels) -> list[list[str]]:
    """Write levels as price, size, a 0 of older days, and the number of orders."""
    price, size = instrument.price_text, instrument.size_text
    return [
        [price(abs(key)), size(lots), "0", str(1 + lots % _MOST_ORDERS) if lots else "0"]
        for key, lots in levels
    ]


def _levels(instrument: Instrument, bids: Levels, asks: Levels) -> str:
    rows = [compact_json(level_rows(instrument, side)) for side in (asks, bids)]
    return f'"asks":{rows[0]},"bids":{rows[1]}'


def _argument(topic: Topic, feed: SymbolFeed) -> str:
    return f'"arg":{{"channel":"{topic.wire.partition(":")[0]}","instId":"{feed.instrument.name}"}}'


def _incremental(
    topic: Topic, feed: SymbolFeed, action: str, levels: str, previous: int, at_ms: int
) -> Outgoing:
    # The checksum is 0 since June 2026: only the ids prove that nothing is missing.
    data = f'{{{levels},"ts":"{at_ms}","checksum":0,"prevSeqId":{previous},"seqId":{feed.last_event}}}'
    text = f'{{{_argument(topic, feed)},"action":"{action}","data":[{data}]}}'
    return Outgoing(text, "snapshot" if action == "snapshot" else "delta", feed.last_event)
