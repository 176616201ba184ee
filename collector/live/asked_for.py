"""Keep what is asked of one exchange, by name: what each name means, and why some of it is not collected.

What is asked for is the measure of a collector's health: an exchange whose list of markets never came, or a
market that is listed no longer, has no stream that could be unwell.
"""

import asyncio
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from collector.clock import Clock
from collector.errors import CollectorError, UserError
from collector.events import EventBus, MarketRepeated, MarketsChosen, MarketsFound, PotentialHalt, StreamKey
from collector.exchanges import MarketKind, depth_problem
from collector.network import Markets, look_up, mistake_in_words
from collector.streams import Stream, StreamMaker

DELISTED = "delisted"  # the code of the alarm, and the cause for which streams end
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
    """What one exchange is asked for: names by channels. Lives in the websocket thread's loop."""

    def __init__(
        self, exchange: str, names: Sequence[str], channels: Sequence[str], *, clock: Clock, events: EventBus
    ) -> None:
        # By name, in the words of who asked: the market that it means, once known. Replaced as a whole.
        self._meant: dict[str, str | None] = dict.fromkeys(names)
        self._channels = channels
        self.pending: dict[str, None] = {}  # what gave no stream: looked at again with the markets
        self.exchange = exchange
        self._clock = clock
        self._events = events
        self._refused: dict[str, str] = {}  # in words, by what was asked for
        self._delisted: dict[str, str] = {}  # in words, by symbol
        self._ended: set[str] = set()  # symbols that were collected until they were listed no longer
        self._told: set[tuple[str, str]] = set()  # what, and under which code

    @property
    def names(self) -> list[str]:
        """Return the names."""
        return list(self._meant)

    def asks(self, name: str) -> bool:
        """Return whether a name, or the market that it is, is asked for, collected or not."""
        return name in self.pending or name in self._meant or name in self._meant.values()

    @property
    def keys(self) -> list[StreamKey]:
        """Return the streams, each once; a market by its name while its meaning is not known. Any thread."""
        symbols = dict.fromkeys(symbol or name for name, symbol in self._meant.items())
        return [StreamKey(self.exchange, symbol, channel) for symbol in symbols for channel in self._channels]

    @property
    def refused(self) -> list[str]:
        """Return what is not collected, each with its reason. For any thread."""
        return [*self._refused.copy().values(), *self._delisted.copy().values()]

    def find(self, markets: Markets, names: Sequence[str]) -> list[tuple[MarketKind, Any]]:
        """Return the markets that the names mean, each once, with its kind; publish the choices made."""
        found, now_ns = look_up(markets, names), self._clock.now_ns()
        self.ask(names, found.meant)
        unknown = dict(found.unknown)
        for name in names:
            if name in unknown:
                self.refuse(name, "bad_symbol", unknown[name], awaited=True)
            else:
                self.pending.pop(name, None)
                self._refused.pop(name, None)
        if found.choices:
            self._events.publish(MarketsChosen(self.exchange, now_ns, tuple(found.choices)))
        for symbol, several in found.repeated.items():
            self._events.publish(MarketRepeated(self.exchange, now_ns, symbol, tuple(several)))
        return found.markets

    def ask(self, names: Sequence[str], meant: Mapping[str, str]) -> None:
        """Ask for names, and take what each of them means where it means something."""
        self._meant = {**self._meant, **{name: meant.get(name) for name in names}}

    def refuse(
        self, what: str, code: str, text: str, symbol: str | None = None, *, awaited: bool = False
    ) -> None:
        """Report, once, why something is not collected; `awaited`: the next list of markets may have it."""
        if awaited:
            self.pending[what] = None
        self._refused[what] = f"{self.exchange}: {text}"
        if (what, code) not in self._told:
            self._told.add((what, code))
            self.alarm(code, text, symbol or what)

    def forget(self, names: Iterable[str], symbols: Iterable[str | None]) -> None:
        """Ask no longer for these names, nor for any that means one of these markets."""
        named = list(names)
        gone = {*named, *filter(None, [*symbols, *(self._meant.get(name) for name in named)])}
        gone |= {name for name, symbol in self._meant.items() if symbol in gone}
        self._meant = {name: symbol for name, symbol in self._meant.items() if name not in gone}
        for each in (self.pending, self._refused, self._delisted):
            for what in [one for one in each if _market_in(one) in gone]:
                del each[what]
        self._ended -= gone
        self._told = {told for told in self._told if _market_in(told[0]) not in gone}

    def made(self, maker: StreamMaker, kind: MarketKind, market: Any, channel: str) -> Stream | None:
        """Make a stream that is asked for; None where that is not possible, which is told."""
        symbol = market["symbol"]
        what = f"{symbol} {channel}"
        problem = depth_problem(self.exchange, kind, channel)
        if problem is not None:
            self.refuse(what, "bad_channel", f"{what} refused: {problem}", symbol)
            return None
        try:
            return maker.make(kind, market, channel)
        except UserError as error:
            self.refuse(symbol, "bad_symbol", str(error), awaited=True)
        except Exception as error:  # noqa: BLE001  (the exchange lists it in a form that nobody expected)
            words = f"{what}: listed in a form that cannot be read: {mistake_in_words(error)}"
            self.refuse(symbol, "bad_market", words, awaited=True)
        return None

    def begun(self, names: Sequence[str]) -> None:
        """Report what can be collected after all."""
        found = tuple(name for name in names if name not in self.pending)
        if found:
            self._events.publish(MarketsFound(self.exchange, self._clock.now_ns(), found))

    def note_listed(self, listed: Container[str], collected: Sequence[str]) -> list[str]:
        """Report which of the markets collected the exchange lists no longer: once, until it does again.

        Returns those that two lists in a row did not have: nothing is collected of them any more. One list
        may be wrong.
        """
        gone = [symbol for symbol in collected if symbol not in listed]
        again = [symbol for symbol in gone if symbol in self._delisted]
        for symbol in gone:
            if symbol not in self._delisted:
                words = f"{symbol} is not listed any more"
                self._delisted[symbol] = f"{self.exchange}: {words}"
                self.alarm(DELISTED, words, symbol)
        self._ended |= set(again)
        for symbol in [one for one in self._delisted if one in listed]:
            del self._delisted[symbol]
        return again

    def listed_again(self, listed: Container[str]) -> list[str]:
        """Return the names of markets whose streams ended with their listing, and that are listed again."""
        back = {symbol for symbol in self._ended if symbol in listed}
        self._ended -= back
        return [name for name, symbol in self._meant.items() if symbol in back]

    def alarm(self, code: str, reason: str, symbol: str | None = None) -> None:
        """Publish a potential halt."""
        self._events.publish(PotentialHalt(self.exchange, code, reason, self._clock.now_ns(), symbol))


def _market_in(what: str) -> str:
    """Return the name or symbol in what is told of: it may be one with a channel."""
    return what.partition(" ")[0]


def symbol_of(markets: Markets | None, name: str) -> str | None:
    """Return ccxt's name of the market that a name means; None where that is not known."""
    if markets is None:
        return None
    try:
        return str(markets.find(name)["symbol"])
    except UserError:
        return None
