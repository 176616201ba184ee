"""Hold one websocket after another to one address: open, send, receive, close."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from collector.errors import StreamError
from collector.exchanges import Payload
from collector.network.failures import Failure, gone
from collector.network.markets import Markets, Source
from collector.network.pacing import Pacer
from collector.network.tap import TakeText, dialler, drop
from collector.network.waiting import wait_for_first

SILENT_HEARTBEATS = 2.0  # no frame at all for this many heartbeats: the peer is gone
TICK_S = 0.2  # how often it looks, at least
STALL_S = 1.0  # who wakes so much later than he asked for was held up by the machine


@dataclass(frozen=True, slots=True)
class Pushes:
    """What an exchange sends unasked, on a connection on which it should."""

    within_s: float  # data or a heartbeat come
    are_due: Callable[[], bool]  # whether anything is subscribed
    on_none: Callable[[float], None]  # called with the seconds since the last, before the socket is given up


class Heart:
    """The watchdog of one socket, on the monotonic clock: ccxt's pings run on the wall clock."""

    def __init__(
        self,
        heartbeat_s: float,
        beat: Callable[[], Awaitable[bool]],
        monotonic_s: Callable[[], float],
        pushes: "Pushes | None" = None,
    ) -> None:
        self._heartbeat_s = heartbeat_s
        self._beat = beat  # sends a ping; False when there is nobody who could answer
        self._monotonic_s = monotonic_s
        self._pushes = pushes
        self._heard_s = self._pushed_s = 0.0
        self._is_pong = self._is_more = False  # since the last look: a pong came; something came before it
        self.is_heard = True  # a sign of life came since the last look: set for each frame, hence no call

    def heard(self) -> None:
        """Record a sign of life."""
        self.is_heard = True

    def ponged(self) -> None:
        """Record that the frame under way answers a ping: it does not show that data would come."""
        self._is_more = self._is_more or self.is_heard
        self._is_pong = True

    async def watch(self, give_up: Callable[[Failure], None]) -> None:
        """Ping, and listen, until the peer is found silent or the task is cancelled."""
        self._heard_s = self._pushed_s = self._monotonic_s()
        next_beat_s = self._heard_s + self._heartbeat_s
        looks_s = self._heard_s
        while True:
            now_s = self._monotonic_s()
            if now_s - looks_s > STALL_S:  # the machine stood still: what came meanwhile is not read yet
                self._heard_s += now_s - looks_s
                self._pushed_s += now_s - looks_s
            looks_s = now_s + min(TICK_S, self._heartbeat_s)
            silence = self._look(now_s)
            if silence is not None:
                give_up(gone("silent", silence))
                return
            if now_s >= next_beat_s:
                next_beat_s = now_s + self._heartbeat_s
                try:
                    if not await self._beat():
                        self.is_heard = True
                except StreamError as error:
                    give_up(gone("disconnected", str(error)))
                    return
            await asyncio.sleep(min(TICK_S, self._heartbeat_s))

    def _look(self, now_s: float) -> str | None:
        """Take what was heard since the last look; return in words that the peer is gone, or None."""
        if self.is_heard:
            self._heard_s, self.is_heard = now_s, False
            if self._is_more or not self._is_pong:
                self._pushed_s = now_s
            self._is_pong = self._is_more = False
        silent_s = now_s - self._heard_s
        if silent_s > SILENT_HEARTBEATS * self._heartbeat_s:
            return f"neither data nor heartbeat for {silent_s:.1f} s"
        pushes = self._pushes
        if pushes is None or not pushes.are_due():
            self._pushed_s = now_s
            return None
        unpushed_s = now_s - self._pushed_s
        if unpushed_s <= pushes.within_s:
            return None
        pushes.on_none(unpushed_s)
        return f"nothing but answers to pings for {unpushed_s:.1f} s"


CLOSE_TIMEOUT_S = 1.0


class Reader(Protocol):
    """Who reads what a socket brings. Methods must not raise."""

    def on_text(self, text: str) -> bool:
        """Take a frame; False when ccxt should have it as well."""

    def on_unread(self, text: str, error: Exception) -> None:
        """Take a frame that was left to ccxt, and on which ccxt raised."""

    def on_sign_of_life(self) -> None:
        """Take note that the peer sent something, of whatever kind."""

    def on_gone(self, failure: Failure) -> None:
        """Take, once, the reason why the socket is gone."""


class Socket:
    """The websocket that ccxt holds for one connection. Lives in the websocket thread's loop."""

    def __init__(
        self,
        source: Source,
        markets: Markets,
        url: str,
        connect_timeout_s: float,
        requests: Pacer,
    ) -> None:
        self.failure: Failure | None = None  # why the socket is gone, once it is
        self._source = source
        self._markets = markets
        self._ccxt: Any = None
        self._url = url
        self._connect_timeout_s = connect_timeout_s
        self._reader: Reader | None = None  # once it was dialled
        self._requests = requests
        self._client: Any = None
        self._up = asyncio.Event()
        self._gone = asyncio.Event()

    # What the tap reports. Called by ccxt within the loop; must not raise.

    def reader_of(self, client: Any) -> TakeText:
        """Return who takes the frames of a new socket: the reader itself, without a step between."""
        del client
        return drop if self._reader is None else self._reader.on_text

    def on_heartbeat(self, client: Any) -> None:
        """Report a ping or a pong of the websocket itself."""
        if client is self._client and self._reader is not None:
            self._reader.on_sign_of_life()

    def on_up(self, client: Any) -> None:
        """End the wait of `open`: the socket is open."""
        if client is self._client:
            self._up.set()

    def on_unread(self, client: Any, text: str, error: Exception) -> None:
        """Report a frame that ccxt could not read. It was nobody's: the connection goes on."""
        if client is self._client and self._reader is not None:
            self._reader.on_unread(text, error)

    def on_down(self, client: Any, failure: Failure) -> None:
        """Give the socket up: it failed or closed."""
        if client is self._client:
            self.give_up(failure)

    # What the connection asks for.

    async def open(self, reader: Reader) -> None:
        """Dial, and pass what comes to the reader.

        Raises StreamError when there is no connection in time; `failure` says why.
        """
        self._reader = reader
        self.failure = None
        self._up.clear()
        self._gone.clear()
        if self._ccxt is None:
            self._ccxt = dialler(self._source, self._markets, self._connect_timeout_s, self)
        self._ccxt.open()
        self._client = self._ccxt.client(self._url)
        self._client.connect(self._ccxt.session, 0)
        await wait_for_first(self._up.wait(), self._gone.wait(), timeout_s=self._connect_timeout_s)
        if not self._up.is_set():
            self.give_up(gone("timeout", f"no connection within {self._connect_timeout_s:g} s"))
        self._raise_if_gone()

    async def send(self, payload: Payload, *, is_counted: bool = True) -> None:
        """Send a request, in its turn where it counts. Raises StreamError when the socket is gone."""
        if is_counted:
            await self._wait_for_turn()
        self._raise_if_gone()
        try:
            await self._client.send(payload if isinstance(payload, str) else dict(payload))
        except (ConnectionError, RuntimeError) as error:  # what aiohttp and ccxt raise into a closing socket
            raise StreamError(f"could not send: {error}") from error

    async def ping(self) -> None:
        """Send the websocket's own ping. Raises StreamError when the socket is gone."""
        await self._wait_for_turn()
        try:
            await self._client.connection.ping()
        except (ConnectionError, RuntimeError) as error:
            raise StreamError(f"could not ping: {error}") from error

    def give_up(self, failure: Failure) -> None:
        """Mark the socket as gone; the first reason stands."""
        if self.failure is None:
            self.failure = failure
            self._gone.set()
            if self._reader is not None:
                self._reader.on_gone(failure)

    async def disconnect(self) -> None:
        """Close the socket, whatever is left of it."""
        client, self._client = self._client, None
        if client is None:
            return
        client.take_text = drop  # it may still have last words
        if self._ccxt.clients.get(self._url) is client:
            del self._ccxt.clients[self._url]
        # A peer that is gone answers no closing handshake; aiohttp closes the socket all the same.
        with suppress(TimeoutError):
            await asyncio.wait_for(client.aiohttp_close(), CLOSE_TIMEOUT_S)

    async def close(self) -> None:
        """Close ccxt's object as well."""
        if self._ccxt is not None:
            await self._ccxt.close()

    async def _wait_for_turn(self) -> None:
        self._raise_if_gone()
        wait_s = self._requests.reserve_s()
        if wait_s > 0:
            await wait_for_first(self._gone.wait(), timeout_s=wait_s)
            self._raise_if_gone()

    def _raise_if_gone(self) -> None:
        if self.failure is not None:
            raise StreamError(str(self.failure))
