"""Frames of Binance, made in the form in which it documents and sends them; and what is true of them.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams and
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from made_market import Fill, Level, Market, Top, fixed

START_MS = 1_723_161_255_308
CLOCK_BEHIND_MS = 1_300  # our clock, behind the exchange's
SECOND_NS = 10**9
Texts = list[tuple[str, str]]


@dataclass(frozen=True)
class Decimals:
    """How many decimals prices and sizes are written with, and the steps that they move in."""

    price: int
    size: int
    tick: int = 1  # units of the last decimal of a price
    lot: int = 1

    def price_text(self, ticks: int) -> str:
        return fixed(ticks * self.tick, self.price)

    def size_text(self, lots: int) -> str:
        return fixed(lots * self.lot, self.size)


SPOT = Decimals(8, 8, 10**6, 10**4)  # 2683.80000000, 3.02920000
SPOT_CHEAP = Decimals(8, 8, 1, 10**8)  # 0.00002246, 1215.00000000
LINEAR = Decimals(2, 3, 10)  # 63943.90, 46.372
LINEAR_WHOLE = Decimals(5, 0)  # 0.01731, 57618


@dataclass
class Made:
    """One market's frames as they arrive, and what is true of them."""

    kind: str
    texts: list[tuple[int, str]] = field(default_factory=list)  # (nanoseconds of receipt, frame)
    deltas: int = 0
    prefix: int = 0  # deltas that the snapshot holds already
    waited: int = 0  # deltas that came before the snapshot and join it
    comparable: int = 0  # later deltas that came before any best prices beyond them
    trades: int = 0
    books: dict[int, tuple[Texts, Texts]] = field(default_factory=dict)  # the whole book as of each `u`

    @property
    def frames(self) -> list[str]:
        return [text for _, text in self.texts]


def made(
    kind: str,
    seed: int,
    *,
    symbol: str = "ETHUSDT",
    decimals: Decimals | None = None,
    deltas: int = 250,
    snapshot_in: int = 3,
    in_the_middle: bool = True,
    limit: int = 1000,
    wrapped: bool = True,
) -> Made:
    """Make a stream with the snapshot that REST answered while it ran.

    `snapshot_in` is the delta in whose middle (or at whose end) the snapshot was taken: those before it are
    to be dropped. Diffs and best prices run apart by some messages; on futures either may be ahead.
    """
    writer = _Writer(kind, symbol, decimals or (SPOT if kind == "spot" else LINEAR), wrapped)
    market, result = Market(seed), Made(kind, deltas=deltas)
    random = market.random
    depths: list[_Sent] = []
    tops: list[_Sent] = []
    others: list[_Sent] = []
    snapshot: _Sent | None = None
    at_ms, number, trade_id = START_MS, 35_346_513_498, 1_520_538_925
    last, told = number, None
    for place in range(deltas):
        at_ms += random.choice((50, 100, 100, 101)) if random.random() > 0.02 else random.randint(5, 25) * 1000
        first, changed = 0, {}
        events = random.choice((1, 1, 2, 3, 5, 8))
        for event in range(events):
            number += 1 if kind == "spot" else random.randint(1, 400)  # futures' markets share the ids
            first = first or number
            fill = market.trade() if random.random() < 0.15 else None
            for level in [fill.left] if fill else market.step():
                changed[level.side, level.ticks] = level
            if fill:
                others.append(_Sent(at_ms, number, writer.trade(at_ms, trade_id, fill)))
                trade_id += 1
            if market.top != told:
                told = market.top
                tops.append(_Sent(at_ms + _late(market, kind), number, writer.top(at_ms, number, told)))
            is_end = event == events - 1
            if place == snapshot_in and (is_end or (in_the_middle and event == (events - 1) // 2)) and not snapshot:
                snapshot = _Sent(at_ms + 230, number, writer.rest(at_ms, number, market, limit))
        if kind == "linear":  # U lies anywhere after the message before
            first -= random.randint(0, max(0, min(50, first - last - 1)))
        if random.random() < 0.05:  # the same once more, or gone once more
            side = random.choice(("bid", "ask"))
            ticks = random.choice([*market.sides[side], 1 if side == "bid" else 10**7])
            changed[side, ticks] = Level(side, ticks, market.sides[side].get(ticks, 0))
        text = writer.depth(at_ms, (first, number, last), list(changed.values()))
        depths.append(_Sent(at_ms + random.choice((0, 0, 0, 60, 150)), number, text))
        result.books[number] = writer.levels(market)
        last = number
    assert snapshot is not None
    return _arrived(result, depths, tops, [*others, snapshot], snapshot)


@dataclass
class _Sent:
    at_ms: int
    number: int
    text: str


def _late(market: Market, kind: str) -> int:
    return market.random.choice((0, 0, 0, 80, 120)) if kind == "linear" else 0


def _arrived(
    result: Made, depths: list[_Sent], tops: list[_Sent], others: list[_Sent], snapshot: _Sent
) -> Made:
    """Bring the channels together: each keeps its order, one may run behind another."""
    for channel in (depths, tops):
        for before, after in zip(channel, channel[1:], strict=False):
            after.at_ms = max(after.at_ms, before.at_ms)
    tops[0].at_ms = min(tops[0].at_ms, depths[0].at_ms)
    arrived = sorted([*tops, *depths, *others], key=lambda sent: sent.at_ms)
    is_old: Callable[[_Sent], bool] = lambda sent: (
        sent.number <= snapshot.number if result.kind == "spot" else sent.number < snapshot.number
    )
    result.prefix = sum(map(is_old, depths))
    result.trades = sum('"e":"trade"' in sent.text for sent in others)
    depth_ids, top_ids, newest, is_bridged = {id(sent) for sent in depths}, {id(sent) for sent in tops}, 0, False
    for place, sent in enumerate(arrived):
        at_ns = (sent.at_ms - CLOCK_BEHIND_MS) * 1_000_000 + place
        result.texts.append((at_ns, sent.text))
        if id(sent) in top_ids:
            newest = sent.number
        elif sent is snapshot:
            is_bridged = True
        elif id(sent) in depth_ids and not is_old(sent):
            result.waited += not is_bridged
            result.comparable += is_bridged and newest <= sent.number
    return result


class _Writer:
    """Write one market's frames, keys in the exchange's order."""

    def __init__(self, kind: str, symbol: str, decimals: Decimals, wrapped: bool) -> None:
        self.is_spot = kind == "spot"
        self.symbol, self.decimals, self.wrapped = symbol, decimals, wrapped

    def levels(self, market: Market, limit: int | None = None) -> tuple[Texts, Texts]:
        bids, asks = ([self.pair(*level) for level in market.best(side, limit)] for side in ("bid", "ask"))
        return bids, asks

    def pair(self, ticks: int, lots: int) -> tuple[str, str]:
        return self.decimals.price_text(ticks), self.decimals.size_text(lots)

    def depth(self, at_ms: int, numbers: tuple[int, int, int], changed: list[Level]) -> str:
        first, last, before = numbers
        bids = sorted((level for level in changed if level.side == "bid"), key=lambda level: level.ticks)
        asks = sorted((level for level in changed if level.side == "ask"), key=lambda level: level.ticks)
        if self.is_spot:  # spot lists bids from the best down, futures from the lowest up
            bids.reverse()
        sides = [
            _listed([self.pair(level.ticks, level.lots) for level in side]) for side in (bids, asks)
        ]
        middle = f'"s":"{self.symbol}","U":{first},"u":{last}'
        if not self.is_spot:
            middle = f'"T":{at_ms - 3},{middle},"pu":{before}'
        text = f'{{"e":"depthUpdate","E":{at_ms},{middle},"b":{sides[0]},"a":{sides[1]}}}'
        return self.of("depth@100ms" if self.is_spot else "depth@0ms", text)

    def top(self, at_ms: int, number: int, top: Top) -> str:
        (bid, bid_size), (ask, ask_size) = self.pair(*top[:2]), self.pair(*top[2:])
        numbers = f'"b":"{bid}","B":"{bid_size}","a":"{ask}","A":"{ask_size}"'
        text = f'{{"u":{number},"s":"{self.symbol}",{numbers}}}'
        if not self.is_spot:
            text = f'{{"e":"bookTicker",{text[1:-1]},"T":{at_ms - 3},"E":{at_ms}}}'
        return self.of("bookTicker", text)

    def trade(self, at_ms: int, trade_id: int, fill: Fill) -> str:
        price, size = self.pair(fill.ticks, fill.lots)
        core = f'"s":"{self.symbol}","t":{trade_id},"p":"{price}","q":"{size}"'
        maker = "false" if fill.taker_buys else "true"
        if self.is_spot:
            text = f'{{"e":"trade","E":{at_ms},{core},"T":{at_ms - 1},"m":{maker},"M":true}}'
        else:
            origin = "INSURANCE_FUND" if trade_id % 7 == 0 else "MARKET"
            text = f'{{"e":"trade","E":{at_ms},"T":{at_ms - 1},{core},"X":"{origin}","m":{maker}}}'
        return self.of("trade", text)

    def rest(self, at_ms: int, number: int, market: Market, limit: int) -> str:
        bids, asks = (_listed(side) for side in self.levels(market, limit))
        times = "" if self.is_spot else f'"E":{at_ms},"T":{at_ms - 9},'
        return f'{{"lastUpdateId":{number},{times}"bids":{bids},"asks":{asks}}}'

    def of(self, stream: str, text: str) -> str:
        return f'{{"stream":"{self.symbol.lower()}@{stream}","data":{text}}}' if self.wrapped else text


def _listed(levels: Texts) -> str:
    return "[" + ",".join(f'["{price}","{size}"]' for price, size in levels) + "]"
