"""Tell once, soon after the start, that nothing comes from an exchange, and when it does after all."""

import asyncio

from collector.clock import Clock
from collector.events.bus import EventBus
from collector.events.notices import FirstContact, State, SystemState
from collector.exchanges.addresses import dialled
from collector.network.markets import Source

PATIENCE_S = 3.0

WORDS = {
    "dns": "its name cannot be resolved",
    "no_such_host": "its name cannot be resolved",
    "refused": "the connection is refused",
    "timeout": "no answer",
}


class Contact:
    """The first contact with one exchange. Lives in the websocket thread's loop.

    A failure is told at once; where nothing fails and nothing comes, as with a resolver that hangs, when
    patience is over.
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
        self._told: str | None = None  # the address
        self._timer: asyncio.TimerHandle | None = None
        events.attach(SystemState, self._on_state)

    def begin(self) -> None:
        """Wait from now on. To be called in the loop."""
        self._timer = asyncio.get_running_loop().call_later(self._patience_s, self._nothing_came)

    def has_markets(self) -> None:
        """Note that REST answered: the websocket is next."""
        self._has_markets = True

    def failed(self, cause: str, detail: str) -> None:
        """Note that a try failed, and why."""
        if not self._reached and self._told is None:
            self._tell(WORDS.get(cause) or f"{cause}: {detail}")

    def end(self) -> None:
        """Wait no longer."""
        if self._timer is not None:
            self._timer.cancel()

    def _on_state(self, event: SystemState) -> None:
        if event.exchange != self._source.exchange or self._reached:
            return
        if event.state is State.CONNECTED:
            self._reached = True
            self.end()
            if self._told is not None:
                self._publish(self._told, None)
        elif event.state is State.DISCONNECTED and self._has_markets:
            cause, _, detail = event.cause.partition(": ")
            self.failed(cause, detail)

    def _nothing_came(self) -> None:
        if not self._reached and self._told is None:
            self._tell(f"no answer yet, {self._patience_s:.1f} s after it was asked")

    def _tell(self, why: str) -> None:
        self.end()
        source = self._source
        addresses = dialled(source.exchange, source.environment, source.endpoints, source.kinds)
        asked = [url for url in addresses if url.startswith("ws") == self._has_markets]
        self._told = " and ".join(asked) or f"the addresses of {source.exchange}"
        self._publish(self._told, why)

    def _publish(self, address: str, why: str | None) -> None:
        self._events.publish(FirstContact(self._source.exchange, self._clock.now_ns(), address, why))
