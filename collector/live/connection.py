"""Keep one websocket connection alive: dial, watch, give up, dial again."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from collector.book.verified import Outcome
from collector.clock import Clock
from collector.errors import StreamError
from collector.events.batch import Liveness
from collector.events.bus import EventBus
from collector.events.messages import Ack
from collector.events.notices import State, SystemState
from collector.exchanges.exchange import Exchange, MarketKind
from collector.live.requests import Requests
from collector.live.resync import Resyncs
from collector.live.subscriptions import Subscriptions, Surroundings
from collector.network.attempts import Attempts
from collector.network.failure_table import FailureClass
from collector.network.failures import Failure, gone, mistaken
from collector.network.markets import Markets, Source
from collector.network.pacing import Pacer, at_most
from collector.network.snapshots import Snapshots
from collector.network.socket import Heart, Socket
from collector.network.turnstile import Turnstile
from collector.network.waiting import wait_for_first
from collector.retry import Backoff
from collector.streams.router import Router, UnknownFrames
from collector.streams.stream import Stream

TICK_S = 0.2  # how often is seen to what is owed; the times themselves are in settings


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things may take."""

    connect_timeout_s: float
    subscribe_timeout_s: float
    stale_after_s: float
    heartbeat_s: float
    backoff: Backoff
    max_reconnect_attempts: int
    connects_a_second: float
    requests_a_second: float
    messages_a_connection: float  # a second, as expected of busy markets


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect, as what."""

    exchange: str
    kind: MarketKind
    name: str  # of the connection, in logs and events
    url: str


class Connection:
    """One socket from its dial to its end, over and over. Lives in the websocket thread's loop."""

    def __init__(
        self,
        address: Address,
        source: Source,
        markets: Markets,
        protocol: Exchange,
        streams: list[Stream],
        *,
        pace: Pace,
        connects: Turnstile,
        on_refused: "Callable[[Connection, Failure], None]",
        clock: Clock,
        events: EventBus,
        unknown: UnknownFrames,
        resyncs: Resyncs,
        snapshots: Snapshots | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.address = address
        self.liveness = Liveness()
        self.stopping = False  # it was asked to end, or cannot go on
        self.is_leaving = False  # another takes its place: nothing more is put on it
        self._pace = pace
        self._connects = connects
        self._turn = 0  # of the dial that is due or under way
        self._on_refused = on_refused
        self._attempts = Attempts(pace.backoff, host_is_known=source.endpoints.ws is None)
        self._around = Surroundings(address.exchange, protocol, clock, events, monotonic_s)
        self._wake = asyncio.Event()
        self._news = asyncio.Event()
        requests = at_most(protocol.limits.requests[address.kind], pace.requests_a_second)
        self._socket = self._new_socket(source, markets, Pacer(requests, monotonic_s))
        self._heart = Heart(pace.heartbeat_s, self._beat, monotonic_s)
        self._requests = Requests(self._socket.send, pace.subscribe_timeout_s)
        self._router = Router(protocol.read_frame, unknown, self.liveness, self)
        self.subscriptions = self._new_subscriptions(streams, resyncs, snapshots)
        self._dialled_s: float | None = None  # since when the socket that stands now has stood

    @property
    def age_s(self) -> float:
        """Tell how long the socket that stands now has stood; 0 when none does."""
        return 0.0 if self._dialled_s is None else self._around.monotonic_s() - self._dialled_s

    async def news(self, timeout_s: float) -> None:
        """Wait for the next frame, or for the time to be over."""
        self._news.clear()
        await wait_for_first(self._news.wait(), timeout_s=timeout_s)

    async def run(self) -> None:
        """Connect, serve, and connect again, until stopped."""
        while await self._turn_to_dial():
            began_s = self._around.monotonic_s()
            try:
                await self._dial()
                await self._serve()
            except StreamError as error:
                self._socket.give_up(gone("lost", str(error)))
            except Exception as error:  # noqa: BLE001  (a fault of ours must not end the stream for good)
                self._around.halt("internal_error", repr(error))
                self._socket.give_up(mistaken(repr(error)))
            await self._let_go()
            if not self.stopping and self._socket.failure is not None:
                await self._think_again(self._socket.failure, self._around.monotonic_s() - began_s)
        await self._socket.close()

    def stop(self) -> None:
        """Ask the connection to end. Its books' segments close now, at what was heard last."""
        self.stopping = True
        self.subscriptions.lose_all("stop", "")
        self._socket.give_up(gone("stopped", ""))
        self._wake.set()

    # What the socket brings.

    def on_text(self, text: str) -> bool:
        """Read a frame; False when ccxt should have it as well."""
        received_at_ns = self._around.clock.now_ns()
        ours = self._router.take(text, received_at_ns)
        self._heart.is_heard = True
        self.liveness.heard_ns = received_at_ns
        self._news.set()
        return ours

    def on_sign_of_life(self) -> None:
        """Hear that the peer said something, of whatever kind."""
        self._heart.heard()
        self.liveness.heard_ns = self._around.clock.now_ns()

    def on_ack(self, ack: Ack) -> bool:
        """Hand an answer to the request that waits for it; False when none does."""
        return self._requests.answered(ack)

    def on_status(self, state: State, text: str) -> None:
        """Publish what the exchange says of its own state."""
        self._publish(state, text)

    def on_broken(self, stream: Stream, outcome: Outcome) -> None:
        """Have a book that is in doubt fetched again."""
        self.subscriptions.broke(stream, outcome)

    def on_mistake(self, what: str) -> None:
        """Give the socket up after a fault of ours: what its frame meant is not known."""
        self._socket.give_up(mistaken(what))

    def on_gone(self, failure: Failure) -> None:
        """Hear that the socket is gone: nobody need wait for an answer any more."""
        self._requests.abandon(str(failure))
        self._wake.set()

    # The life of the connection.

    async def _turn_to_dial(self) -> bool:
        """Wait for a turn to connect; False when the connection is to end."""
        self._turn = self._connects.take_turn()
        while not self.stopping and (wait_s := self._connects.begin_s(self._turn)) > 0:
            await self._pause(wait_s)
        if self.stopping:
            self._connects.end(self._turn)
        return not self.stopping

    async def _think_again(self, failure: Failure, lived_s: float) -> None:
        """Wait before the next try, or end: trying again cannot help."""
        wait_s, over = self._attempts.failed(failure, lived_s)
        if over:
            self.stopping = True
            self._on_refused(self, failure)
            return
        if failure.kind is FailureClass.RATE_LIMIT and failure.retry_after_s is not None:
            self._connects.close_for(failure.retry_after_s)  # said to all behind our address
        if self._attempts.in_a_row == self._pace.max_reconnect_attempts:
            words = f"{self._attempts.in_a_row} attempts to connect failed; tries go on"
            self._around.halt("unreachable", words)
        await self._pause(wait_s)

    def _new_socket(self, source: Source, markets: Markets, requests: Pacer) -> Socket:
        return Socket(source, markets, self.address.url, self._pace.connect_timeout_s, self, requests)

    def _new_subscriptions(
        self, streams: list[Stream], resyncs: Resyncs, snapshots: Snapshots | None
    ) -> Subscriptions:
        wake = self._wake.set
        return Subscriptions(
            streams, self._around, self._requests, resyncs, snapshots, self.liveness, wake, self._router
        )

    async def _dial(self) -> None:
        self._heart.heard()
        await self._socket.open()
        self._connected()

    def _connected(self) -> None:
        self._connects.end(self._turn)
        self._attempts.connected()
        self._dialled_s = self._around.monotonic_s()
        self._publish(State.CONNECTED)

    async def _serve(self) -> None:
        """Subscribe, then see to what is owed, until the socket is gone."""
        watchdog = asyncio.create_task(self._heart.watch(self._socket.give_up))
        try:
            await self.subscriptions.begin()
            self._attempts.served()
            while self._socket.failure is None:
                self._wake.clear()
                for book in self.subscriptions.books:
                    book.give_up_waiting(self._around.clock.now_ns())
                await self.subscriptions.go_on()
                if self._socket.failure is None:
                    await wait_for_first(self._wake.wait(), timeout_s=TICK_S)
        finally:
            watchdog.cancel()

    async def _let_go(self) -> None:
        cause = str(self._socket.failure)
        self._dialled_s = None
        self._connects.end(self._turn)
        self.subscriptions.lose_all("disconnect", cause)
        await self._socket.let_go()
        self._publish(State.STOPPED if self.stopping else State.DISCONNECTED, cause)

    async def _beat(self) -> None:
        make, is_counted = self._around.protocol.topics.ping, self._around.protocol.limits.counts_pings
        if make is None:
            await self._socket.ping()
        else:
            await self._socket.send(make(self._requests.new_id()), is_counted=is_counted)

    async def _pause(self, wait_s: float) -> None:
        deadline_s = self._around.monotonic_s() + wait_s
        while not self.stopping and (left_s := deadline_s - self._around.monotonic_s()) > 0:
            self._wake.clear()
            await wait_for_first(self._wake.wait(), timeout_s=left_s)

    def _publish(self, state: State, cause: str = "") -> None:
        address, now_ns = self.address, self._around.clock.now_ns()
        self._around.events.publish(SystemState(address.exchange, address.name, state, now_ns, cause))
