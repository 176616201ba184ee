"""State how much may be asked of each exchange's websockets, and how much comes from them: a table."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from collector.exchanges.venues import Kind


class Rate(NamedTuple):
    """At most so many in any span of so many seconds."""

    most: int
    span_s: float


@dataclass(frozen=True, slots=True)
class WebsocketLimits:
    """What one address of ours may ask of an exchange's websockets."""

    connects: Rate  # new connections of one address
    requests: Mapping[Kind, Rate]  # messages sent on one connection, pings and pongs included
    topics: int  # subscribed on one connection
    characters: int | None  # of all topics of one connection together
    messages_a_second: Mapping[str, float]  # that a busy market sends, by channel or family of channels

    def expected_a_second(self, channel: str) -> float:
        """Tell how many messages a second to expect of a channel of a busy market."""
        known = self.messages_a_second
        return known.get(channel, known[channel.partition(".")[0]])


# https://bybit-exchange.github.io/docs/v5/ws/connect: 500 connections in 5 minutes, 21,000 characters of
# topics a connection. No limit of messages is documented. Pushes: an order book of 1 level each 10 ms, 50
# each 20 ms, 200 each 100 ms (spot: 200 ms), 1000 each 200 ms.
BYBIT = WebsocketLimits(
    connects=Rate(500, 300.0),
    requests=MappingProxyType({"spot": Rate(20, 1.0), "linear": Rate(20, 1.0)}),
    topics=200,
    characters=21_000,
    messages_a_second=MappingProxyType(
        {"book.1": 100.0, "book": 50.0, "book.200": 10.0, "book.1000": 5.0, "bbo": 100.0}
        | {"trade": 20.0, "ohlcv": 1.0}
    ),
)
# https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams: 300 connections in 5 minutes,
# 5 messages a second, 1024 streams a connection; USD-M takes 10 messages a second.
BINANCE = WebsocketLimits(
    connects=Rate(300, 300.0),
    requests=MappingProxyType({"spot": Rate(5, 1.0), "linear": Rate(10, 1.0)}),
    topics=1024,
    characters=None,
    messages_a_second=MappingProxyType({"book": 10.0, "bbo": 50.0, "trade": 20.0, "ohlcv": 4.0}),
)
# Nobody looked up the limits of the others: few enough for all.
UNVERIFIED = WebsocketLimits(
    connects=Rate(60, 300.0),
    requests=MappingProxyType({"spot": Rate(2, 1.0), "linear": Rate(2, 1.0)}),
    topics=20,
    characters=None,
    messages_a_second=MappingProxyType({"book": 20.0, "bbo": 20.0}),
)
# https://docs.kraken.com/api/docs/guides/spot-ws-intro: some 150 connections in 10 minutes, rolling. How many
# messages are too many is not documented ("Exceeded msg rate"), nor how many topics.
KRAKEN = WebsocketLimits(
    connects=Rate(150, 600.0),
    requests=MappingProxyType({"spot": Rate(5, 1.0)}),
    topics=100,
    characters=None,
    messages_a_second=MappingProxyType({"book": 20.0, "bbo": 10.0, "trade": 5.0, "ohlcv": 1.0}),
)
