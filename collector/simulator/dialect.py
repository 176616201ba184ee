"""What recorded frames mean: enough to keep a book, and to give a late subscriber a snapshot that fits."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from collector.simulator.messages import Outgoing, Topic

Levels = list[tuple[str, str]]


@dataclass(slots=True)
class RecordedBook:
    """A book in the texts of its prices and sizes; `last` is the data of the last frame about it."""

    bids: dict[str, str] = field(default_factory=dict)
    asks: dict[str, str] = field(default_factory=dict)
    depth: int | None = None
    number: int = 0
    last: dict[str, Any] = field(default_factory=dict)

    def apply(self, bids: Levels, asks: Levels, *, is_snapshot: bool) -> None:
        """Set levels; a size of 0 removes."""
        if is_snapshot:
            self.bids.clear()
            self.asks.clear()
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for price, size in levels:
                if float(size):
                    side[price] = size
                else:
                    side.pop(price, None)
        if self.depth is not None:
            self.bids, self.asks = dict(self.top_bids(self.depth)), dict(self.top_asks(self.depth))

    def top_bids(self, depth: int | None = None) -> Levels:
        """List the bids, best first."""
        return sorted(self.bids.items(), key=lambda level: -float(level[0]))[:depth]

    def top_asks(self, depth: int | None = None) -> Levels:
        """List the asks, best first."""
        return sorted(self.asks.items(), key=lambda level: float(level[0]))[:depth]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a recorded frame is: its topics and its message; `previous` is the number that it follows."""

    key: str
    message: Outgoing
    is_book: bool = False
    is_snapshot: bool = False
    previous: int | None = None
    bids: Levels = field(default_factory=list)
    asks: Levels = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)


class Dialect(ABC):
    """How one exchange's recorded frames are read."""

    @abstractmethod
    def key(self, topic: Topic) -> str:
        """Return what a topic's frames have in common."""

    @abstractmethod
    def read(self, text: str, name: str) -> Meaning | None:
        """Read what a frame means for a symbol; None if nothing."""

    @abstractmethod
    def snapshot(self, topic: Topic, book: RecordedBook) -> str | None:
        """Write the snapshot that fits the position."""

    def book_key(self, key: str) -> str:
        """Return the book that a frame belongs to."""
        return key

    def depth_of(self, snapshot: Meaning) -> int | None:
        """Return to how many levels clients cut the book; None if the exchange removes each itself."""
        del snapshot
        return None

    def rest_depth(self, book: RecordedBook, depth: int) -> str | None:
        """Write the REST answer that fits the position."""
        del book, depth
        return None
