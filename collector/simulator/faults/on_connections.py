"""Faults of connections and of subscriptions."""

from collector.simulator.faults.applied import AppliedFaults
from collector.simulator.wire import NO_CLOSE_FRAME


class ConnectionFaults(AppliedFaults):
    """What can be made to go wrong with connections and subscriptions."""

    def close(
        self,
        exchange: str | None = None,
        code: int = NO_CLOSE_FRAME,
        symbol: str | None = None,
        reason: str = "",
    ) -> int:
        """Close connections with a code (1006: without a close frame); returns how many."""
        return self._on_sessions(
            "close", exchange, symbol, lambda session: session.close(code, reason), str(code)
        )

    def reset(self, exchange: str | None = None, symbol: str | None = None) -> int:
        """Cut connections by RST; returns how many."""
        return self._on_sessions("reset", exchange, symbol, lambda session: session.reset())

    def half_open(self, exchange: str | None = None, symbol: str | None = None) -> int:
        """Stop sending and reading on connections, but keep them open; returns how many."""
        return self._on_sessions("half_open", exchange, symbol, lambda session: session.mute())

    def accept_silently(self, exchange: str, count: int = 1) -> None:
        """Open the next connections and never send anything on them."""
        admission = self._world.admission(exchange)
        self._do("accept_silently", exchange, lambda: admission.arm("silence", count))

    def refuse(self, exchange: str, status: int = 503, count: int = 1) -> None:
        """Answer the next connections with an HTTP status instead; 0 cuts them off."""
        admission = self._world.admission(exchange)
        self._do("refuse", exchange, lambda: admission.refuse(status, count), detail=str(status))

    def expire(self, exchange: str) -> int:
        """Close connections as if they had reached the exchange's limit of age (24 h); returns how many."""
        return self._on_sessions("expire", exchange, None, lambda session: session.close(1001))

    def connection_allowance(self, exchange: str, capacity: int) -> None:
        """Allow only so many new connections in the window that the exchange counts."""
        capacities = self._world.allowances.connection_capacities
        self._do(
            "connection_allowance",
            exchange,
            lambda: capacities.update({exchange: capacity}),
            detail=str(capacity),
        )

    def reject_subscription(self, exchange: str, count: int = 1) -> None:
        """Answer the next requests to subscribe with the exchange's error."""
        admission = self._world.admission(exchange)
        self._do("reject_subscription", exchange, lambda: admission.arm("reject", count))

    def ignore_subscription(self, exchange: str, count: int = 1) -> None:
        """Never answer the next requests to subscribe."""
        admission = self._world.admission(exchange)
        self._do("ignore_subscription", exchange, lambda: admission.arm("ignore", count))

    def stall(self, exchange: str, symbol: str, channel: str = "book.50") -> None:
        """Send nothing more of one channel, while pongs and all else go on, until `unstall`."""
        stream = self._stream(exchange, symbol, channel)
        self._do("stall", exchange, lambda: self._world.hub.stalled.add(stream), symbol, channel)

    def unstall(self, exchange: str, symbol: str, channel: str = "book.50") -> None:
        """Send a stalled channel again; what it missed stays missed."""
        stream = self._stream(exchange, symbol, channel)
        self._do("unstall", exchange, lambda: self._world.hub.stalled.discard(stream), symbol, channel)
