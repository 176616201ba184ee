"""Faults on demand, each one call: on the connections, on the next frames, on the numbers."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from collector.simulator.exchange import Outgoing
from collector.simulator.wire import BINARY, TEXT, frame

if TYPE_CHECKING:
    from collector.simulator.session import Session
    from collector.simulator.world import World


@dataclass(slots=True)
class Drop:
    """Lose messages."""

    count: int
    done: bool = False

    def __call__(self, message: Outgoing) -> list[Outgoing]:
        """Lose a delta; let a snapshot pass."""
        if message.kind == "snapshot":
            return [message]
        self.count -= 1
        self.done = self.count == 0
        return []


@dataclass(slots=True)
class Duplicate:
    """Send a message twice."""

    done: bool = False

    def __call__(self, message: Outgoing) -> list[Outgoing]:
        """Send the message, and again."""
        self.done = True
        return [message, message]


@dataclass(slots=True)
class Reorder:
    """Send a message after the one that follows it."""

    held: Outgoing | None = None
    done: bool = False

    def __call__(self, message: Outgoing) -> list[Outgoing]:
        """Hold the first message back until the second is there."""
        if self.held is None:
            self.held = message
            return []
        self.done = True
        return [message, self.held]


class Faults:
    """What can be made to go wrong. Every method may be called from any thread."""

    def __init__(self, world: "World", call: Callable[[Coroutine[Any, Any, int]], int]) -> None:
        self._world = world
        self._call = call

    def close(
        self, exchange: str | None = None, code: int = 1006, symbol: str | None = None, reason: str = ""
    ) -> int:
        """Close connections with a code (1006: without one); tells how many."""
        return self._on_sessions(
            "close", exchange, symbol, lambda session: session.close(code, reason), str(code)
        )

    def reset(self, exchange: str | None = None, symbol: str | None = None) -> int:
        """Cut connections by RST; tells how many."""
        return self._on_sessions("reset", exchange, symbol, lambda session: session.reset())

    def raw_frame(self, exchange: str, data: str | bytes, symbol: str | None = None) -> int:
        """Send any text or bytes as one frame; tells on how many connections."""
        payload, opcode = (data.encode(), TEXT) if isinstance(data, str) else (data, BINARY)
        return self._on_sessions(
            "raw_frame",
            exchange,
            symbol,
            lambda session: session.write(frame(payload, opcode)),
            repr(data[:80]),
        )

    def drop_frame(self, exchange: str, symbol: str, channel: str = "book.50", count: int = 1) -> None:
        """Lose the next messages of a channel."""
        self._arm("drop_frame", exchange, symbol, channel, Drop(count))

    def duplicate_frame(self, exchange: str, symbol: str, channel: str = "book.50") -> None:
        """Send the next message of a channel twice."""
        self._arm("duplicate_frame", exchange, symbol, channel, Duplicate())

    def reorder(self, exchange: str, symbol: str, channel: str = "book.50") -> None:
        """Send the next message of a channel after the one that follows it."""
        self._arm("reorder", exchange, symbol, channel, Reorder())

    def gap(self, exchange: str, symbol: str, channel: str = "book.50", count: int = 1) -> None:
        """Skip sequence numbers: the next message has the number after the one expected."""

        async def apply() -> int:
            with self._world.lock:
                feed = self._world.feeds[exchange, symbol]
                feed.catch_up()
                self._world.exchange(exchange).skip_numbers(feed, channel, count)
                self._world.truth.note_fault("gap", exchange, symbol, channel, detail=str(count))
            return 1

        self._call(apply())

    def _arm(
        self, name: str, exchange: str, symbol: str, channel: str, tamper: Drop | Duplicate | Reorder
    ) -> None:
        async def apply() -> int:
            self._world.hub.arm(exchange, symbol, channel, tamper)
            self._world.truth.note_fault(name, exchange, symbol, channel)
            return 1

        self._call(apply())

    def _on_sessions(
        self,
        name: str,
        exchange: str | None,
        symbol: str | None,
        action: Callable[["Session"], None],
        detail: str = "",
    ) -> int:
        async def apply() -> int:
            chosen = self._world.chosen(exchange, symbol)
            for session in chosen:
                connection = session.connection
                self._world.truth.note_fault(
                    name, connection.exchange, symbol, connection=connection.number, detail=detail
                )
                action(session)
            return len(chosen)

        return self._call(apply())
