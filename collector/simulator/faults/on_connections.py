"""Faults of connections, and of the way to an exchange."""

from collector.simulator.faults.applied import AppliedFaults, set_or_forget
from collector.simulator.wire import NO_CLOSE_FRAME


class ConnectionFaults(AppliedFaults):
    """What can be made to go wrong with connections."""

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

    def connection_allowance(self, exchange: str, capacity: int | None) -> None:
        """Allow only so many new connections in the window that the exchange counts; None: as usual."""
        capacities = self._world.allowances.connection_capacities
        self._do(
            "connection_allowance",
            exchange,
            lambda: set_or_forget(capacities, exchange, capacity),
            detail=str(capacity),
        )

    def stall(self, exchange: str, symbol: str, channel: str = "book.50") -> None:
        """Send nothing more of one channel, while pongs and all else go on, until `unstall`."""
        stream = self._stream(exchange, symbol, channel)
        self._do("stall", exchange, lambda: self._world.hub.stalled.add(stream), symbol, channel)

    def unstall(self, exchange: str, symbol: str, channel: str = "book.50") -> None:
        """Send a stalled channel again; what it missed stays missed."""
        stream = self._stream(exchange, symbol, channel)
        self._do("unstall", exchange, lambda: self._world.hub.stalled.discard(stream), symbol, channel)

    def latency(self, exchange: str, ms: float, jitter_ms: float = 0.0) -> None:
        """Set how long messages and answers take one way: never below `ms`, `jitter_ms` more on the mean."""
        conditions = self._world.conditions[self._world.exchange(exchange).name]

        def apply() -> None:
            conditions.latency_ms, conditions.jitter_ms = ms, jitter_ms

        self._do("latency", exchange, apply, detail=f"{ms} and {jitter_ms} ms")

    def batch_diffs(self, exchange: str, ms: float | None = 100.0) -> None:
        """Send changes of books only every so many ms, so that REST is ahead; None: at once (Binance)."""
        if not self._world.exchange(exchange).batches_diffs:
            raise ValueError(f"{exchange} sends snapshots of its own: its updates cannot lag behind them")
        batches = self._world.hub.batch_s

        seconds = ms / 1000 if ms else None
        self._do("batch_diffs", exchange, lambda: set_or_forget(batches, exchange, seconds), detail=str(ms))
