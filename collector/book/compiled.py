"""Keep an order book in the compiled kernel, to be read like one that Python keeps.

Only what is usual is quick: `follow` takes a frame from its text to a packed row. The rest makes lists of the
kernel's numbers, for the code that judges what is unusual.
"""

from array import array
from collections.abc import Iterator, Sequence
from typing import Protocol, overload

from collector.events import HeldLevels, Levels, impossible_level

BIDS, ASKS = range(2)


class KernelBook(Protocol):
    """Both sides of a book, in the kernel."""

    def follow(
        self,
        held: HeldLevels,
        number: int,
        middle: float,
        max_jump: float,
        most: int,
        levels: int,
        most_known: int,
        bid_edge: float,
        ask_edge: float,
        /,
    ) -> tuple[bytes, float, int, float, float] | None:
        """Apply levels; return the best as doubles, the middle, how many are known, and the edges.

        None where the result is to be judged: the levels may be applied once more. An edge of NaN is none.
        """

    def update(self, side: int, levels: Levels, /) -> tuple[float, float] | None:
        """Set levels of a side; returns the first that no market could have, and stops there."""

    def levels(self, side: int, /) -> tuple[list[float], list[float]]:
        """List the prices of a side, ascending, and the sizes beside them."""

    def count(self, side: int, /) -> int:
        """Count the levels of a side."""

    def price(self, side: int, place: int, /) -> float:
        """Return a price of a side, by its place from the lowest on."""

    def cut(self, side: int, most: int, /) -> None:
        """Keep the best levels of a side."""

    def pack(self, levels: int, /) -> bytes:
        """Write the best levels as doubles, in the order of `OrderBook.top`."""


class _Prices(Sequence[float]):
    """The prices of one side, ascending, as the kernel has them now."""

    __slots__ = ("_kernel", "_side")

    def __init__(self, kernel: KernelBook, side: int) -> None:
        self._kernel = kernel
        self._side = side

    def __len__(self) -> int:
        return self._kernel.count(self._side)

    def __iter__(self) -> Iterator[float]:
        return iter(self._kernel.levels(self._side)[0])

    @overload
    def __getitem__(self, place: int) -> float: ...
    @overload
    def __getitem__(self, place: slice) -> list[float]: ...
    def __getitem__(self, place: int | slice) -> float | list[float]:
        if isinstance(place, slice):
            return self._kernel.levels(self._side)[0][place]
        return self._kernel.price(self._side, place if place >= 0 else place + len(self))


class CompiledLadder:
    """One side of a compiled book, as `Ladder` is to be read."""

    __slots__ = ("_kernel", "_side", "prices")

    def __init__(self, kernel: KernelBook, side: int) -> None:
        self._kernel = kernel
        self._side = side
        self.prices = _Prices(kernel, side)

    def __eq__(self, other: object) -> bool:
        """Compare the levels."""
        if not isinstance(other, CompiledLadder):
            return NotImplemented
        return self._kernel.levels(self._side) == other._kernel.levels(other._side)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __len__(self) -> int:
        """Return the number of levels."""
        return self._kernel.count(self._side)

    @property
    def lots(self) -> list[float]:
        """List the sizes in the order of their prices."""
        return self._kernel.levels(self._side)[1]

    @property
    def sizes(self) -> dict[float, float]:
        """Return the sizes by price."""
        return dict(zip(*self._kernel.levels(self._side), strict=True))

    def replace(self, levels: Levels) -> None:
        """Replace all levels by these."""
        self._kernel.cut(self._side, 0)
        self.update(levels)

    def update(self, levels: Levels) -> None:
        """Set each level's size; 0 removes it. Raises FrameError at a number no market could have."""
        wrong = self._kernel.update(self._side, levels)
        if wrong is not None:
            raise impossible_level(*wrong)

    def holds(self, price: float, size: float) -> bool:
        """Return whether a level has this size already; none has the size 0."""
        return self.sizes.get(price, 0.0) == size

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
        return array("d", self._kernel.pack(levels)).tolist()
