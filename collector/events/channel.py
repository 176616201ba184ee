"""Read a channel's name: what is collected of a market, and at which depth or interval.

`book.50` is the order book of 50 levels a side, `bbo` the best bid and ask, `trade` every trade, `ohlcv.1m`
bars of a minute. Settings, tables and events hold the name; whoever asks what it means asks here.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

BBO, BOOK, OHLCV, TRADE = "bbo", "book", "ohlcv", "trade"
FAMILIES = (BBO, BOOK, OHLCV, TRADE)

_MOST_REMEMBERED = 1024  # names; what is collected at one time is far less
_WELL_FORMED = re.compile(r"book\.[1-9][0-9]{0,5}|ohlcv\.\w{1,8}|bbo|trade", re.ASCII)


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel's family, and its depth or interval where the family has several."""

    family: str
    detail: str = ""

    @staticmethod
    @lru_cache(_MOST_REMEMBERED)
    def of(text: str) -> "Channel":
        """Read a name, whatever it is: one that is no channel is a family of its own."""
        family, _, detail = text.partition(".")
        return Channel(family, detail) if detail else Channel(text)

    def __str__(self) -> str:
        """Return the name that it was read from."""
        return f"{self.family}.{self.detail}" if self.detail else self.family

    @property
    def is_well_formed(self) -> bool:
        """Return whether it is written as a channel is; which ones there are each exchange decides."""
        return _WELL_FORMED.fullmatch(str(self)) is not None

    @property
    def is_book(self) -> bool:
        """Return whether its messages are states of a book, the best bid and ask included."""
        return self.family in (BOOK, BBO)

    @property
    def depth(self) -> int:
        """Return its levels a side: 50 of `book.50`, 1 of `bbo`. Raises ValueError if it is no book."""
        if self.family == BBO:
            return 1
        if self.family != BOOK:
            raise ValueError(f"{self} is no order book")
        return int(self.detail)

    @property
    def interval(self) -> str:
        """Return the length of its bars: `1m` of `ohlcv.1m`. Raises ValueError if it has none."""
        if self.family != OHLCV:
            raise ValueError(f"{self} has no bars")
        return self.detail
