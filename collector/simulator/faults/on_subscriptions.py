"""Faults of requests to subscribe, and of a server that ends its connections."""

import asyncio

from collector.simulator.faults.applied import AppliedFaults
from collector.simulator.session import Session


class SubscriptionFaults(AppliedFaults):
    """What can be made to go wrong when a client asks for streams."""

    def reject_subscription(self, exchange: str, count: int = 1) -> None:
        """Answer the next requests to subscribe with the exchange's error for what does not exist."""
        admission = self._world.admission(exchange)
        self._do("reject_subscription", exchange, lambda: admission.arm("reject", count))

    def ignore_subscription(self, exchange: str, count: int = 1) -> None:
        """Never answer the next requests to subscribe."""
        admission = self._world.admission(exchange)
        self._do("ignore_subscription", exchange, lambda: admission.arm("ignore", count))

    def refuse_subscription(
        self, exchange: str, words: str = "", count: int = 1, symbol: str | None = None
    ) -> None:
        """Refuse the next requests to subscribe for a moment, each in one answer that names no stream.

        Without words those of the exchange (`system busy, please try again later`, `Exceeded msg rate`);
        with a symbol only requests that name it. Words may begin with a code on Binance and OKX: `-1008 No`.
        """
        each, admission = self._world.exchange(exchange), self._world.admission(exchange)
        name = None if symbol is None else self._feed(exchange, symbol).instrument.name
        said = words or each.busy_words
        self._do(
            "refuse_subscription",
            exchange,
            lambda: admission.refuse_for_now(said, count, name),
            symbol,
            detail=f"{count} times: {said}",
        )

    def message_allowance(self, exchange: str, capacity: int | None) -> None:
        """Allow a connection so many requests a second, fewer in busy markets; None: as usual (Kraken)."""
        each = self._world.exchange(exchange)
        if not each.limits_by_load:
            raise ValueError(f"{exchange} has a fixed limit of messages, which is always on")
        self._do(
            "message_allowance",
            exchange,
            lambda: setattr(each, "message_capacity", capacity),
            detail=str(capacity),
        )

    def server_shutdown(self, exchange: str, seconds: float = 10.0) -> int:
        """Announce that connections will be closed, and close them after a while; returns how many."""
        each = self._world.exchange(exchange)
        text = each.shutdown_text(self._world.clock_ns(exchange) // 1_000_000)

        def announce(session: Session) -> None:
            session.write_text(text)
            asyncio.get_running_loop().call_later(seconds, session.close, 1001)

        return self._on_sessions("server_shutdown", exchange, None, announce, f"after {seconds} s")
