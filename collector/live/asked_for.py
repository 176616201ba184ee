"""Keep what is asked of one exchange, by name: what each name means, and why some of it is not collected."""

import asyncio
from collections.abc import Callable, Container, Sequence
from concurrent.futures import Future
from typing import Any

from collector.clock import Clock
from collector.errors import CollectorError, UserError
from collector.events import EventBus, MarketRepeated, MarketsChosen, MarketsFound, PotentialHalt, StreamKey
from collector.exchanges import MarketKind
from collector.live.expected import Expected
from collector.network import Markets, look_up

CLAIM_PATIENCE_S = 2.0  # a database that does not answer gets the streams with their first rows

Claim = Callable[[Sequence[StreamKey]], Future[int]]


async def refusal(claim: Claim | None, keys: Sequence[StreamKey]) -> str | None:
    """Claim streams in a database that several collectors share; return why that cannot be, or None."""
    if claim is None:
        return None
    try:
        await asyncio.wait_for(asyncio.wrap_future(claim(keys)), CLAIM_PATIENCE_S)
    except UserError as error:
        return str(error)
    except (CollectorError, TimeoutError):
        return None
    return None


class AskedFor:
    """What one exchange is asked for. Lives in the websocket thread's loop."""

    def __init__(
        self, exchange: str, names: Sequence[str], expected: Expected, *, clock: Clock, events: EventBus
    ) -> None:
        self.names = dict.fromkeys(names)  # in the words of who asked
        self.pending: dict[str, None] = {}  # what gave no stream: looked at again with the markets
        self._exchange = exchange
        self._expected = expected
        self._clock = clock
        self._events = events
        self._refused: dict[str, str] = {}  # in words, by what was asked for
        self._delisted: dict[str, str] = {}  # in words, by symbol
        self._told: set[tuple[str, str]] = set()  # what, and under which code

    @property
    def refused(self) -> list[str]:
        """Return what is not collected, each with its reason. For any thread."""
        return [*self._refused.copy().values(), *self._delisted.copy().values()]

    def find(self, markets: Markets, names: Sequence[str]) -> list[tuple[MarketKind, Any]]:
        """Return the markets that the names mean, each once, with its kind; publish the choices made."""
        self.names.update(dict.fromkeys(names))
        found, now_ns = look_up(markets, names), self._clock.now_ns()
        self._expected.add(names, found.meant)
        unknown = dict(found.unknown)
        for name in names:
            if name in unknown:
                self.refuse(name, "bad_symbol", unknown[name], awaited=True)
            else:
                self.pending.pop(name, None)
                self._refused.pop(name, None)
        if found.choices:
            self._events.publish(MarketsChosen(self._exchange, now_ns, tuple(found.choices)))
        for symbol, several in found.repeated.items():
            self._events.publish(MarketRepeated(self._exchange, now_ns, symbol, tuple(several)))
        return found.markets

    def refuse(
        self, what: str, code: str, text: str, symbol: str | None = None, *, awaited: bool = False
    ) -> None:
        """Report, once, why something is not collected; `awaited`: the next list of markets may have it."""
        if awaited:
            self.pending[what] = None
        self._refused[what] = f"{self._exchange}: {text}"
        if (what, code) not in self._told:
            self._told.add((what, code))
            self.alarm(code, text, symbol or what)

    def forget(self, name: str) -> None:
        """Ask for a name no longer."""
        for one in (self.names, self.pending, self._refused, self._delisted):
            one.pop(name, None)
        self._expected.forget(name)
        self._told = {told for told in self._told if told[0] != name}

    def begun(self, names: Sequence[str]) -> None:
        """Report what can be collected after all."""
        found = tuple(name for name in names if name not in self.pending)
        if found:
            self._events.publish(MarketsFound(self._exchange, self._clock.now_ns(), found))

    def note_listed(self, listed: Container[str], collected: Sequence[str]) -> None:
        """Report which of the markets collected the exchange lists no longer: once, until it does again."""
        for symbol in collected:
            if symbol not in listed and symbol not in self._delisted:
                words = f"{symbol} is not listed any more"
                self._delisted[symbol] = f"{self._exchange}: {words}"
                self.alarm("delisted", words, symbol)
        for symbol in [one for one in self._delisted if one in listed or one not in collected]:
            del self._delisted[symbol]

    def alarm(self, code: str, reason: str, symbol: str | None = None) -> None:
        """Publish a potential halt."""
        self._events.publish(PotentialHalt(self._exchange, code, reason, self._clock.now_ns(), symbol))


def symbol_of(markets: Markets | None, name: str) -> str | None:
    """Return ccxt's name of the market that a name means; None where that is not known."""
    if markets is None:
        return None
    try:
        return str(markets.find(name)["symbol"])
    except UserError:
        return None
