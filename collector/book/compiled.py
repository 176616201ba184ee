"""Keep an order book in the compiled kernel, to be read like one that Python keeps.

Only what is usual is quick: `follow` takes a frame from its text to a packed row. The rest makes lists of the
kernel's numbers, for the code that judges what is unusual.
"""

from collections.abc import Sequence
from struct import Struct
from typing import Protocol

from collector.events import Levels, impossible_level

# How a message names the one before it: by its own number, which is one more; by the first number that it
# puts together, which is one more; or in so many words.
BY_ONE, BY_FIRST, BY_PREVIOUS = range(3)
BIDS, ASKS = range(2)

# Best levels as bytes of doubles, number, time in ms, middle, levels that are known, edges of bids and asks.
Followed = tuple[bytes, int, int, float, int, float, float]


class KernelFrame(Protocol):
    """Reads frames of one exchange, and keeps what it read last."""

    @property
    def cross_sequence(self) -> int | None:
        """Return the number that the channels of a market share, of the frame that was read last."""

    def read(self, text: str, /) -> str | None:
        """Read changed levels; returns their topic, or None where it is anything but the usual form."""


class KernelBook(Protocol):
    """Both sides of a book, in the kernel."""

    def follow(
        self,
        frame: KernelFrame,
        link: int,
        last_sequence: int,
        middle: float,
        max_jump: float,
        most: int,
        levels: int,
        most_known: int,
        bid_edge: float,
        ask_edge: float,
        /,
    ) -> Followed | None:
        """Apply a frame if it simply follows. None: it is to be judged, and may be applied once more."""

    def update(self, side: int, levels: Levels, /) -> tuple[float, float] | None:
        """Set levels of a side; returns the first that no market could have, and stops there."""

    def prices(self, side: int, /) -> list[float]:
        """List the prices of a side, ascending."""

    def sizes(self, side: int, /) -> list[float]:
        """List the sizes of a side, in the order of their prices."""

    def count(self, side: int, /) -> int:
        """Count the levels of a side."""

    def cut(self, side: int, most: int, /) -> None:
        """Keep the best levels of a side."""

    def clear(self, side: int, /) -> None:
        """Forget the levels of a side."""

    def pack(self, levels: int, /) -> bytes:
        """Write the best levels as doubles, in the order of `OrderBook.top`."""


class CompiledLadder:
    """One side of a compiled book, as `Ladder` is to be read."""

    __slots__ = ("_kernel", "_side")

    def __init__(self, kernel: KernelBook, side: int) -> None:
        self._kernel = kernel
        self._side = side

    def __eq__(self, other: object) -> bool:
        """Compare the levels."""
        if not isinstance(other, CompiledLadder):
            return NotImplemented
        return self.prices == other.prices and self.lots == other.lots

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __len__(self) -> int:
        """Return the number of levels."""
        return self._kernel.count(self._side)

    @property
    def prices(self) -> list[float]:
        """List the prices, ascending."""
        return self._kernel.prices(self._side)

    @property
    def lots(self) -> list[float]:
        """List the sizes in the order of their prices."""
        return self._kernel.sizes(self._side)

    @property
    def sizes(self) -> dict[float, float]:
        """Return the sizes by price."""
        return dict(zip(self.prices, self.lots, strict=True))

    def replace(self, levels: Levels) -> None:
        """Replace all levels by these."""
        self._kernel.clear(self._side)
        self.update(levels)

    def update(self, levels: Levels) -> None:
        """Set each level's size; 0 removes it. Raises FrameError at a number no market could have."""
        wrong = self._kernel.update(self._side, levels)
        if wrong is not None:
            raise impossible_level(*wrong)

    def cut_above(self, most: int) -> None:
        """Keep the best `most`, if these are asks."""
        self._kernel.cut(self._side, most)

    def cut_below(self, most: int) -> None:
        """Keep the best `most`, if these are bids."""
        self._kernel.cut(self._side, most)


class CompiledBook:
    """Both sides, as `OrderBook` is to be read."""

    __slots__ = ("_kernel", "asks", "bids", "follow")

    def __init__(self, kernel: KernelBook) -> None:
        self._kernel = kernel
        self.follow = kernel.follow
        self.bids = CompiledLadder(kernel, BIDS)
        self.asks = CompiledLadder(kernel, ASKS)

    def __eq__(self, other: object) -> bool:
        """Compare the levels of both sides."""
        if not isinstance(other, CompiledBook):
            return NotImplemented
        return self.bids == other.bids and self.asks == other.asks

    __hash__ = None  # type: ignore[assignment]  # it changes

    def replace(self, bids: Levels, asks: Levels) -> None:
        """Replace all levels of both sides."""
        self.bids.replace(bids)
        self.asks.replace(asks)

    def update(self, bids: Levels, asks: Levels) -> None:
        """Set changed levels of both sides."""
        self.bids.update(bids)
        self.asks.update(asks)

    def top(self, levels: int) -> list[float]:
        """Return the best levels as numbers, in the order of `OrderBook.top`."""
        return unpacked(self._kernel.pack(levels))


def unpacked(packed: bytes) -> list[float]:
    """Return the numbers of a row."""
    return list(Struct(f"{len(packed) // 8}d").unpack(packed))
