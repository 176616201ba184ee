"""State the facts of Kraken's spot market, websocket v2."""

from types import MappingProxyType
from typing import TYPE_CHECKING

from collector.events import Channel
from collector.exchanges.exchange import (
    Addresses,
    Bound,
    CredentialQuestion,
    Exchange,
    History,
    MarketKind,
    Past,
    Rate,
    RefusalWords,
    RequestLimits,
    RestCheck,
    RestSnapshot,
    Tickers,
    Topics,
    Urls,
    WebsocketLimits,
)
from collector.exchanges.kraken import topics

if TYPE_CHECKING:
    from collector.events import Snapshot

# As ccxt asks, which found one call a second to be too many.
_PER_ADDRESS = Rate(1, 1.2)

_MOST_REST_LEVELS = 500


def _depth_request(market_id: str, _kind: MarketKind, channel: str) -> RestSnapshot:
    """Describe the request for a book. https://docs.kraken.com/api/docs/rest-api/get-order-book."""
    levels = min(Channel.of(channel).depth, _MOST_REST_LEVELS)
    return RestSnapshot("publicGetDepth", {"pair": market_id, "count": str(levels)}, 1.0)


def _read_book(text: str, topic: str) -> "Snapshot":
    from collector.exchanges.kraken.frames import read_rest_book  # noqa: PLC0415  (on first use)

    return read_rest_book(text, topic)


KRAKEN = Exchange(
    name="kraken",
    summary="spot; books proven by a checksum, as they change",
    depths={"spot": topics.DEPTHS},
    intervals=tuple(topics.MINUTES),
    addresses=Addresses(
        # Its spot exchange has one environment only.
        own={"live": Urls(rest={"spot": "https://api.kraken.com"}, ws={"spot": ("wss://ws.kraken.com/v2",)})},
        replaced=Urls(rest={"spot": "{rest}"}, ws={"spot": ("{ws}/kraken/v2",)}),
        ccxt_rest={"public": "{rest}"},
        ccxt_ws={"publicV2": "{ws}/kraken/v2"},  # ccxt chooses the form of its ping by "v2"
        ccxt_urls_key={"live": "api"},
    ),
    # https://docs.kraken.com/api/docs/guides/spot-ws-intro: some 150 connections in 10 minutes, rolling. How
    # many messages are too many is not documented ("Exceeded msg rate"), nor how many topics.
    limits=WebsocketLimits(
        connects=Rate(150, 600.0),
        requests={"spot": Rate(5, 1.0)},
        topics=100,
        messages_a_second={"spot": MappingProxyType({"book": 20.0, "bbo": 10.0, "trade": 5.0, "ohlcv": 1.0})},
    ),
    topics=Topics(
        topic=topics.topic,
        route=topics.route,
        one_a_connection=topics.one_a_connection,
        requests=topics.requests,
        subscribe=topics.subscribe,
        unsubscribe=topics.unsubscribe,
        ping=topics.ping,
        answers_each=True,
    ),
    # Its sizes have three decimals. A subscription brings the state too, but no number by which the changes
    # between leaving and joining would show.
    check=RestCheck(_depth_request, _read_book, size_step=0.001),
    # https://docs.kraken.com/exchange/guides/rest/ratelimits: "EService: Throttled: [UNIX timestamp]" where
    # there are too many at once. No header says what is used, and its call counter is that of a key.
    rest_limits={"spot": RequestLimits((_PER_ADDRESS,))},
    # https://docs.kraken.com/api-reference/market-data/get-ticker-information: all pairs where none is named;
    # `v` and `p` are base volume and mean price, of today and of the last 24 hours.
    tickers={"spot": Tickers()},
    limit_words=(r"EService: ?Throttled(?:: ?(\d{10,}))?",),
    # https://docs.kraken.com/exchange/guides/general/historical-data and
    # https://docs.kraken.com/api-reference/market-data/get-recent-trades: 1000 trades a call, paged by
    # `since` in nanoseconds. What an answer calls `last` is the `since` of the next: it tells trades apart
    # whose times, which have seven decimals, are equal. https://support.kraken.com/hc/en-us/articles/218198197:
    # all that there ever were. Bars are the newest 720 whatever `since`, which is in seconds and exclusive
    # (ccxt asks for one bar more), the open one always among them:
    # https://docs.kraken.com/api-reference/market-data/get-ohlc-data.
    history=History(
        trades={
            "spot": Past(
                "public_get_trades",
                1000,
                1.0,
                _PER_ADDRESS,
                paging="time",
                id_kind="trade",
                since=Bound("since", False, a_second=10**9),
                limit="count",
                keeps="oldest",
            )
        },
        bars={
            "spot": Past(
                "public_get_ohlc",
                720,
                1.0,
                _PER_ADDRESS,
                paging=None,
                newest_rows=720,
                since=Bound("since", False, a_second=1),
                limit=None,
                keeps="newest",
                has_open_bar=True,
            )
        },
    ),
    # https://docs.kraken.com/api/docs/websocket-v2/heartbeat: one about every second in the absence of any
    # other update. https://docs.kraken.com/exchange/guides/websockets/reconnection advises a deadline of 5 s;
    # twice that bears a machine that stands still for a moment.
    pushes_within_s=10.0,
    numbers_trades=True,
    confirms_bars=False,
    preferred=("spot",),
    bare_markets={"spot": ("BTC/USD", "ETH/USD")},
    usual_market=("spot", "USD"),
    currency_aliases={"BTC": "XBT", "DOGE": "XDG"},
    # https://docs.kraken.com/api/docs/guides/spot-ws-intro, "Exceeded msg rate": by load, no number is
    # documented. A second interval of bars of a market is refused on the connection that has one.
    refusals=RefusalWords(
        passing=("exceeded msg rate", "eservice:", "egeneral:internal error", "too many requests"),
        permanent=(
            "one ohlc interval on this symbol",
            "currency pair not",
            "pair(s) not found",
            "not supported",
            "malformed request",
            "subscription name invalid",
            "must be specified",
        ),
    ),
    credential_question=CredentialQuestion(
        "private_post_balance", lambda answer: not answer.get("canTrade", False)
    ),
    demo_markets=("BTC/USD",),
    demo_channels=("book.25", "trade", "ohlcv.1m"),
)
