"""Hold what the parts of one connection share."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from collector.clock import Clock
from collector.events import EventBus, Liveness, PotentialHalt, Reconnecting, State, SystemState
from collector.exchanges import Exchange, MarketKind
from collector.live.refusals import RefusedStreams
from collector.network import Failure, Next


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect, as what."""

    exchange: str
    kind: MarketKind
    name: str  # of the connection, in logs and events
    url: str


@dataclass(frozen=True, slots=True)
class ConnectionContext:
    """The values and services that the parts of one connection share."""

    address: Address
    protocol: Exchange
    clock: Clock
    events: EventBus
    monotonic_s: Callable[[], float]
    liveness: Liveness = field(default_factory=Liveness)
    wake: asyncio.Event = field(
        default_factory=asyncio.Event
    )  # set when the connection has work to do at once
    refused: RefusedStreams = field(default_factory=RefusedStreams)  # of the whole exchange
    # Set when the exchange announced that it closes the current socket.
    ends_soon: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def exchange(self) -> str:
        """Return the exchange's name."""
        return self.address.exchange

    def publish(self, state: State, cause: str = "") -> None:
        """Publish the state of the connection, or of the exchange as the exchange reports it."""
        now_ns = self.clock.now_ns()
        self.events.publish(SystemState(self.exchange, self.address.name, state, now_ns, cause))

    def reconnecting(self, failure: Failure, failures: int, following: Next) -> None:
        """Publish that the connection is dialled again, when, and why that is needed."""
        self.events.publish(
            Reconnecting(
                self.exchange,
                self.address.name,
                self.clock.now_ns(),
                failures,
                following.wait_s,
                failure.cause,
                failure.detail,
                failure.close_code,
                following.is_refused,
            )
        )

    def halt(self, code: str, reason: str, symbol: str | None = None) -> None:
        """Publish a failure so frequent, or so final, that trading should perhaps stop."""
        self.events.publish(PotentialHalt(self.exchange, code, reason, self.clock.now_ns(), symbol))
