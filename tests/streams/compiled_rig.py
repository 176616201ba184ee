"""One market's frames to two stream layers: Python's general way, and the kernel before it."""

import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any

from collector.book import Kernel, OrderBook
from collector.book.bridged import KEPT_DEPTHS
from collector.buffer import Buffer
from collector.events import (
    Ack,
    EventBus,
    L2Update,
    Liveness,
    PotentialHalt,
    SegmentChanged,
    Snapshot,
    WitnessDisagreed,
)
from collector.exchanges import MarketKind, exchange_of
from collector.streams import Outlet, Router, Stream, StreamMaker, UnknownFrames

NOTICES = (L2Update, SegmentChanged, PotentialHalt, WitnessDisagreed)
MARKETS: dict[tuple[str, str], dict[str, Any]] = {
    ("bybit", "linear"): {"id": "BTCUSDT", "symbol": "BTC/USDT:USDT", "linear": True},
    ("bybit", "spot"): {"id": "BTCUSDT", "symbol": "BTC/USDT"},
    ("binance", "spot"): {"id": "BTCUSDT", "symbol": "BTC/USDT"},
    ("binance", "linear"): {"id": "BTCUSDT", "symbol": "BTC/USDT:USDT", "linear": True, "contractSize": 1},
}


class Layer:
    """A stream layer without a socket, and all that came out of it."""

    def __init__(self, exchange: str, kind: MarketKind, kernel: Kernel | None, levels: int = 10) -> None:
        self.exchange, self.kind = exchange, kind
        self.buffer = Buffer(levels_per_row=levels, max_rows=100_000, flush_rows=100_000)
        self.events = EventBus()
        self.told: list[object] = []
        self.liveness = Liveness(1)
        self.protocol = exchange_of(exchange)
        read_next = None
        if kernel is not None:
            read_next = kernel.new_frame(self.protocol.kernel_shapes[kind]).read
        self.unknown = UnknownFrames(exchange, self.buffer, lambda *words: self.told.append(words))
        self.router = Router(self.protocol.read_frame, self.unknown, self.liveness, self, read_next)
        self._maker = StreamMaker(
            exchange,
            Outlet(self.buffer, self.events, itertools.count(1).__next__),
            levels_per_row=levels,
            levels_shown=levels,
            most_off_s=1e9,
            max_jump=0.2,
            new_book=OrderBook if kernel is None else kernel.new_book,
        )
        self.streams: list[Stream] = []
        self.now_ns = 0

    def listen(self) -> None:
        for kind in NOTICES:
            self.events.attach(kind, self.told.append)

    def add(self, market: dict[str, Any], channel: str, depth: int | None = None) -> Any:
        stream = self._maker.make(self.kind, market, channel)
        if depth is not None:  # as no exchange has it: its edges are soon reached
            book = stream._book
            book._depth, book._most_kept, book._known_of_ten = depth, depth * KEPT_DEPTHS, min(10, depth)
        stream.on_doubt = lambda stream, outcome: self.told.append((stream.key, outcome))
        stream.asked()
        self.router.add(stream)
        self.streams.append(stream)
        return stream

    def hear(self, text: str) -> bool:
        self.now_ns += 1_000_000
        self.liveness.heard_ns = self.now_ns
        return self.router.take(text, self.now_ns)

    def rest(self, stream: Any, snapshot: Snapshot) -> None:
        """Let an answer of REST come in that was asked for before."""
        self.now_ns += 1_000_000
        stream.take(snapshot, self.now_ns, self.liveness)

    def result(self) -> dict[str, Any]:
        """Return all that came out, to the bit, and how the streams stand."""
        batch = self.buffer.swap()
        return {
            "levels": batch.levels.tobytes(),
            "integers": batch.integers.tolist(),
            "segments": (batch.opened, batch.closed),
            "counts": {number: repr(counts) for number, counts in batch.counts.items()},
            "witnessed": repr(batch.witnessed),
            "told": re.sub(r"\bid=\d+, ", "", repr(self.told)),  # an event's own id is drawn
            "books": [_levels(stream) for stream in self.streams],
        }

    def on_ack(self, ack: Ack) -> bool:
        self.told.append(ack)
        return False

    def on_status(self, state: object, text: str) -> None:
        self.told.append((state, text))

    def on_pong(self) -> None:
        self.told.append("pong")

    def on_mistake(self, what: str) -> None:
        self.told.append(what)


def _levels(stream: Any) -> object:
    book = getattr(stream, "_book", None)
    if book is None:
        return stream.verified
    sides = [(list(side.prices), list(side.lots)) for side in (book.book.bids, book.book.asks)]
    known = book.known_levels(10)
    edges = book._bid_edge, book._ask_edge
    return repr((book.state, book.last_sequence, book.exchange_ms, book._mid, known, edges, sides))


class Both:
    """The general way, and the compiled one beside it."""

    def __init__(self, exchange: str, kind: MarketKind, kernel: Kernel, levels: int = 10) -> None:
        self.layers = [Layer(exchange, kind, one, levels) for one in (None, kernel)]

    def add(self, channel: str, market: dict[str, Any] | None = None, depth: int | None = None) -> list[Any]:
        one = self.layers[0]
        found = MARKETS[one.exchange, one.kind] if market is None else market
        return [layer.add(found, channel, depth) for layer in self.layers]

    def hear(self, texts: Sequence[str]) -> None:
        """Give both the frames; what they say of each must be the same."""
        general, compiled = self.layers
        for text in texts:
            assert general.hear(text) == compiled.hear(text), text

    def each(self, act: Callable[[Layer, Any], None], streams: Sequence[Any]) -> None:
        for layer, stream in zip(self.layers, streams, strict=True):
            act(layer, stream)

    def same(self) -> dict[str, Any]:
        """Return what came out of both, which must be the same."""
        general, compiled = (layer.result() for layer in self.layers)
        assert compiled == general
        return general


def taken_by_kernel(both: Both, texts: Sequence[str]) -> int:
    """Count the frames that the kernel reads."""
    layer = both.layers[1]
    return sum(layer.router._read_next(text) is not None for text in texts)
