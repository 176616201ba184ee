"""Say what the stream layer needs to know of an exchange, and which file knows it.

An exchange is a table of facts, and functions only where the table cannot say it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from collector.book.verified import Rule
from collector.events.messages import Message, Other, Snapshot
from collector.exchanges import binance, bybit, kraken, limits, unverified
from collector.exchanges.limits import WebsocketLimits
from collector.exchanges.top_of_book import TopOfBookOnly
from collector.exchanges.venues import Kind

Payload = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class RestSnapshot:
    """How a book's snapshot is asked for over REST, where the stream does not bring one."""

    ccxt_method: str
    params: Mapping[str, str]
    weight: float


@dataclass(frozen=True, slots=True)
class Rest:
    """The REST side of an exchange whose books are opened by it."""

    request: Callable[[str, Kind, int], RestSnapshot]  # market id, kind, depth
    read: Callable[[str, str], Snapshot]  # the answer's text, the topic
    depth: Callable[[Kind, int], int]  # levels to ask for, for a book of a depth
    weight_a_minute: Mapping[Kind, float]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange, as the stream layer sees it."""

    read_frame: Callable[[str], Sequence[Message]]
    topic: Callable[[str, str, str], str]  # market id, symbol, channel: what is subscribed
    route: Callable[[str], str]  # what the frames of a topic are known by
    requests: Callable[[Sequence[str]], Sequence[Sequence[str]]]  # topics, put together request by request
    subscribe: Callable[[Sequence[str], str], Payload]  # topics, request id
    unsubscribe: Callable[[Sequence[str], str], Payload]
    limits: WebsocketLimits
    rule: Callable[
        [Kind, str, Mapping[str, Any]], Rule
    ]  # kind, channel, what the exchange says of the market
    ping: Callable[[str], Payload] | None = None  # None: the websocket's own ping frame
    answers_each_topic: bool = False  # one answer for each topic of a request, not one for all
    lifetime_s: float | None = None  # after which the exchange cuts a connection
    rest: Rest | None = None
    # Of the addresses of a kind of market, which one has a channel: kind, channel.
    door: Callable[[Kind, str], int] = lambda _kind, _channel: 0
    # What a book and the best prices of its market share: the numbers of updates, or one across channels.
    shared_numbers: Literal["update", "cross"] | None = None
    numbers_trades: bool = False  # ids of trades follow each other without a hole
    confirms_bars: bool = True  # says when a bar is over
    unified: bool = False  # ccxt reads its frames and keeps its books


def depth_of(channel: str) -> int:
    """Read the depth out of a channel's name: 50 of `book.50`, 1 of `bbo`."""
    family, _, depth = channel.partition(".")
    if family == "bbo":
        return 1
    if family != "book":
        raise ValueError(f"{channel} is no order book")
    return int(depth)


def _tens(topics: Sequence[str]) -> Sequence[Sequence[str]]:
    return [topics[first : first + 10] for first in range(0, len(topics), 10)]


BYBIT = Exchange(
    read_frame=bybit.read_frame,
    topic=bybit.topic,
    route=bybit.route,
    requests=_tens,  # spot takes ten arguments a request
    subscribe=bybit.subscribe,
    unsubscribe=bybit.unsubscribe,
    ping=bybit.ping,
    limits=limits.BYBIT,
    rule=lambda _kind, channel, _market: bybit.Continuity(depth_of(channel)),
    shared_numbers="cross",
)

LEAST_REST_DEPTH = 1000  # a narrow snapshot would have to be fetched again at every step of the price


def _binance_request(market_id: str, kind: Kind, depth: int) -> RestSnapshot:
    request = binance.snapshot_request(market_id, kind, depth)
    method = "publicGetDepth" if kind == "spot" else "fapiPublicGetDepth"
    return RestSnapshot(method, request.params, request.weight)


def _binance_rule(kind: Kind, channel: str, _market: Mapping[str, Any]) -> Rule:
    return TopOfBookOnly() if channel == "bbo" else binance.continuity(kind, depth_of(channel))


BINANCE = Exchange(
    read_frame=binance.read_frame,
    topic=binance.topic,
    route=binance.route,
    requests=lambda topics: [topics[first : first + 100] for first in range(0, len(topics), 100)],
    subscribe=binance.subscribe,
    unsubscribe=binance.unsubscribe,
    rule=_binance_rule,
    limits=limits.BINANCE,
    lifetime_s=24 * 3600.0,  # https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
    rest=Rest(
        request=_binance_request,
        read=binance.read_snapshot,
        depth=lambda kind, depth: min(max(depth, LEAST_REST_DEPTH), binance.SNAPSHOT_DEPTHS[kind][-1]),
        weight_a_minute={"spot": 6000.0, "linear": 2400.0},
    ),
    # https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
    door=lambda kind, channel: int(kind == "linear" and channel.startswith("ohlcv.")),
    shared_numbers="update",
    numbers_trades=True,
)


def _kraken_rule(_kind: Kind, channel: str, market: Mapping[str, Any]) -> Rule:
    if channel == "bbo":
        return TopOfBookOnly()
    told = market["info"]
    return kraken.Checksum(depth_of(channel), int(told["pair_decimals"]), int(told["lot_decimals"]))


KRAKEN = Exchange(
    read_frame=kraken.read_frame,
    topic=kraken.topic,
    route=kraken.route,
    requests=kraken.group,
    subscribe=kraken.subscribe,
    unsubscribe=kraken.unsubscribe,
    ping=kraken.ping,
    rule=_kraken_rule,
    answers_each_topic=True,
    limits=limits.KRAKEN,
    numbers_trades=True,
    confirms_bars=False,
)

EXCHANGES: dict[str, Exchange] = {"bybit": BYBIT, "binance": BINANCE, "kraken": KRAKEN}


def _by_ccxt(*_: object) -> Payload:
    raise NotImplementedError("ccxt makes the requests")


UNVERIFIED = Exchange(
    read_frame=lambda _text: (Other(),),
    topic=unverified.topic,
    route=lambda topic: topic,
    requests=lambda topics: [topics],
    subscribe=_by_ccxt,
    unsubscribe=_by_ccxt,
    limits=limits.UNVERIFIED,
    rule=lambda _kind, _channel, _market: unverified.Unproven(),
    unified=True,
)


def exchange_of(name: str) -> Exchange:
    """Return what the stream layer needs to know of an exchange, verified or not."""
    return EXCHANGES.get(name, UNVERIFIED)
