"""Keep one websocket connection alive: dial, watch, give up, dial again."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from collector.errors import StreamError
from collector.events import State
from collector.live.context import ConnectionContext
from collector.live.subscriptions import Subscriptions
from collector.network import (
    Attempts,
    Failure,
    FailureClass,
    Heart,
    Next,
    Reader,
    Turnstile,
    gone,
    mistake_in_words,
    mistaken,
    wait_for_first,
)

GAVE_UP = "gave_up"  # the code of the alarm when no other attempt is made
TICK_S = 0.2  # how often pending work is looked for; the times themselves are in settings


class DialledSocket(Protocol):
    """What a connection asks of its socket."""

    failure: Failure | None  # why the socket is gone, once it is

    async def open(self, reader: Reader) -> None:
        """Dial, and pass what comes to the reader. Raises StreamError."""

    def give_up(self, failure: Failure) -> None:
        """Mark the socket as gone; the first reason stands."""

    async def disconnect(self) -> None:
        """Close the socket."""

    async def close(self) -> None:
        """Release everything, for good."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What one connection consists of. None of them knows the connection."""

    socket: DialledSocket
    heart: Heart
    subscriptions: Subscriptions
    take_frame: Callable[[str, int], bool]  # text and receipt time in; False when ccxt should have it as well
    count_unknown: Callable[[str, str, str], None]  # reason, detail, text of a frame that nobody could read


class Connection:
    """One socket from its dial to its end, over and over. Lives in the websocket thread's loop."""

    def __init__(
        self,
        context: ConnectionContext,
        parts: Parts,
        *,
        connects: Turnstile,
        attempts: Attempts,
        alarm_after_attempts: int,
        refused_code: str = "connection_refused",  # of the alarm when the exchange refuses
    ) -> None:
        self.address = context.address
        self.liveness = context.liveness
        self.subscriptions = parts.subscriptions
        self.stopping = False  # it was asked to end
        self.refusal: str | None = None  # why the exchange refuses it, while it does; tries go on
        self.is_leaving = False  # another takes its place: nothing more is put on it
        self._context = context
        self._now_ns = context.clock.now_ns
        self._wake = context.wake
        self._socket = parts.socket
        self._heart = parts.heart
        self._take_frame = parts.take_frame
        self._count_unknown = parts.count_unknown
        self._connects = connects
        self._turn = 0  # of the dial that is due or under way
        self._attempts = attempts
        self.is_over = False  # it gave up: no other attempt is made
        self._alarm_after_attempts = alarm_after_attempts
        self._refused_code = refused_code
        self._next_frame: asyncio.Event | None = None  # where somebody waits for it
        self._dialled_s: float | None = None  # when the current socket opened
        self._served_s: float | None = None  # since when everything has been subscribed on it

    @property
    def age_s(self) -> float:
        """Return how long the current socket has been open; 0 when none is."""
        return 0.0 if self._dialled_s is None else self._context.monotonic_s() - self._dialled_s

    @property
    def ends_soon(self) -> bool:
        """Return whether the exchange announced that it closes the current socket."""
        return self._dialled_s is not None and self._context.ends_soon.is_set()

    async def next_frame(self, timeout_s: float) -> None:
        """Wait for the next frame, or for the time to be over."""
        self._next_frame = asyncio.Event()
        try:
            await wait_for_first(self._next_frame.wait(), timeout_s=timeout_s)
        finally:
            self._next_frame = None

    async def run(self) -> None:
        """Connect, serve, and connect again, until stopped."""
        while not self.is_over and await self._wait_for_turn():
            try:
                await self._dial()
                await self._serve()
            except StreamError as error:
                self._socket.give_up(gone("lost", str(error)))
            except Exception as error:  # noqa: BLE001  (a fault of ours must not end the stream for good)
                self._mistaken(error)
            served_s = self._served_for_s
            try:
                await self._disconnect()
            except Exception as error:  # noqa: BLE001  (nor may one while it lets go of the socket)
                self._mistaken(error)
            if not self.stopping and self._socket.failure is not None:
                await self._back_off(self._socket.failure, served_s)
        await self._socket.close()

    def stop(self) -> None:
        """Ask the connection to end. Its books' segments close now, at the last sign of life."""
        self.stopping = True
        self.subscriptions.lose_all("stop", "")
        self._socket.give_up(gone("stopped", ""))
        self._wake.set()

    # What the socket brings.

    def on_text(self, text: str) -> bool:
        """Take a frame; False when ccxt should have it as well."""
        received_at_ns = self._now_ns()
        is_ours = self._take_frame(text, received_at_ns)
        self._heart.is_heard = True
        self.liveness.heard_ns = received_at_ns
        if self._next_frame is not None:
            self._next_frame.set()
        return is_ours

    def on_unread(self, text: str, error: Exception) -> None:
        """Count a frame that was nobody's, and on which ccxt raised."""
        self._count_unknown("unread_by_ccxt", repr(error), text)

    def on_sign_of_life(self) -> None:
        """Record that the peer sent something, of whatever kind."""
        self._heart.heard()
        self.liveness.heard_ns = self._now_ns()

    def on_gone(self, failure: Failure) -> None:
        """Stop waiting for answers: the socket is gone."""
        self.subscriptions.abandon(str(failure))
        self._wake.set()

    # The life of the connection.

    async def _wait_for_turn(self) -> bool:
        """Wait for a turn to connect; False when the connection is to end."""
        self._turn = self._connects.take_turn()
        while not self.stopping and (wait_s := self._connects.begin_s(self._turn)) > 0:
            await self._pause(wait_s)
        if self.stopping:
            self._connects.end(self._turn)
        return not self.stopping

    async def _back_off(self, failure: Failure, served_s: float) -> None:
        """Wait before the next attempt; long where the exchange refuses."""
        following = self._attempts.failed(failure, served_s)
        if self._attempts.are_over:
            self._give_up(failure)
            return
        self._context.reconnecting(failure, self._attempts.in_a_row, following)
        if failure.kind is FailureClass.RATE_LIMIT and failure.retry_after_s is not None:
            self._connects.close_for(failure.retry_after_s)  # it holds for everybody behind our address
        self.refusal = None
        if following.is_refused:
            self._refused(failure, following)
        elif self._attempts.rests or self._attempts.in_a_row == self._alarm_after_attempts:
            then = f"rests for {following.wait_s:g} s" if self._attempts.rests else "tries go on"
            words = f"{self._attempts.in_a_row} attempts to connect failed; {then}"
            self._context.halt("unreachable", words)
        await self._pause(following.wait_s)

    def _give_up(self, failure: Failure) -> None:
        """End for good, and report it: `stream.rest_after_attempts` was asked for."""
        self.is_over = True
        self.refusal = (
            f"{self._context.exchange}: {self._streams_in_words} given up: {self._attempts.in_a_row} "
            f"attempts to connect failed in a row, the last: {failure}; start again to go on"
        )
        self._context.publish(State.ERROR, self.refusal)
        self._context.halt(GAVE_UP, self.refusal)

    @property
    def _streams_in_words(self) -> str:
        keys = [one.key for one in self.subscriptions.streams]
        return ", ".join(f"{key.symbol} {key.channel}" for key in keys) or "nothing"

    def _refused(self, failure: Failure, following: Next) -> None:
        """Report that the exchange refuses: once in a row."""
        address = self._context.address
        self.refusal = (
            f"{address.exchange}: {self._streams_in_words} refused by {address.url}: {failure}; "
            f"tried again every {following.wait_s:g} s"
        )
        if following.is_news:
            self._context.halt(self._refused_code, self.refusal)

    def _mistaken(self, error: Exception) -> None:
        words = mistake_in_words(error)
        self._context.halt("internal_error", words)
        self._socket.give_up(mistaken(words))

    @property
    def _served_for_s(self) -> float:
        if self._served_s is None or not self.subscriptions.serves:
            return 0.0
        return self._context.monotonic_s() - self._served_s

    async def _dial(self) -> None:
        self._heart.heard()
        await self._socket.open(self)

    def _connected(self) -> None:
        self._connects.end(self._turn)
        self._context.ends_soon.clear()  # said of the socket before
        self._attempts.connected()
        self._dialled_s = self._context.monotonic_s()
        self._context.publish(State.CONNECTED)

    async def _serve(self) -> None:
        """Subscribe, then do what is due again and again, until the socket is gone."""
        watchdog = asyncio.create_task(self._heart.watch(self._socket.give_up))
        try:
            await self.subscriptions.begin(self._connected)
            self._served_s, self.refusal = self._context.monotonic_s(), None
            while self._socket.failure is None:
                self._wake.clear()
                await self.subscriptions.go_on()
                if self._socket.failure is None:
                    await wait_for_first(self._wake.wait(), timeout_s=TICK_S)
        finally:
            watchdog.cancel()

    async def _disconnect(self) -> None:
        cause = str(self._socket.failure)
        self._dialled_s = self._served_s = None
        self._connects.end(self._turn)
        self.subscriptions.lose_all("disconnect", cause)
        await self._socket.disconnect()
        self._context.publish(State.STOPPED if self.stopping else State.DISCONNECTED, cause)

    async def _pause(self, wait_s: float) -> None:
        deadline_s = self._context.monotonic_s() + wait_s
        while not self.stopping and (left_s := deadline_s - self._context.monotonic_s()) > 0:
            self._wake.clear()
            await wait_for_first(self._wake.wait(), timeout_s=left_s)
