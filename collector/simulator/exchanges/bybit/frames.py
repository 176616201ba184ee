"""The messages of Bybit's topics, as the recorded frames have them."""

from collector.simulator.exchanges.bybit.rest import bar_texts
from collector.simulator.exchanges.messages import Outgoing, Topic, compact_json
from collector.simulator.market.bars import Bar
from collector.simulator.market.instruments import Instrument
from collector.simulator.market.market import Change
from collector.simulator.market.symbol_feed import SymbolFeed


def book(
    topic: Topic,
    feed: SymbolFeed,
    kind: str,
    bids: list[tuple[int, int]],
    asks: list[tuple[int, int]],
    now_ms: int,
) -> Outgoing:
    """Write a snapshot or a delta of a book."""
    instrument = feed.instrument
    if topic.kind == "bbo":
        update = feed.numbering("bbo").at(len(feed.touches) - 1)
    else:
        update = feed.numbering(topic.channel).at(feed.step_count)
    head = f'"ts":{now_ms},"type":"{kind}"' if topic.market == "spot" else f'"type":"{kind}","ts":{now_ms}'
    text = (
        f'{{"topic":"{topic.wire}",{head},"data":{{"s":"{instrument.name}"'
        f',"b":{_levels(instrument, bids)},"a":{_levels(instrument, asks)}'
        f',"u":{update},"seq":{feed.last_event}}},"cts":{feed.now_ms}}}'
    )
    return Outgoing(text, "snapshot" if kind == "snapshot" else "delta", update)


def trades(topic: Topic, feed: SymbolFeed, change: Change, now_ms: int) -> Outgoing:
    """Write the trades of one step."""
    numbered = feed.numbered(change)
    rows = []
    for number, fill in numbered:
        price, size = feed.instrument.price_text(fill.ticks), feed.instrument.size_text(fill.lots)
        side, name = "Buy" if fill.taker_buys else "Sell", feed.instrument.name
        if topic.market == "spot":
            rows.append(
                f'{{"i":"{feed.instrument.trade_id(number)}","T":{feed.now_ms},"p":"{price}","v":"{size}","S":"{side}"'
                f',"seq":{feed.last_event},"s":"{name}","BT":false,"RPI":false}}'
            )
        else:
            tick = "PlusTick" if fill.taker_buys else "MinusTick"
            rows.append(
                f'{{"T":{feed.now_ms},"s":"{name}","S":"{side}","v":"{size}","p":"{price}"'
                f',"L":"{tick}","i":"{feed.instrument.trade_id(number)}","BT":false}}'
            )
    data = ",".join(rows)
    head = (
        f'"ts":{now_ms},"type":"snapshot"' if topic.market == "spot" else f'"type":"snapshot","ts":{now_ms}'
    )
    text = f'{{"topic":"{topic.wire}",{head},"data":[{data}]}}'
    return Outgoing(text, "trade", numbered[-1][0], len(numbered))


def bar(topic: Topic, feed: SymbolFeed, bar: Bar, now_ms: int, *, confirmed: bool) -> Outgoing:
    """Write a bar in its present state."""
    row = {
        "start": bar.open_ms,
        "end": bar.end_ms - 1,
        "interval": topic.wire.split(".")[1],
        **bar_texts(feed.instrument, bar),
        "confirm": confirmed,
        "timestamp": now_ms,
    }
    text = compact_json({"type": "snapshot", "topic": topic.wire, "data": [row], "ts": now_ms})
    return Outgoing(text, "bar", bar.open_ms)


def _levels(instrument: Instrument, levels: list[tuple[int, int]]) -> str:
    price, size = instrument.price_text, instrument.size_text
    # A removal is "0" in both markets, whatever the precision.
    rows = [f'["{price(abs(key))}","{size(lots) if lots else "0"}"]' for key, lots in levels]
    return "[" + ",".join(rows) + "]"
