"""Say what the stream layer needs to know of an exchange, and which file knows it."""

from collections.abc import Sequence
from typing import Protocol

from collector.book.verified import Rule
from collector.events.messages import Message
from collector.exchanges import bybit


class Exchange(Protocol):
    """One file of this folder: pure functions between frames and our vocabulary."""

    def read_frame(self, text: str) -> Sequence[Message]:
        """Map one frame, or raise FrameError."""

    def book_topic(self, market_id: str, depth: int) -> str:
        """Name the order book of a market at a depth."""

    def Continuity(self, depth: int) -> Rule:  # noqa: N802  (a class stands here)
        """Make the integrity rule of a book."""

    def subscribe(self, topics: Sequence[str], request_id: str) -> dict[str, object]:
        """Make the request that asks for topics."""

    def unsubscribe(self, topics: Sequence[str], request_id: str) -> dict[str, object]:
        """Make the request that ends topics."""

    def ping(self, request_id: str) -> dict[str, object]:
        """Make the request that a living connection answers."""


EXCHANGES: dict[str, Exchange] = {"bybit": bybit}
