"""Report once, soon after the start, that an exchange cannot be reached, and when it can after all."""

import asyncio

from collector.clock import Clock
from collector.events.bus import EventBus
from collector.events.notices import FirstContact, State, SystemState
from collector.exchanges.addresses import dialled
from collector.network.markets import Source

PATIENCE_S = 3.0

CAUSES = {
    "dns": "its name cannot be resolved",
    "no_such_host": "its name cannot be resolved",
    "refused": "the connection is refused",
    "timeout": "no answer",
}


class Contact:
    """The first contact with one exchange. Lives in the websocket thread's loop.

    A failure is reported at once; where nothing fails and nothing comes, as with a resolver that hangs, it
    is reported after `patience_s`.
    """

    def __init__(
        self, source: Source, events: EventBus, clock: Clock, patience_s: float = PATIENCE_S
    ) -> None:
        self._source = source
        self._events = events
        self._clock = clock
        self._patience_s = patience_s
        self._has_markets = False
        self._reached = False
        self._reported: str | None = None  # the address
        self._timer: asyncio.TimerHandle | None = None
        events.attach(SystemState, self._on_state)

    def begin(self) -> None:
        """Start the timer. Call it in the loop."""
        self._timer = asyncio.get_running_loop().call_later(self._patience_s, self._on_timeout)

    def has_markets(self) -> None:
        """Record that REST answered: the websocket is next."""
        self._has_markets = True

    def failed(self, cause: str, detail: str) -> None:
        """Report a failed attempt, unless one was reported already."""
        if not self._reached and self._reported is None:
            self._report(CAUSES.get(cause) or f"{cause}: {detail}")

    def end(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _on_state(self, event: SystemState) -> None:
        if event.exchange != self._source.exchange or self._reached:
            return
        if event.state is State.CONNECTED:
            self._reached = True
            self.end()
            if self._reported is not None:
                self._publish(self._reported, None)
        elif event.state is State.DISCONNECTED and self._has_markets:
            cause, _, detail = event.cause.partition(": ")
            self.failed(cause, detail)

    def _on_timeout(self) -> None:
        if not self._reached and self._reported is None:
            self._report(f"no answer yet, {self._patience_s:.1f} s after it was asked")

    def _report(self, why: str) -> None:
        self.end()
        source = self._source
        addresses = dialled(source.exchange, source.environment, source.endpoints, source.kinds)
        urls = [url for url in addresses if url.startswith("ws") == self._has_markets]
        self._reported = " and ".join(urls) or f"the addresses of {source.exchange}"
        self._publish(self._reported, why)

    def _publish(self, address: str, why: str | None) -> None:
        self._events.publish(FirstContact(self._source.exchange, self._clock.now_ns(), address, why))
