"""Define what an exchange is: one frozen value that holds all its facts, and the types they are made of.

An exchange is a table of facts, and functions only where the table cannot say it. What reads frames and
proves books stands in `frames.py` and `rule.py` of its folder, and is imported on first use: settings and
help ask for facts only.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from collector.events import FAMILIES
from collector.exchanges.limits import KINDS, MarketKind, Rate, WebsocketLimits, requests_of
from collector.exchanges.past import Bound, History, Past, PastPages

if TYPE_CHECKING:
    from collector.book import Rule
    from collector.events import ContractSize, Message, ReadNext, Snapshot

__all__ = [  # what stands in this file, and what facts are made of beside it
    "KINDS",
    "Addresses",
    "Bound",
    "CredentialQuestion",
    "Environment",
    "Exchange",
    "History",
    "HttpMeaning",
    "MarketKind",
    "Past",
    "Payload",
    "Rate",
    "RefusalWords",
    "RequestLimits",
    "Rest",
    "RestCheck",
    "RestSnapshot",
    "Tickers",
    "Told",
    "Topics",
    "Tree",
    "Urls",
    "WebsocketLimits",
    "depths_text",
    "kind_of",
    "one_of",
    "requests_of",
]

Environment = Literal["live", "testnet", "demo"]
Tree = Mapping[str, "str | Tree"]
Payload = Mapping[str, object] | str  # text is sent as it stands
ReadFrame = Callable[[str], Sequence["Message"]]


@dataclass(frozen=True, slots=True)
class Urls:
    """Where public data is asked for, by kind of market."""

    rest: Mapping[MarketKind, str]
    ws: Mapping[MarketKind, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of an exchange, and the names under which ccxt keeps them."""

    own: Mapping[Environment, Urls]
    replaced: Urls  # the same with `{rest}` and `{ws}` for the configured bases
    ccxt_rest: Mapping[str, str]
    ccxt_ws: "str | Tree"
    ccxt_urls_key: Mapping[Environment, str]  # where ccxt keeps the addresses that its switch swaps in
    whole_ws_ends: tuple[str, ...] = ()  # a configured base that ends so is an address, dialled as it stands
    ws_base_never_holds: str | None = None  # a word in the address by which ccxt tells one kind from another
    # Where a kind of market has several websocket addresses, which one has a channel: kind, channel.
    index: Callable[[MarketKind, str], int] = lambda _kind, _channel: 0


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What one address of ours may ask of a REST host: each rate holds in every span of its length."""

    weight: tuple[Rate, ...]
    requests: tuple[Rate, ...] = ()  # whatever each weighs


class Used(NamedTuple):
    """The weight that all requests behind our address used, and for how long it counts still."""

    weight: float
    for_s: float


class Told(NamedTuple):
    """What an answer says of all requests behind our address."""

    used: Mapping[float, Used] = MappingProxyType({})  # by the span of its rate in seconds
    wait_s: float = 0.0  # nothing may be asked for so long


def _tells_nothing(_headers: Mapping[str, str], _now_ms: float) -> Told:
    return Told()


@dataclass(frozen=True, slots=True)
class Topics:
    """How streams are named, asked for and left."""

    topic: Callable[[str, str, str], str]  # market id, symbol, channel: what is subscribed
    requests: Callable[[Sequence[str]], Sequence[Sequence[str]]]  # topics, put together request by request
    subscribe: Callable[[Sequence[str], str], Payload]  # topics, request id
    unsubscribe: Callable[[Sequence[str], str], Payload]
    route: Callable[[str], str] = lambda topic: topic  # what the frames of a topic are known by
    # Of the topics that have the same name here, one connection takes one only.
    one_a_connection: Callable[[str], str] = lambda topic: topic
    ping: Callable[[str], Payload] | None = None  # None: the websocket's own ping frame
    answers_each: bool = False  # one answer for each topic of a request, not one for all


@dataclass(frozen=True, slots=True)
class RestSnapshot:
    """How a book's snapshot is asked for over REST, where the stream does not bring one."""

    ccxt_method: str
    params: Mapping[str, str]
    weight: float


@dataclass(frozen=True, slots=True)
class Rest:
    """The REST side of an exchange whose books are opened by it."""

    request: Callable[[str, MarketKind, int], RestSnapshot]  # market id, kind, depth
    read: Callable[[str, str], "Snapshot"]  # the answer's text, the topic
    depth: Callable[[MarketKind, int], int]  # levels to ask for, for a book of a depth


@dataclass(frozen=True, slots=True)
class RestCheck:
    """How REST is asked for the state of a silent stream, whose market may be quiet.

    Asked of the stream itself, by a new subscription, what changes between leaving and joining is missed.
    """

    request: Callable[[str, MarketKind, str], RestSnapshot | None]  # market id, kind, channel; None: no such
    read: Callable[[str, str], "Snapshot"]  # the answer's text, the topic
    size_step: float = 0.0  # to which REST rounds its sizes; 0: to none


def _quote_volume(ticker: Mapping[str, Any]) -> float | None:
    volume: float | None = ticker.get("quoteVolume")
    return volume


@dataclass(frozen=True, slots=True)
class Tickers:
    """How all markets of a kind are asked for what was traded in the last 24 hours."""

    params: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # of ccxt's call
    weight: float = 1.0
    # In the quote currency, of what ccxt says of one market; None where that is not told.
    quote_volume: Callable[[Mapping[str, Any]], float | None] = _quote_volume


@dataclass(frozen=True, slots=True)
class HttpMeaning:
    """What an exchange means by an HTTP status, where it is not what others mean."""

    kind: Literal["transient", "rate_limit", "permanent"]
    suspicious: bool = False  # it may mean as well that asking again cannot help
    retry_after_s: float | None = None  # where a time is documented and the answer has none


@dataclass(frozen=True, slots=True)
class RefusalWords:
    """What an exchange says when it refuses a subscription, beyond what they all say.

    Each is a code that stands before the text (`-1008`), or a part of the text in small letters.
    """

    already: tuple[str, ...] = ()  # it is subscribed: as good as accepted
    passing: tuple[str, ...] = ()  # not now
    permanent: tuple[str, ...] = ()  # never: what was asked for is not there


@dataclass(frozen=True, slots=True)
class CredentialQuestion:
    """A signed request that changes nothing, and which every key may make."""

    ccxt_method: str
    only_reads: Callable[[Mapping[str, Any]], bool]  # whether the key may do no more, as far as that is told


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange: all that is known of it."""

    name: str
    summary: str  # what is collected, and what proves it
    depths: Mapping[MarketKind, Sequence[int]]
    intervals: tuple[str, ...]
    addresses: Addresses
    limits: WebsocketLimits
    topics: Topics
    # Where `frames`, `rule` and `history` are: a package of one's own; empty: a folder beside this file.
    package: str = ""
    ccxt_id: str = ""  # what ccxt calls it; empty: the same
    families: tuple[str, ...] = FAMILIES  # of channels, that are collected
    is_verified: bool = True  # else ccxt reads its frames and keeps its books
    lifetime_s: float | None = None  # after which the exchange cuts a connection
    # By kind of market; kinds at one address share one budget. None: nobody looked it up.
    rest_limits: Mapping[MarketKind, RequestLimits] = field(default_factory=lambda: MappingProxyType({}))
    # The headers of an answer, their names in small letters, and the time in ms.
    told: Callable[[Mapping[str, str], float], Told] = _tells_nothing
    # Patterns of answers that mean too many requests, where ccxt does not know; a group is a time in s.
    limit_words: tuple[str, ...] = ()
    list_weight: Mapping[MarketKind, float] = field(default_factory=lambda: MappingProxyType({}))  # else 1
    # None of a kind: the exchange's answer about it was not looked up.
    tickers: Mapping[MarketKind, Tickers] = field(default_factory=lambda: MappingProxyType({}))
    rest: Rest | None = None
    check: RestCheck | None = None
    # What the compiled kernel calls the frames that change books; else Python reads them.
    kernel_shapes: Mapping[MarketKind, str] = field(default_factory=lambda: MappingProxyType({}))
    sends_state: bool = True  # of a book, or of the best prices, at a subscription
    history: History | None = None  # None: nobody looked it up
    # What a book and the best prices of its market share: the numbers of updates, or one across channels.
    shared_numbers: Literal["update", "cross"] | None = None
    numbers_trades: bool = False  # ids of trades follow each other without a hole
    confirms_bars: bool = True  # says when a bar is over
    bars_open_at_last_close: bool = False  # else at their first trade
    bars_within_s: float = 5.0  # after a trade its bar is told at the latest
    # What ccxt calls the kinds of market when it is told which to ask for; none: it cannot be told.
    market_types: Mapping[MarketKind, str] = field(default_factory=lambda: MappingProxyType({}))
    # What a contract is worth, of what ccxt says of the market; None where sizes are in the base currency.
    contract_size: Callable[[Mapping[str, Any]], "ContractSize | None"] = lambda _market: None
    clock_step_s: float = 0.001  # of the time that it tells over REST
    # Something is pushed at least so often wherever something is subscribed: data, or a heartbeat.
    pushes_within_s: float | None = None
    quiet_after_s: float | None = (
        None  # a book that does not change is told again, at the latest after so long
    )
    same_channels: tuple[tuple[str, str], ...] = ()  # two names of ours for one topic of theirs
    # The kinds of market in the order in which a name that means several is read.
    preferred: tuple[MarketKind, ...] = KINDS
    # What is collected where nobody says which.
    bare_markets: Mapping[MarketKind, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    usual_market: tuple[MarketKind, str] | None = None  # and its quote, where only a coin is named
    has_spot_in_dollars: bool = True  # markets such as BTC/USD
    currency_aliases: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # ours: theirs
    http_meanings: Mapping[int, HttpMeaning] = field(default_factory=lambda: MappingProxyType({}))
    refusals: RefusalWords = RefusalWords()
    credential_question: CredentialQuestion | None = None
    demo_markets: tuple[str, ...] = ()
    demo_channels: tuple[str, ...] = ()

    @property
    def kinds(self) -> tuple[MarketKind, ...]:
        """Return the kinds of market it has, in a fixed order."""
        return tuple(kind for kind in KINDS if kind in self.depths)

    @property
    def environments(self) -> tuple[Environment, ...]:
        """Return the environments it has, live first."""
        return tuple(self.addresses.own)

    @property
    def read_frame(self) -> ReadFrame:
        """Return the function that reads one frame."""
        read_frame: ReadFrame = self._module("frames").read_frame
        return read_frame

    def read_next(self, kind: MarketKind) -> "ReadNext | None":
        """Return the function that reads the usual frame of changed levels; None: `read_frame` reads all."""
        new: Callable[[str], ReadNext] | None = getattr(self._module("frames"), "next_reader", None)
        return None if new is None else new(kind)

    @property
    def past_pages(self) -> PastPages:
        """Return what names a stream in a request for its past, and reads the answer."""
        pages: PastPages = self._module("history")
        return pages

    def rule(self, kind: MarketKind, channel: str, market: Mapping[str, Any]) -> "Rule":
        """Make the integrity rule of a book; `market` is what ccxt says of it."""
        rule: Rule = self._module("rule").rule_of(kind, channel, market)
        return rule

    def _module(self, name: str) -> Any:
        return import_module(f"{self.package or f'{__package__}.{self.name}'}.{name}")


def kind_of(symbol: str) -> str | None:
    """Return the kind of market from ccxt's name of it; None for an exchange's own name, which does not tell.

    `BTC/USDT` is spot, `BTC/USDT:USDT` linear, `BTC/USD:BTC` inverse, `BTC/USD:BTC-260327-90000-C` an option.
    """
    pair, colon, settled = symbol.partition(":")
    base, slash, quote = pair.partition("/")
    if not (base and slash and quote):
        return None
    if not colon:
        return "spot"
    settle, *rest = settled.split("-")
    if len(rest) > 1:
        return "option"
    return "linear" if settle == quote else "inverse"


def depths_text(depths: Sequence[int]) -> str:
    """Write the depths offered, for a message."""
    if isinstance(depths, range):
        return f"any from {depths[0]} to {depths[-1]}"
    return one_of([str(depth) for depth in depths])


def one_of(names: Sequence[str]) -> str:
    """Write a choice: `a`, or `one of a, b, c`."""
    return names[0] if len(names) == 1 else f"one of {', '.join(names)}"
