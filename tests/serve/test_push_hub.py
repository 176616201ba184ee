"""What the hub hands to a client who comes: what stands now, and nothing from before it came."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, cast

from collector.events import BookNow, EventBus, L2Update, Side, StreamKey, StreamNow, Trade
from collector.serve.api.push import Hub
from collector.serve.api.push.outbox import Outbox
from collector.serve.api.push.wants import Want
from collector.serve.api.source import Now, Source

KEY = StreamKey("bybit", "BTC/USDT:USDT", "book.50")
MOST_S = 20.0


class Counted:
    """A source whose overview and whose book have a number."""

    number = 1

    def masked(self, text: str) -> str:
        return text

    async def overview(self) -> dict[str, Any]:
        return {"number": self.number}

    async def now(self) -> Now:
        return Now(1, (StreamNow(KEY, True),), {})

    async def books(self, levels: Mapping[StreamKey, int]) -> list[BookNow]:
        book = L2Update(
            exchange=KEY.exchange,
            symbol=KEY.symbol,
            exchange_ms=1,
            received_at_ns=1,
            channel=KEY.channel,
            sequence=self.number,
            segment_id=1,
            shown=1,
            ten_known=False,
            numbers=(99.0, 1.0, 101.0, 1.0),
        )
        return [BookNow(key, "sequence", book) for key in levels]


def trade_of(name: str) -> Trade:
    numbers = {"price": 1.0, "size": 1.0, "exchange_ms": 1, "received_at_ns": 1}
    return Trade(exchange=KEY.exchange, symbol=KEY.symbol, trade_id=name, side=Side.BUY, **numbers)


async def first_told(outbox: Outbox, *events: str) -> dict[str, dict[str, Any]]:
    """Return the first message of each of these kinds."""
    found: dict[str, dict[str, Any]] = {}
    async with asyncio.timeout(MOST_S):
        while set(found) < set(events):
            for one in await outbox.take():
                found.setdefault(one.event, json.loads(one.text))
    return found


def test_who_comes_gets_nothing_from_before_the_last_one_left() -> None:
    async def scene() -> None:
        source, bus = Counted(), EventBus()
        hub = Hub(cast("Source", source), bus)
        wants = [Want("overview"), Want("books"), Want("ticks")]
        for number in (1, 2):
            source.number = number
            outbox = Outbox()
            hub.join(outbox)
            hub.want(outbox, wants)
            bus.publish(trade_of(f"while {number} listens"))
            told = await first_told(outbox, "overview", "book", "tick")
            assert told["overview"]["number"] == told["book"]["sequence"] == number
            assert told["tick"]["trade_id"] == f"while {number} listens"
            bus.publish(trade_of("that nobody waits for"))
            hub.leave(outbox)

    asyncio.run(scene())


def test_who_comes_to_others_gets_at_once_what_they_had_last() -> None:
    async def scene() -> None:
        hub = Hub(cast("Source", Counted()), None)
        first, second = Outbox(), Outbox()
        for outbox in (first, second):
            hub.join(outbox)
        hub.want(first, [Want("overview"), Want("books")])
        await first_told(first, "overview", "book")
        hub.want(second, [Want("overview"), Want("books", KEY.exchange)])
        assert {one.event for one in await second.take()} == {"overview", "book"}  # no turn was in between
        for outbox in (first, second):
            hub.leave(outbox)

    asyncio.run(scene())
