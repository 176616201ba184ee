"""Make order-book frames that change exactly so many levels, in the form of each exchange.

The simulator's market moves as a market does; here each message costs the same, so that they can be compared.
The bodies form a cycle that ends where it began; a frame adds its number and its time.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from zlib import crc32

from collector.simulator.exchanges.registry import instrument
from collector.simulator.market.instruments import Instrument
from collector.simulator.wire import frame

CYCLE = 500  # messages in a cycle
FIRST_SEQUENCE = 1_000_000  # of the snapshot; `u` of 1 would be a restart
REST_LEVELS = 1000
FEWEST_LEVELS = 15  # of a side, so that ten are always there
REMOVED = 0.2  # of the changed levels, as far as the book stays deep enough
CHECKSUM_LEVELS = 10

Side = dict[int, int]  # lots by ticks
Level = tuple[int, int]


class Body(NamedTuple):
    """What changes in one message."""

    bids: list[Level]
    asks: list[Level]
    checksum: int


class Message(NamedTuple):
    """All that a dialect writes into a frame."""

    name: str
    first_ms: int
    number: int  # of the update, counted from the snapshot
    bids: str
    asks: str
    checksum: int

    @property
    def at_ms(self) -> int:
        """The exchange's time: one millisecond an update, so that it tells which update it was."""
        return self.first_ms + self.number

    @property
    def sequence(self) -> int:
        """The exchange's own number."""
        return FIRST_SEQUENCE + self.number


@dataclass(frozen=True)
class Style:
    """How one kind of market writes its books."""

    exchange: str
    channel: str
    symbol: str
    reach: int  # the best levels of a side, among which changes fall
    delta: Callable[[Message], str]
    snapshot: Callable[[Message], str]
    level: str = '["{price}","{size}"]'
    rest_path: str | None = None  # where snapshots are asked for, if not on the stream

    @property
    def instrument(self) -> Instrument:
        """What is traded."""
        return instrument(self.exchange, self.symbol)


def _bybit(kind: str, message: Message) -> str:
    return (
        f'{{"topic":"orderbook.50.{message.name}","type":"{kind}","ts":{message.at_ms},"data":'
        f'{{"s":"{message.name}","b":{message.bids},"a":{message.asks},"u":{message.sequence}'
        f',"seq":{message.sequence}}},"cts":{message.at_ms}}}'
    )


def _binance_spot(message: Message) -> str:
    return (
        f'{{"e":"depthUpdate","E":{message.at_ms},"s":"{message.name}","U":{message.sequence}'
        f',"u":{message.sequence},"b":{message.bids},"a":{message.asks}}}'
    )


def _binance_usdm(message: Message) -> str:
    return (
        f'{{"e":"depthUpdate","E":{message.at_ms},"T":{message.at_ms},"s":"{message.name}"'
        f',"U":{message.sequence},"u":{message.sequence},"pu":{message.sequence - 1}'
        f',"b":{message.bids},"a":{message.asks}}}'
    )


def _binance_rest(message: Message) -> str:
    times = f'"E":{message.at_ms},"T":{message.at_ms},'
    return f'{{"lastUpdateId":{message.sequence},{times}"bids":{message.bids},"asks":{message.asks}}}'


def _kraken(kind: str, message: Message) -> str:
    from collector.simulator.exchanges.kraken import time_text  # noqa: PLC0415  (one exchange's own)

    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{message.name}","bids":{message.bids}'
        f',"asks":{message.asks},"checksum":{message.checksum}'
        f',"timestamp":"{time_text(message.at_ms * 1000)}"}}]}}'
    )


STYLES = {
    "bybit linear": Style(
        *("bybit", "book.50", "BTC/USDT:USDT", 50),
        delta=lambda message: _bybit("delta", message),
        snapshot=lambda message: _bybit("snapshot", message),
    ),
    "binance spot": Style(
        *("binance", "book.50", "BTC/USDT", 50),
        delta=_binance_spot,
        snapshot=_binance_rest,
        rest_path="/api/v3/depth",
    ),
    "binance usdm": Style(
        *("binance", "book.50", "BTC/USDT:USDT", 50),
        delta=_binance_usdm,
        snapshot=_binance_rest,
        rest_path="/fapi/v1/depth",
    ),
    "kraken": Style(
        *("kraken", "book.25", "BTC/USD", 25),
        delta=lambda message: _kraken("update", message),
        snapshot=lambda message: _kraken("snapshot", message),
        level='{{"price":{price},"qty":{size}}}',
    ),
}


def anchor(style: Style) -> tuple[Side, Side]:
    """Return the book that every cycle begins and ends with: bids and asks."""
    drawn, middle = random.Random(1), style.instrument.start_ticks
    levels = REST_LEVELS if style.rest_path else style.reach
    lots = [[drawn.randint(100, 10_000) for _ in range(levels)] for _ in range(2)]
    bids = {middle - 1 - offset: size for offset, size in enumerate(lots[0])}
    asks = {middle + 1 + offset: size for offset, size in enumerate(lots[1])}
    return bids, asks


def cycle(style: Style, changed: int, length: int = CYCLE) -> list[Body]:
    """Make messages that change `changed` levels each, half of them bids, and lead back to the anchor."""
    drawn, middle = random.Random(changed), style.instrument.start_ticks
    sides, origin = anchor(style), anchor(style)
    touched = [
        ([middle - 1 - offset for offset in few], [middle + 1 + offset for offset in other])
        for few, other in (
            (
                drawn.sample(range(style.reach), changed - changed // 2),
                drawn.sample(range(style.reach), changed // 2),
            )
            for _ in range(length)
        )
    ]
    last = {price: step for step, both in enumerate(touched) for side in both for price in side}
    bodies = []
    for step, both in enumerate(touched):
        levels: list[list[Level]] = []
        for side, start, prices in zip(sides, origin, both, strict=True):
            near = len(side) - len(start) + style.reach
            changes = []
            for price in prices:
                if last[price] == step:
                    lots = start[price]
                elif price in side and near > FEWEST_LEVELS and drawn.random() < REMOVED:
                    lots = 0
                else:
                    lots = drawn.randint(100, 10_000)
                near += (lots > 0) - (price in side)
                if lots:
                    side[price] = lots
                else:
                    del side[price]
                changes.append((price, lots))
            levels.append(changes)
        bodies.append(Body(levels[0], levels[1], checksum(*sides) if style.exchange == "kraken" else 0))
    return bodies


def checksum(bids: Side, asks: Side) -> int:
    """Compute Kraken's CRC32: at the pair's own precision its digits are ticks and lots."""
    best = [(price, asks[price]) for price in sorted(asks)[:CHECKSUM_LEVELS]]
    best += [(price, bids[price]) for price in sorted(bids, reverse=True)[:CHECKSUM_LEVELS]]
    return crc32("".join(f"{price}{lots}" for price, lots in best).encode())


class Book:
    """The frames of one symbol, one after the other."""

    def __init__(self, style: Style, name: str, first_ms: int) -> None:
        self._style = style
        self._name = name
        self._first_ms = first_ms
        self._bodies: Sequence[tuple[str, str, int]] = ()
        self.number = 0  # of the last update

    def change(self, bodies: Sequence[tuple[str, str, int]]) -> None:
        """Go on with other bodies, `written` before; a checksum holds only from the end of a cycle on."""
        self._bodies = bodies

    def next_frame(self) -> bytes:
        """Make the next update's frame."""
        bids, asks, proof = self._bodies[self.number % CYCLE]
        self.number += 1
        message = Message(self._name, self._first_ms, self.number, bids, asks, proof)
        return frame(self._style.delta(message).encode())

    def snapshot(self) -> str:
        """Write the book as it stands at the end of a cycle."""
        bids, asks = anchor(self._style)
        best_first = sorted(bids.items(), reverse=True), sorted(asks.items())
        texts = [_levels(self._style, side) for side in best_first]
        return self._style.snapshot(
            Message(self._name, self._first_ms, self.number, *texts, checksum(bids, asks))
        )


def written(style: Style, bodies: Sequence[Body]) -> list[tuple[str, str, int]]:
    """Write the levels of bodies as the exchange does."""
    return [(_levels(style, body.bids), _levels(style, body.asks), body.checksum) for body in bodies]


def _levels(style: Style, levels: Sequence[Level]) -> str:
    price, size = style.instrument.price_text, style.instrument.size_text
    texts = [style.level.format(price=price(ticks), size=size(lots)) for ticks, lots in levels]
    return f"[{','.join(texts)}]"
