"""One market of Binance as a client hears it, made from a seed; and what is true of it."""

from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise

from binance_writing import LINEAR, SPOT, Decimals, Texts, Writer
from made_market import Level, Market

START_MS = 1_700_000_000_000
CLOCK_BEHIND_MS = 1_300  # our clock, behind the exchange's


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
    def later(self) -> int:
        """Count the deltas that came after the snapshot and are not in it."""
        return self.deltas - self.prefix - self.waited

    @property
    def frames(self) -> list[str]:
        return [text for _, text in self.texts]


@cache
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
    writer = Writer(kind, symbol, decimals or (SPOT if kind == "spot" else LINEAR), wrapped)
    market, result = Market(seed), Made(kind, deltas=deltas)
    random = market.random
    depths: list[_Sent] = []
    tops: list[_Sent] = []
    others: list[_Sent] = []
    snapshot: _Sent | None = None
    at_ms, number, trade_id = START_MS, 35_000_000_000, 1_500_000_000
    last, told = number, None
    for place in range(deltas):
        at_ms += (
            random.choice((50, 100, 100, 101)) if random.random() > 0.02 else random.randint(5, 25) * 1000
        )
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
            if (
                place == snapshot_in
                and (is_end or (in_the_middle and event == (events - 1) // 2))
                and not snapshot
            ):
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
        for before, after in pairwise(channel):
            after.at_ms = max(after.at_ms, before.at_ms)
    tops[0].at_ms = min(tops[0].at_ms, depths[0].at_ms)
    arrived = sorted([*tops, *depths, *others], key=lambda sent: sent.at_ms)
    newest_old = snapshot.number if result.kind == "spot" else snapshot.number - 1
    result.prefix = sum(sent.number <= newest_old for sent in depths)
    result.trades = sum('"e":"trade"' in sent.text for sent in others)
    depth_ids, top_ids, newest, is_bridged = (
        {id(sent) for sent in depths},
        {id(sent) for sent in tops},
        0,
        False,
    )
    for place, sent in enumerate(arrived):
        at_ns = (sent.at_ms - CLOCK_BEHIND_MS) * 1_000_000 + place
        result.texts.append((at_ns, sent.text))
        if id(sent) in top_ids:
            newest = sent.number
        elif sent is snapshot:
            is_bridged = True
        elif id(sent) in depth_ids and sent.number > newest_old:
            result.waited += not is_bridged
            result.comparable += is_bridged and newest <= sent.number
    return result
