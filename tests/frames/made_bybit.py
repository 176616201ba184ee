"""Frames of Bybit v5, made in the form in which it documents and sends them.

https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook, and the pages beside it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache

from made_market import Fill, Levels, Market, fixed, short

START_MS = 1_700_000_030_000
MINUTE_MS = 60_000
ACK = '{"success":true,"ret_msg":"subscribe","conn_id":"d9aaaaaaaaaaaaaaaaag-4zzzz","op":"subscribe"}'
Texts = list[tuple[str, str]]


@dataclass
class Made:
    """What a client hears, and what is true of it."""

    texts: list[tuple[int, str]] = field(default_factory=list)  # (nanoseconds of receipt, frame)
    books: dict[tuple[str, int], tuple[Texts, Texts]] = field(default_factory=dict)  # by (topic, u)
    trades: int = 0
    bars: int = 0
    confirmed: int = 0

    @property
    def frames(self) -> list[str]:
        return [text for _, text in self.texts]

    def hear(self, at_ms: int, text: str) -> None:
        """Note a frame as received a little after it was sent."""
        self.texts.append((at_ms * 1_000_000 + 400_000_000 + len(self.texts), text))


@dataclass
class _Book:
    """A book of one topic: what its clients hold, and its numbers."""

    market: Market
    topic: str
    depth: int
    write: Callable[[int, int], str]
    decimals: tuple[int, int]
    number: int
    cross: int
    bids: Levels = field(default_factory=dict)
    asks: Levels = field(default_factory=dict)

    def pair(self, ticks: int, lots: int) -> tuple[str, str]:
        return self.write(ticks, self.decimals[0]), self.write(lots, self.decimals[1]) if lots else "0"

    def state(self) -> tuple[Texts, Texts]:
        bids = [self.pair(*level) for level in sorted(self.bids.items(), reverse=True)]
        return bids, [self.pair(*level) for level in sorted(self.asks.items())]

    def frame(self, kind: str, at_ms: int) -> str:
        """Write the window's state, or what changed in it: a level that leaves it is removed."""
        before = {"bid": self.bids, "ask": self.asks}
        after = {side: dict(self.market.best(side, self.depth)) for side in before}
        sides = []
        for side, old in before.items():
            new = after[side]
            changed = [*new.items()] if kind == "snapshot" else _changed(old, new)
            changed.sort(reverse=side == "bid")
            if kind == "delta" and self.market.random.random() < 0.05:  # gone once more
                changed.append((max(new) + 10**6 if side == "ask" else 1, 0))
            sides.append(
                ",".join(f'["{price}","{size}"]' for price, size in (self.pair(*one) for one in changed))
            )
        self.bids, self.asks = after["bid"], after["ask"]
        self.number, self.cross = self.number + 1, self.cross + self.market.random.randint(1, 60)
        name = self.topic.split(".")[2]
        head = f'"ts":{at_ms},"type":"{kind}"' if self.write is short else f'"type":"{kind}","ts":{at_ms}'
        return (
            f'{{"topic":"{self.topic}",{head},"data":{{"s":"{name}","b":[{sides[0]}],'
            f'"a":[{sides[1]}],"u":{self.number},"seq":{self.cross}}},"cts":{at_ms - 14}}}'
        )


def _changed(old: Levels, new: Levels) -> list[tuple[int, int]]:
    gone = [(ticks, 0) for ticks in old if ticks not in new]
    return gone + [(ticks, lots) for ticks, lots in new.items() if old.get(ticks) != lots]


@cache
def spot_session(seed: int, *, messages: int = 120, depth: int = 200) -> Made:
    """Make a connection with the books, trades and bars of two markets."""
    made = Made()
    books = [
        _book(seed, f"orderbook.{depth}.BTCUSDT", depth, (1, 6), 651_404),
        _book(seed + 1, f"orderbook.{depth}.ETHUSDT", depth, (2, 5), 192_327),
    ]
    bars = [_Bar(book) for book in books]
    random, at_ms = books[0].market.random, START_MS
    made.hear(at_ms, ACK)
    for book in books:
        made.hear(at_ms, book.frame("snapshot", at_ms))
        made.books[book.topic, book.number] = book.state()
    for _ in range(messages):
        at_ms += random.choice((20, 100, 100, 300, 3000))
        place = random.randrange(2)
        book = books[place]
        fills = [book.market.trade() for _ in range(random.choice((0, 0, 0, 1, 3)))]
        for _ in range(random.choice((1, 2, 5))):
            book.market.step()
        made.hear(at_ms, book.frame("delta", at_ms))
        made.books[book.topic, book.number] = book.state()
        if fills:
            made.trades += len(fills)
            made.hear(at_ms, _trades(book, at_ms, made.trades, fills))
        for number, bar in enumerate(bars):
            for text, is_confirmed in bar.frames(at_ms, fills if number == place else []):
                made.bars, made.confirmed = made.bars + 1, made.confirmed + is_confirmed
                made.hear(at_ms, text)
        if random.random() < 0.1:
            made.hear(at_ms, _ticker(book, at_ms))
    return made


@cache
def deep_book(
    seed: int, *, deltas: int = 49, depth: int = 500, gap_ms: int = 100, first_number: int = 5_000_001
) -> Made:
    """Make a book of a futures market alone: zeros at the end of its numbers stay."""
    made, book = Made(), _book(seed, f"orderbook.{depth}.XRPUSDT", depth, (4, 1), 5_233, fixed)
    book.number = first_number - 1
    for place in range(deltas + 1):
        at_ms = START_MS + place * gap_ms
        for _ in range(book.market.random.choice((1, 3, 9)) if place else 0):
            book.market.step()
        made.hear(at_ms, book.frame("delta" if place else "snapshot", at_ms))
        made.books[book.topic, book.number] = book.state()
    return made


def option_books() -> list[str]:
    """Make the frames of two options: `id` first, no `seq`; one has no book at all."""
    empty, quoted = "ABC-30JUN23-45000-P", "ABC-28APR23-30-C"
    texts = []
    for name, kind, levels, number in (
        (empty, "snapshot", '"b":[],"a":[]', 0),
        (quoted, "snapshot", '"b":[["0.01","50"]],"a":[["1.74","46"]]', 24_641),
        (quoted, "delta", '"b":[],"a":[["1.74","0"],["1.75","46"]]', 24_642),
    ):
        texts.append(
            f'{{"id":"orderbook.25.{name}-{number}-{START_MS}","topic":"orderbook.25.{name}","ts":{START_MS},'
            f'"data":{{"s":"{name}",{levels},"u":{number}}},"type":"{kind}"}}'
        )
    return texts


def _book(
    seed: int,
    topic: str,
    depth: int,
    decimals: tuple[int, int],
    middle: int,
    write: Callable[[int, int], str] = short,
) -> _Book:
    market = Market(seed, middle=middle, bids=depth + 9, most_lots=10**7)
    return _Book(market, topic, depth, write, decimals, 5_000_000, 112_000_000_000)


def _trades(book: _Book, at_ms: int, number: int, fills: list[Fill]) -> str:
    name, rows = book.topic.split(".")[2], []
    for place, fill in enumerate(fills):
        price, size = book.pair(fill.ticks, fill.lots)
        side = "Buy" if fill.taker_buys else "Sell"
        rows.append(
            f'{{"i":"229000000005{number + place:07d}","T":{at_ms - 2},"p":"{price}","v":"{size}",'
            f'"S":"{side}","seq":{book.cross},"s":"{name}","BT":false,"RPI":false}}'
        )
    return f'{{"topic":"publicTrade.{name}","ts":{at_ms},"type":"snapshot","data":[{",".join(rows)}]}}'


def _ticker(book: _Book, at_ms: int) -> str:
    name, price = book.topic.split(".")[2], book.pair(book.market.top.bid, 0)[0]
    return (
        f'{{"topic":"tickers.{name}","ts":{at_ms},"type":"snapshot","cs":{book.cross},"data":{{'
        f'"symbol":"{name}","lastPrice":"{price}","volume24h":"2000.5","price24hPcnt":"-0.0015"}}}}'
    )


class _Bar:
    """The bars of one market: without a trade the bar before goes on, at no volume."""

    def __init__(self, book: _Book) -> None:
        self.book, self.start = book, START_MS // MINUTE_MS * MINUTE_MS
        self.open = self.high = self.low = self.close = book.market.top.bid
        self.lots = 0

    def frames(self, at_ms: int, fills: list[Fill]) -> Iterator[tuple[str, bool]]:
        while at_ms >= self.start + MINUTE_MS:
            yield self._frame(self.start + MINUTE_MS + 563, True), True
            self.start += MINUTE_MS
            self.open = self.high = self.low = self.close
            self.lots = 0
            yield self._frame(self.start + 563, False), False
        for fill in fills:
            self.high, self.low = max(self.high, fill.ticks), min(self.low, fill.ticks)
            self.close, self.lots = fill.ticks, self.lots + fill.lots
        if fills:
            yield self._frame(at_ms, False), False

    def _frame(self, at_ms: int, is_over: bool) -> str:
        name, (price, size) = self.book.topic.split(".")[2], self.book.decimals
        texts = [short(ticks, price) for ticks in (self.open, self.close, self.high, self.low)]
        return (
            f'{{"type":"snapshot","topic":"kline.1.{name}","data":[{{"start":{self.start},'
            f'"end":{self.start + MINUTE_MS - 1},"interval":"1","open":"{texts[0]}","close":"{texts[1]}",'
            f'"high":"{texts[2]}","low":"{texts[3]}","volume":"{short(self.lots, size)}","turnover":"0",'
            f'"confirm":{str(is_over).lower()},"timestamp":{at_ms}}}],"ts":{at_ms}}}'
        )
