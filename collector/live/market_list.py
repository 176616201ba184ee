"""Keep the list of an exchange's markets: load it, however long that takes, and look at it again."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Container, Mapping
from concurrent.futures import Future
from typing import Any

from collector.clock import Clock
from collector.errors import StreamError
from collector.events import EventBus, MarketsNotRefreshed, PotentialHalt, State, SystemState
from collector.live.connection import GAVE_UP
from collector.live.first_contact import Contact
from collector.live.limits import Pace, Wanted
from collector.network import (
    Attempts,
    Failure,
    Markets,
    Next,
    OnFailure,
    in_thread,
    load_until,
    wait_for_first,
)
from collector.retry import NO_REST, Rest

LEAST_BETWEEN_S = 5.0  # two looks because of a name that nobody knows


class MarketList:
    """The list of one exchange's markets. Lives in the websocket thread's loop."""

    def __init__(
        self, wanted: Wanted, pace: Pace, *, clock: Clock, events: EventBus, contact: Contact
    ) -> None:
        self.markets: Markets | None = None  # once they are loaded
        self.trouble: str | None = None  # why the exchange refuses to give them, while it does
        self.is_over = False  # it was given up: they are not asked for any more
        self._source = wanted.source
        self._pace = pace
        self._clock = clock
        self._events = events
        self._contact = contact
        self._every_s = pace.markets_every_s if wanted.looks_by_itself else None
        self._failed_before = False
        self._last_words = ""  # of the last failure
        self._looked_s = float("-inf")
        self._asked = asyncio.Event()
        self._waiting: list[Future[None]] = []  # who asked for another look

    async def load(self, stopped: asyncio.Event) -> Markets | None:
        """Load the markets, as often as it takes; None when stopped before, or given up."""
        loaded = await self._load(stopped, self._not_loaded, self._pace.rest)
        if loaded is None:
            if not stopped.is_set():
                self._give_up()
            return None
        if self.markets is None:
            self.markets = loaded
            gc.freeze()  # markets seldom change: nothing for the collector to walk
        else:
            self.markets.renew(loaded, {})
        self.trouble = None
        self._contact.has_markets()
        if self._failed_before:
            self._failed_before = False
            self._publish_state(State.ONLINE)
        return self.markets

    async def keep(
        self,
        stopped: asyncio.Event,
        collected: Callable[[], Mapping[str, Any]],
        on_refreshed: Callable[[Container[str]], Awaitable[None]],
    ) -> None:
        """Look at the list whenever asked to, and by itself every `markets_every_s`, until stopped.

        Markets that are collected are kept, listed or not: their names go on meaning them. `on_refreshed` is
        given the symbols that are listed.
        """
        assert self.markets is not None  # noqa: S101  (`load` comes first)
        try:
            while not stopped.is_set():
                await wait_for_first(stopped.wait(), self._asked.wait(), timeout_s=self._every_s)
                if not stopped.is_set():
                    await self._refresh(self.markets, stopped, collected, on_refreshed)
        finally:
            self._settle()

    def look_again(self, *, at_once: bool = False) -> "Future[None]":
        """Look at the list soon; the future is done when that has happened, well or not.

        Not so soon after the last look, unless `at_once`.
        """
        looked: Future[None] = Future()
        is_soon = not at_once and time.monotonic() - self._looked_s < LEAST_BETWEEN_S
        if self.markets is None or is_soon:
            looked.set_result(None)
        else:
            self._waiting.append(looked)
            self._asked.set()
        return looked

    async def _refresh(
        self,
        markets: Markets,
        stopped: asyncio.Event,
        collected: Callable[[], Mapping[str, Any]],
        on_refreshed: Callable[[Container[str]], Awaitable[None]],
    ) -> None:
        later = await self._load(stopped, self._not_refreshed)
        self._looked_s = time.monotonic()
        if later is not None:
            self.trouble = None
            listed = frozenset(later.by_symbol)
            # Off the loop: thousands of markets are compared. What is equal stays, frozen as it is.
            if await in_thread("markets", lambda: markets.differ_from(later)):
                markets.renew(later, collected())
            await on_refreshed(listed)
        self._settle()

    async def _load(
        self, stopped: asyncio.Event, on_failure: OnFailure, rest: Rest = NO_REST
    ) -> Markets | None:
        pace, source = self._pace, self._source
        is_known = self.markets is not None or source.endpoints.rest is None
        attempts = Attempts(pace.backoff, pace.refused_wait_s, host_is_known=is_known, rest=rest)
        return await load_until(stopped, source, pace.markets_timeout_s, attempts, on_failure)

    def _settle(self) -> None:
        self._asked.clear()
        waiting, self._waiting = self._waiting, []
        for looked in waiting:
            if looked.set_running_or_notify_cancel():
                looked.set_result(None)

    def _give_up(self) -> None:
        """End for good, and report it: `stream.rest_after_attempts` was asked for."""
        exchange, self.is_over = self._source.exchange, True
        attempts = f"{self._pace.rest_after_attempts} attempts in a row failed, the last: {self._last_words}"
        self.trouble = f"{exchange}: the list of markets given up: {attempts}; start again to go on"
        self._publish_state(State.ERROR, self.trouble)
        self._events.publish(PotentialHalt(exchange, GAVE_UP, self.trouble, self._clock.now_ns()))

    def _not_loaded(self, attempt: int, error: StreamError, failure: Failure, following: Next) -> None:
        """Publish each failure as a connection's: nothing is collected until the markets are known."""
        self._contact.failed(failure.cause, failure.detail)
        self._failed_before = True
        words = self._last_words = f"attempt {attempt}: {error}"
        self._publish_state(State.DISCONNECTED, words)
        self._alarm(attempt, words, following)

    def _not_refreshed(self, attempt: int, error: StreamError, failure: Failure, following: Next) -> None:
        """Publish that the list is old: what is collected goes on."""
        del failure
        self._settle()  # who waits need not wait for the next attempt
        words = f"attempt {attempt}: {error}"
        self._events.publish(MarketsNotRefreshed(self._source.exchange, self._clock.now_ns(), words))
        self._alarm(attempt, words, following)

    def _alarm(self, attempt: int, words: str, following: Next) -> None:
        exchange = self._source.exchange
        slowly = f"{exchange}: {words}; tried again every {following.wait_s:g} s"
        self.trouble = slowly if following.is_refused else None
        is_many = attempt == self._pace.max_reconnect_attempts and not following.is_refused
        if following.is_news or is_many:
            reason = f"{words}; tries go on"
            self._events.publish(PotentialHalt(exchange, "markets", reason, self._clock.now_ns()))

    def _publish_state(self, state: State, cause: str = "") -> None:
        exchange = self._source.exchange
        now_ns = self._clock.now_ns()
        self._events.publish(SystemState(exchange, f"{exchange}.markets", state, now_ns, cause))
