"""Keep the markets of an exchange that are traded most: which they are now, and what comes and goes."""

import asyncio
import itertools
import math
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from collector.clock import Clock
from collector.errors import StreamError
from collector.events import EventBus, PotentialHalt, UniverseChanged, UniverseNotRanked
from collector.live.limits import Pace, Wanted
from collector.network import (
    Attempts,
    Markets,
    classify,
    in_thread,
    load_volumes,
    mistake_in_words,
    wait_for_first,
)

MARGIN = 0.2  # of the places
NOT_RANKED = "universe"  # the code of the alarm


def most_traded(volumes: Mapping[str, float], members: Collection[str], top: int) -> list[str]:
    """Choose so many markets by what was traded of each; the one traded most comes first.

    A place more or less changes nothing. A member stays until it is behind the places by a margin, a fifth of
    them and at least one; another market comes in where a place is free, or once it is before the last places
    by as much. A member of whose volume nothing is told keeps its place.
    """
    margin = max(1, math.ceil(top * MARGIN))
    ranked = sorted(volumes, key=lambda symbol: (-volumes[symbol], symbol))
    untold = [symbol for symbol in members if symbol not in volumes][:top]
    places = top - len(untold)
    surely = ranked[: max(0, places - margin)]
    staying = [symbol for symbol in ranked[: places + margin] if symbol in members]
    in_order = dict.fromkeys((*surely, *staying, *ranked))
    chosen = [*untold, *itertools.islice(in_order, places)]
    return sorted(chosen, key=lambda symbol: (-volumes.get(symbol, math.inf), symbol))


@dataclass(frozen=True, slots=True)
class Acts:
    """What a universe has its feed do. For the websocket thread."""

    collect: Callable[[Sequence[str]], Awaitable[object]]
    leave: Callable[[Collection[str]], object]
    symbol_of: Callable[[str], str | None]
    remembered: Callable[[], Sequence[str]]  # what belonged to it when it was last collected. Blocks


class UniverseKeeper:
    """The markets of one exchange that are traded most. Lives in the websocket thread's loop.

    Without a number of places it does nothing.
    """

    def __init__(
        self,
        wanted: Wanted,
        pace: Pace,
        acts: Acts,
        *,
        stopped: asyncio.Event,
        clock: Clock,
        events: EventBus,
    ) -> None:
        self.members: tuple[str, ...] = ()  # symbols, the one traded most first
        self.trouble: str | None = None  # why it is not known, in words
        self._markets: Markets | None = None
        self._source = wanted.source
        self._wanted = wanted.universe
        self._pace = pace
        self._acts = acts
        self._stopped = stopped
        self._clock = clock
        self._events = events
        self._asked_for: set[str] = set()  # of the members, those that are collected for being members
        self._named = dict.fromkeys(wanted.symbols)  # by somebody: they stay
        self._barred: set[str] = set()  # left by somebody
        self._is_begun = False
        self._look_again = asyncio.Event()  # the last look failed
        self._wait_s = 0.0
        self._attempts = self._new_attempts()
        self._one_at_a_time = asyncio.Lock()

    @property
    def is_wanted(self) -> bool:
        """Return whether there is one."""
        return self._wanted.top is not None

    async def keep(self, markets: Markets) -> None:
        """Rank the markets at the start, and again after a look that failed, until stopped."""
        if not self.is_wanted:
            return
        self._markets = markets
        await self.look()
        while not self._stopped.is_set():
            await wait_for_first(self._stopped.wait(), self._look_again.wait(), timeout_s=None)
            await wait_for_first(self._stopped.wait(), timeout_s=self._wait_s)
            if self._look_again.is_set() and not self._stopped.is_set():
                await self.look()

    async def look(self) -> None:
        """Rank the markets by what is traded now; where that is not to be had the list of before stays."""
        markets = self._markets
        if self._wanted.top is None or markets is None:
            return
        async with self._one_at_a_time:
            volumes = await self._volumes(markets)
            if not self._is_begun and not self._stopped.is_set():
                await self._begin(markets, is_known=volumes is not None)
            if volumes is None or self._stopped.is_set():
                return
            told = {symbol: volume for symbol, volume in volumes.items() if self._fits(markets, symbol)}
            if not told:
                quote, kind = self._wanted.quote, self._source.kinds[0]
                self._failed(StreamError(f"nothing is told of any {kind} market in {quote}"))
                return
            self.trouble = None
            self._look_again.clear()
            self._attempts = self._new_attempts()
            await self._move(most_traded(told, self.members, self._wanted.top))

    def name(self, names: Sequence[str]) -> None:
        """Take it that somebody wants these markets, whatever their rank."""
        self._named |= dict.fromkeys(names)
        self._barred.difference_update(names, filter(None, map(self._acts.symbol_of, names)))

    def bar(self, names: Sequence[str]) -> None:
        """Take it that somebody does not want these markets, whatever their rank."""
        meaning = {name: self._acts.symbol_of(name) for name in (*self._named, *names)}
        meant = {*names, *(symbol for name in names if (symbol := meaning[name]) is not None)}
        self._named = {name: None for name in self._named if name not in meant and meaning[name] not in meant}
        self._asked_for -= meant
        self._barred |= meant if self.is_wanted else set()

    def drop(self, symbols: Collection[str]) -> None:
        """Give the places of markets to others: their streams have ended with their listing."""
        self.members = tuple(symbol for symbol in self.members if symbol not in symbols)
        dropped = self._asked_for.intersection(symbols) - self._symbols_named()
        self._asked_for -= dropped
        if dropped:
            self._acts.leave(dropped)

    async def _begin(self, markets: Markets, *, is_known: bool) -> None:
        """Begin with the markets of last time: a start changes no rank. Collect them if none is known."""
        before = await in_thread("universe", self._acts.remembered)
        self._is_begun = True
        self.members = tuple(symbol for symbol in before if self._fits(markets, symbol))
        if not is_known:
            await self._collect(self.members)

    async def _move(self, chosen: Sequence[str]) -> None:
        before, self.members = self.members, tuple(chosen)
        left = tuple(symbol for symbol in before if symbol not in chosen)
        joined = tuple(symbol for symbol in chosen if symbol not in before)
        ended = self._asked_for.intersection(left) - self._symbols_named()
        self._asked_for -= set(left)
        if ended:
            self._acts.leave(ended)
        await self._collect(chosen)
        if left or joined:
            now_ns = self._clock.now_ns()
            self._events.publish(
                UniverseChanged(self._source.exchange, now_ns, joined, left, len(self.members))
            )

    async def _collect(self, symbols: Sequence[str]) -> None:
        """Collect what nobody collects yet, each for itself: another collector may have one of them."""
        there = self._asked_for | self._symbols_named() | self._barred
        new = [symbol for symbol in symbols if symbol not in there]
        self._asked_for |= set(new)
        await asyncio.gather(*(self._acts.collect([symbol]) for symbol in new))

    def _symbols_named(self) -> set[str]:
        return {symbol for name in self._named if (symbol := self._acts.symbol_of(name)) is not None}

    def _fits(self, markets: Markets, symbol: str) -> bool:
        """Return whether a market is one of those that have a rank: open, for ever, in the quote wanted."""
        market = markets.by_symbol.get(symbol)
        if market is None or not market.get(self._source.kinds[0]):
            return False
        is_open = market.get("active") is not False and market.get("expiry") is None
        return is_open and market["quote"] == self._wanted.quote.upper()

    async def _volumes(self, markets: Markets) -> dict[str, float] | None:
        """Ask what is traded; None where that fails, which is told, or when stopped."""
        source, timeout_s = self._source, self._pace.markets_timeout_s
        loading = in_thread("tickers", lambda: load_volumes(source, markets, source.kinds[0], timeout_s))
        await wait_for_first(self._stopped.wait(), loading, timeout_s=None)
        if loading.cancelled():
            return None
        try:
            return loading.result()
        except StreamError as error:
            self._failed(error)
        except Exception as error:  # noqa: BLE001  (a fault of ours: it must not end an exchange)
            self._failed(StreamError(f"could not read the tickers: {mistake_in_words(error)}"))
        return None

    def _failed(self, error: StreamError) -> None:
        exchange, now_ns = self._source.exchange, self._clock.now_ns()
        failure = replace(classify(error, exchange), retry_after_s=error.retry_after_s)
        following = self._attempts.failed(failure)
        self._wait_s = following.wait_s
        self._look_again.set()
        words = f"attempt {self._attempts.in_a_row}: {error}"
        self.trouble = f"{exchange}: universe not known: {words}; the list of before stays"
        self._events.publish(UniverseNotRanked(exchange, now_ns, words))
        if following.is_news or self._attempts.in_a_row == self._pace.max_reconnect_attempts:
            reason = f"{words}; the list of before stays, tries go on"
            self._events.publish(PotentialHalt(exchange, NOT_RANKED, reason, now_ns))

    def _new_attempts(self) -> Attempts:
        return Attempts(self._pace.backoff, self._pace.refused_wait_s, host_is_known=True)
