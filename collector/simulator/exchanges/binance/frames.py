"""The messages of Binance's streams, as the recorded frames have them."""

from typing import Any

from collector.simulator.exchanges.binance import rest_past
from collector.simulator.market import (
    Bar,
    Change,
    Instrument,
    SymbolFeed,
    live_aggregates,
    whole_side_delta,
)
from collector.simulator.messages import Outgoing, Topic, compact_json


def diff(topic: Topic, feed: SymbolFeed, change: Change, now_ms: int) -> Outgoing:
    """Write a diff of the whole book."""
    instrument = feed.instrument
    bids = whole_side_delta(feed.market.bids, change.bids)
    asks = whole_side_delta(feed.market.asks, change.asks)
    first = feed.update_id(feed.step_count, change.first_event)
    last = feed.last_event
    if topic.market == "spot":
        numbers = f'"s":"{instrument.name}","U":{first},"u":{last}'
    else:
        before = first - instrument.conventions.ids_per_event
        # Ids of other symbols lie between two messages: U is seldom the last u and one.
        first -= change.first_event % (instrument.conventions.ids_per_event - 1)
        numbers = f'"T":{feed.now_ms},"s":"{instrument.name}","U":{first},"u":{last},"pu":{before}'
        bids.reverse()  # futures list bids from the lowest up, spot from the best down
    text = (
        f'{{"e":"depthUpdate","E":{now_ms},{numbers}'
        f',"b":{_levels(instrument, bids)},"a":{_levels(instrument, asks)}}}'
    )
    return Outgoing(text, "delta", last)


def best(topic: Topic, feed: SymbolFeed, now_ms: int) -> Outgoing:
    """Write the best prices."""
    instrument = feed.instrument
    (bid, bid_lots), (ask, ask_lots) = feed.market.bids.top(1)[0], feed.market.asks.top(1)[0]
    body = (
        f'"u":{feed.last_event},"s":"{instrument.name}"'
        f',"b":"{instrument.price_text(-bid)}","B":"{instrument.size_text(bid_lots)}"'
        f',"a":"{instrument.price_text(ask)}","A":"{instrument.size_text(ask_lots)}"'
    )
    if topic.market == "linear":
        body = f'"e":"bookTicker",{body},"T":{feed.now_ms},"E":{now_ms}'
    return Outgoing(f"{{{body}}}", "snapshot", feed.last_event)


def trades(topic: Topic, feed: SymbolFeed, change: Change, now_ms: int) -> list[Outgoing]:
    """Write each trade of one step."""
    instrument, out = feed.instrument, []
    for number, fill in feed.numbered(change):
        price, size = instrument.price_text(fill.ticks), instrument.size_text(fill.lots)
        maker = "false" if fill.taker_buys else "true"
        core = f'"s":"{instrument.name}","t":{number},"p":"{price}","q":"{size}"'
        if topic.market == "spot":
            text = f'{{"e":"trade","E":{now_ms},{core},"T":{feed.now_ms},"m":{maker},"M":true}}'
        else:
            text = f'{{"e":"trade","E":{now_ms},"T":{feed.now_ms},{core},"X":"MARKET","m":{maker}}}'
        out.append(Outgoing(text, "trade", number))
    return out


def placeholder(feed: SymbolFeed, number: int, now_ms: int) -> Outgoing:
    """Write a futures trade without price and size."""
    core = f'"s":"{feed.instrument.name}","t":{number},"p":"0","q":"0","X":"NA","m":true'
    return Outgoing(f'{{"e":"trade","E":{now_ms},"T":{now_ms},{core}}}', "trade", number, events=0)


def aggregates(topic: Topic, feed: SymbolFeed, change: Change, now_ms: int) -> list[Outgoing]:
    """Write the trades of one step, those of one price and side as one."""
    rows = [
        rest_past.aggregate_row(feed.instrument, each)
        for each in live_aggregates(feed, len(feed.trades) - len(change.fills))
    ]
    return [Outgoing(compact_json(_agg_message(topic, feed, row, now_ms)), "trade", row["a"]) for row in rows]


def bar(topic: Topic, feed: SymbolFeed, bar: Bar, now_ms: int, *, confirmed: bool) -> Outgoing:
    """Write a bar in its present state."""
    instrument = feed.instrument
    price, size = instrument.price_text, instrument.size_text
    turnover, buy_turnover = rest_past.turnover_texts(instrument, bar)
    k = {
        "t": bar.open_ms,
        "T": bar.end_ms - 1,
        "s": instrument.name,
        "i": topic.interval,
        "f": bar.first_trade,
        "L": bar.last_trade,
        "o": price(bar.open),
        "c": price(bar.close),
        "h": price(bar.high),
        "l": price(bar.low),
        "v": size(bar.lots),
        "n": bar.count,
        "x": confirmed,
        "q": turnover,
        "V": size(bar.buy_lots),
        "Q": buy_turnover,
        "B": "0",
    }
    text = compact_json({"e": "kline", "E": now_ms, "s": instrument.name, "k": k})
    return Outgoing(text, "bar", bar.open_ms)


def _agg_message(topic: Topic, feed: SymbolFeed, aggregate: dict[str, Any], now_ms: int) -> dict[str, Any]:
    name = feed.instrument.name
    head: dict[str, Any] = {"e": "aggTrade", "E": now_ms}
    head |= {"s": name, "a": aggregate["a"]} if topic.market == "spot" else {"a": aggregate["a"], "s": name}
    keys = ("p", "q", "f", "l", "T", "m", "M") if topic.market == "spot" else ("p", "q", "f", "l", "T", "m")
    return head | {key: aggregate[key] for key in keys}


def _levels(instrument: Instrument, levels: list[tuple[int, int]]) -> str:
    price, size = instrument.price_text, instrument.size_text
    return "[" + ",".join([f'["{price(abs(key))}","{size(lots)}"]' for key, lots in levels]) + "]"
