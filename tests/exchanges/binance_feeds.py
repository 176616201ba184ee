"""A book of Binance rebuilt by its rules alone, and the feeds to rebuild one from."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from collector.book.order_book import OrderBook
from collector.book.verified import Verdict
from collector.events.messages import Candle, Delta, Snapshot, TopOfBook, Trade
from collector.exchanges.binance.frames import read_frame, read_snapshot
from collector.exchanges.binance.rule import rule_of
from collector.exchanges.exchange import MarketKind

sys.path.insert(0, str(Path(__file__).parents[1] / "frames"))
import recordings
from made_binance import Made

Message = Snapshot | Delta | TopOfBook | Trade | Candle


class Rebuilt:
    """A book rebuilt by the rules alone: deltas wait for the snapshot, are dropped or join, then continue."""

    def __init__(self, kind: MarketKind) -> None:
        self.rule = rule_of(kind, "book.1000", {})
        self.book = OrderBook()
        self.last: int | None = None
        self.snapshot: int | None = None
        self.waiting: list[Delta] = []
        self.verdicts: Counter[tuple[str, Verdict]] = Counter()

    def take(self, message: Snapshot | Delta) -> None:
        if isinstance(message, Snapshot):
            self.book.replace(message.bids, message.asks)
            self.snapshot = message.sequence
            waiting, self.waiting = self.waiting, []
            for delta in waiting:
                self.apply(delta)
        elif self.snapshot is None:
            self.waiting.append(message)
        else:
            self.apply(message)

    def apply(self, delta: Delta) -> None:
        if self.last is None:
            step, verdict = "bridge", self.rule.bridge(self.snapshot, delta)
        else:
            step, verdict = "delta", self.rule.judge_delta(self.last, delta)
        self.verdicts[step, verdict] += 1
        if verdict is Verdict.CONTINUES:
            self.book.update(delta.bids, delta.asks)
            self.last = delta.sequence

    @property
    def top(self) -> tuple[float, ...]:
        """Best bid, its size, best ask, its size."""
        bid, bid_size, ask, ask_size = self.book.top(1)
        return bid, bid_size, ask, ask_size


@dataclass(frozen=True)
class Feed:
    """One market's frames as they arrived, and how many of what is in them."""

    kind: MarketKind
    frames: Callable[[], Iterable[str]]
    deltas: int
    prefix: int  # deltas that the snapshot holds already
    comparable: int  # of those that came after it: no best prices beyond them came first
    waited: int = 0  # deltas that came before it and join it

    @property
    def later(self) -> int:
        return self.deltas - self.prefix - self.waited

    def messages(self) -> list[Message]:
        return read(self.frames)


@cache
def read(frames: Callable[[], Iterable[str]]) -> list[Message]:
    messages: list[Message] = []
    for text in frames():
        if text.startswith('{"lastUpdateId"'):
            messages.append(read_snapshot(text, "in-line"))
        else:
            messages += read_frame(text)
    return messages


@cache
def of(make: Callable[[], Made]) -> Feed:
    one = make()
    return Feed(one.kind, lambda: one.frames, one.deltas, one.prefix, one.comparable, one.waited)


@cache
def recorded(kind: MarketKind, paths: tuple[str, ...], *counts: int) -> Feed:
    def frames() -> Iterator[str]:
        return (text for _, text in recordings.stamped(*paths))

    return Feed(kind, frames, *counts)
