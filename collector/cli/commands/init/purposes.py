"""Define what is collected for which purpose: channels and sampling."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from collector.exchanges.exchange import KINDS, kind_of
from collector.exchanges.registry import exchange_of, smallest_depth_holding

BOOK_LEVELS = 50  # a side
BAR = "1m"


@dataclass(frozen=True, slots=True)
class Purpose:
    """What somebody wants the data for, and what that takes."""

    name: str
    text: str
    families: tuple[str, ...]
    sample_mode: Literal["every", "on_top_change", "interval"]
    sample_why: str
    interval_ms: int | None = None


PURPOSES: Mapping[str, Purpose] = MappingProxyType(
    {
        purpose.name: purpose
        for purpose in (
            Purpose(
                "training",
                "training data: books, trades and 1-minute bars; every update of a book is a row",
                ("book", "trade", "ohlcv"),
                "every",
                "every update is a row: sampling can be done later, undoing it cannot",
            ),
            Purpose(
                "bot",
                "a paper-trading bot: books, best prices and trades; a row where the best prices change",
                ("book", "bbo", "trade"),
                "on_top_change",
                "a row where the best price or size changes; a bot's callbacks get every update all the same",
            ),
            Purpose(
                "light",
                "long and light: one row of the book a second, and 1-minute bars",
                ("book", "ohlcv"),
                "interval",
                "the last row of each second; its order flow (ofi) is the sum over all updates between",
                interval_ms=1000,
            ),
        )
    }
)


def channels(purpose: Purpose, exchange: str, symbols: Sequence[str]) -> list[str]:
    """Return the channels that serve a purpose, as the exchange offers them."""
    offered = exchange_of(exchange).families
    kinds = [kind for kind in KINDS if any(kind_of(symbol) == kind for symbol in symbols)]
    # Every exchange offers these depths for both of its kinds, where it has two.
    depth = max(smallest_depth_holding(exchange, kind, BOOK_LEVELS) for kind in kinds)
    names = {"book": f"book.{depth}", "ohlcv": f"ohlcv.{BAR}"}
    return [names.get(family, family) for family in purpose.families if family in offered]
