"""List what is checked: each exchange, environment and kind of market, and where its addresses are."""

import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, Queue
from threading import Thread
from urllib.parse import urlsplit

from collector.errors import UserError
from collector.exchanges.addresses import Endpoints, dialled
from collector.exchanges.exchange import Environment, Exchange, MarketKind
from collector.exchanges.registry import EXCHANGES
from collector.network.markets import Source

ENDPOINTS = "LIVE_ENDPOINTS"
MOST_DEPTHS = 5  # of books, where an exchange has any depth one may ask for
USUAL_DEPTH = 50
BARS = "ohlcv.1m"
CONNECT_TIMEOUT_S = 4.0
OWN = Endpoints()  # the exchange's own addresses
REAL = {"live", "demo"}  # where markets are those that people trade; a testnet may be silent and thin
PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


@dataclass(frozen=True, slots=True)
class Place:
    """One kind of market in one environment of one exchange."""

    exchange: str
    environment: Environment
    kind: MarketKind
    endpoints: Endpoints = OWN

    def __str__(self) -> str:
        return f"{self.exchange}:{self.kind}:{self.environment}"

    @property
    def facts(self) -> Exchange:
        """Return what is documented of the exchange."""
        return EXCHANGES[self.exchange]

    @property
    def source(self) -> Source:
        """Return the source as the collector and its REST clients know it."""
        return Source(self.exchange, self.environment, self.endpoints, (self.kind,))

    @property
    def is_real(self) -> bool:
        """Return whether its market is the real one: busy, and as deep as one can ask."""
        return self.environment in REAL

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return the two markets that are collected: one is observed, the other left and joined."""
        return self.facts.bare_markets[self.kind][:2]

    @property
    def channels(self) -> tuple[str, ...]:
        """Return every channel worth it: all depths where there are a few, best prices, trades, bars."""
        depths = self.facts.depths[self.kind]
        if len(depths) > MOST_DEPTHS:
            depths = (USUAL_DEPTH,)
        same = {theirs: ours for ours, theirs in self.facts.same_channels}
        books = [f"book.{depth}" for depth in depths if f"book.{depth}" not in same]
        return (*books, "bbo", "trade", BARS)

    @property
    def deepest_book(self) -> str:
        """Return the channel whose books are held against REST."""
        return [channel for channel in self.channels if channel.startswith("book.")][-1]


def all_places(endpoints: Mapping[str, Endpoints]) -> list[Place]:
    """List every kind of market of every environment of every exchange, live first."""
    return [
        Place(name, environment, kind, endpoints.get(name, endpoints.get("", OWN)))
        for name, facts in EXCHANGES.items()
        for environment in facts.environments
        for kind in facts.kinds
    ]


def chosen(places: Sequence[Place], only: str) -> list[Place]:
    """Return the places that `only` names: `bybit`, `okx:linear`, `bybit:demo,kraken`."""
    if not only:
        return list(places)
    known = {word for place in places for word in str(place).split(":")}
    wanted = [set(one.split(":")) for one in only.split(",") if one]
    for words in wanted:
        if strange := sorted(words - known):
            raise UserError(
                f"--only {only}: {', '.join(strange)} not known, expected {', '.join(sorted(known))}"
            )
    found = [place for place in places if any(words <= set(str(place).split(":")) for words in wanted)]
    if not found:
        raise UserError(f"--only {only}: there is no such market; all: {', '.join(map(str, places))}")
    return found


def read_endpoints(text: str) -> dict[str, Endpoints]:
    """Read `bybit=http://127.0.0.1:8900,okx=...`, or one base for all, which stands under no name."""
    found: dict[str, Endpoints] = {}
    for one in (each.strip() for each in text.split(",")):
        if not one:
            continue
        name, equals, base = one.rpartition("=")
        if urlsplit(base).scheme not in {"http", "https"} or (equals and name not in EXCHANGES):
            expected = "http://127.0.0.1:PORT, or bybit=http://127.0.0.1:PORT,..."
            raise UserError(f"{ENDPOINTS}={one}: expected {expected}")
        found[name] = Endpoints(rest=base, ws=f"ws{base.removeprefix('http')}")
    return found


def unreachable(place: Place) -> str | None:
    """Return why an address of a place cannot be reached; None when all can."""
    return next(_problems(place), None)


def _problems(place: Place) -> Iterator[str]:
    tried: set[tuple[str, int]] = set()
    for url in dialled(place.exchange, place.environment, place.endpoints, (place.kind,)):
        parts = urlsplit(url)
        address = parts.hostname or "", parts.port or PORTS[parts.scheme]
        if address in tried:
            continue
        tried.add(address)
        problem = _dialled(address)
        if problem is not None:
            yield f"{address[0]}:{address[1]}: {problem}"


def _dialled(address: tuple[str, int]) -> str | None:
    """Connect in a thread: looking up a name has no timeout of its own."""
    answers: Queue[str | None] = Queue()

    def dial() -> None:
        try:
            socket.create_connection(address, CONNECT_TIMEOUT_S).close()
        except OSError as error:
            answers.put(error.strerror or str(error))
        else:
            answers.put(None)

    Thread(target=dial, name="dial", daemon=True).start()
    try:
        return answers.get(timeout=CONNECT_TIMEOUT_S + 1.0)
    except Empty:
        return f"its name was not found within {CONNECT_TIMEOUT_S + 1.0:g} s"
