"""State the facts of Bybit v5: spot and USDT perpetuals."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from collector.events import Channel
from collector.exchanges.bybit import topics
from collector.exchanges.exchange import (
    KINDS,
    Addresses,
    Bound,
    CredentialQuestion,
    Exchange,
    History,
    HttpMeaning,
    MarketKind,
    Past,
    Rate,
    RefusalWords,
    RequestLimits,
    RestCheck,
    RestSnapshot,
    Tickers,
    Told,
    Topics,
    Urls,
    WebsocketLimits,
    requests_of,
)

if TYPE_CHECKING:
    from collector.events import Snapshot


def _urls(rest: str, ws: str) -> Urls:
    return Urls(
        rest=dict.fromkeys(KINDS, rest),
        ws={"spot": (f"{ws}/v5/public/spot",), "linear": (f"{ws}/v5/public/linear",)},
    )


# Pushes of a book: 1 level each 10 ms, 50 each 20 ms, 200 each 100 ms (spot: 200 ms), 1000 each 200 ms.
_LINEAR = {"book.1": 100.0, "book": 50.0, "book.200": 10.0, "book.1000": 5.0, "bbo": 100.0}
_BUSY = {"trade": 20.0, "ohlcv": 1.0}

_PER_ADDRESS = Rate(600, 5.0)  # https://bybit-exchange.github.io/docs/v5/rate-limit, "HTTP IP limit"


_LONGEST_WAIT_S = 10.0  # the window is a second: more is a clock that is wrong


def _told(headers: Mapping[str, str], now_ms: float) -> Told:
    """Read what is left of the endpoint's limit, and when it is whole again.

    https://bybit-exchange.github.io/docs/v5/rate-limit: X-Bapi-Limit-Status is what remains, and once that is
    used up X-Bapi-Limit-Reset-Timestamp says in ms when it resets.
    """
    left, whole_ms = headers.get("x-bapi-limit-status", ""), headers.get("x-bapi-limit-reset-timestamp", "")
    if not left.isdecimal() or int(left) > 0 or not whole_ms.isdecimal():
        return Told()
    return Told(wait_s=min(max((int(whole_ms) - now_ms) / 1000.0, 0.0), _LONGEST_WAIT_S))


def _newest_trades(rows: int) -> Past:
    """Describe trades: REST has the newest only, and takes neither an id nor a time."""
    method = "public_get_v5_market_recent_trade"
    return Past(
        method,
        rows,
        1.0,
        _PER_ADDRESS,
        paging=None,
        newest_rows=rows,
        id_kind="trade",
        newest_first=True,
        keeps="newest",
    )


_MOST_REST_LEVELS = {"spot": 200, "linear": 500}


def _book_request(market_id: str, kind: MarketKind, channel: str) -> RestSnapshot:
    """Describe the request for a book. https://bybit-exchange.github.io/docs/v5/market/orderbook."""
    levels = min(Channel.of(channel).depth, _MOST_REST_LEVELS[kind])
    params = {"category": kind, "symbol": market_id, "limit": str(levels)}
    return RestSnapshot("public_get_v5_market_orderbook", params, 1.0)


def _read_book(text: str, topic: str) -> "Snapshot":
    from collector.exchanges.bybit.frames import read_rest_book  # noqa: PLC0415  (on first use)

    return read_rest_book(text, topic)


BYBIT = Exchange(
    name="bybit",
    summary="spot and USDT perpetuals; books proven by their update numbers, every 20 ms",
    # https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook
    depths={"spot": (1, 50, 200, 1000), "linear": (1, 50, 200, 1000)},
    intervals=tuple(topics.CODES),
    addresses=Addresses(
        # https://bybit-exchange.github.io/docs/v5/demo: public data of the demo environment comes from the
        # production websocket.
        own={
            "live": _urls("https://api.bybit.com", "wss://stream.bybit.com"),
            "testnet": _urls("https://api-testnet.bybit.com", "wss://stream-testnet.bybit.com"),
            "demo": _urls("https://api-demo.bybit.com", "wss://stream.bybit.com"),
        },
        replaced=_urls("{rest}", "{ws}"),
        ccxt_rest=dict.fromkeys(("public", "private", "spot", "futures", "v2"), "{rest}"),
        # ccxt tells spot from linear by the word "spot" in the address.
        ccxt_ws={
            "public": {kind: f"{{ws}}/v5/public/{kind}" for kind in ("spot", "linear", "inverse", "option")}
        },
        ws_base_never_holds="spot",
        ccxt_urls_key={"live": "api", "testnet": "test", "demo": "demotrading"},
    ),
    # https://bybit-exchange.github.io/docs/v5/ws/connect: 500 connections in 5 minutes, 21,000 characters of
    # topics a connection. No limit of messages is documented.
    kernel_shapes=MappingProxyType(dict.fromkeys(KINDS, "bybit")),
    limits=WebsocketLimits(
        connects=Rate(500, 300.0),
        requests=dict.fromkeys(KINDS, Rate(20, 1.0)),
        topics=200,
        characters=21_000,
        messages_a_second={
            "linear": MappingProxyType(_LINEAR | _BUSY),
            "spot": MappingProxyType(_LINEAR | {"book.200": 5.0} | _BUSY),
        },
        pushed_at_intervals=frozenset({"book", "bbo"}),
    ),
    topics=Topics(
        topic=topics.topic,
        requests=requests_of(10),  # spot takes no more
        subscribe=topics.subscribe,
        unsubscribe=topics.unsubscribe,
        ping=topics.ping,
    ),
    # A subscription brings the state too, but the updates between leaving and joining are missed.
    check=RestCheck(_book_request, _read_book),
    rest_limits=dict.fromkeys(KINDS, RequestLimits((_PER_ADDRESS,))),
    # https://bybit-exchange.github.io/docs/v5/market/tickers: all of a category in one answer.
    tickers={
        "spot": Tickers({"type": "spot"}),
        "linear": Tickers({"type": "swap", "subType": "linear"}),
    },
    told=_told,
    history=History(
        # https://bybit-exchange.github.io/docs/v5/market/recent-trade
        trades={"spot": _newest_trades(60), "linear": _newest_trades(1000)},
        # https://bybit-exchange.github.io/docs/v5/market/kline: from `start` to `end`, in its example both
        # included, the newest first, also the one that is open; how far back it does not say, nor what comes
        # of a longer stretch than `limit`.
        bars=dict.fromkeys(
            KINDS,
            Past(
                "public_get_v5_market_kline",
                1000,
                1.0,
                _PER_ADDRESS,
                paging="time",
                since=Bound("start", True),
                until=Bound("end", True),
                newest_first=True,
                has_open_bar=True,
            ),
        ),
    ),
    shared_numbers="cross",
    bars_within_s=60.0,  # documented: pushed every 1 to 60 s
    bars_open_at_last_close=True,  # as recorded: the first trade of a bar may be elsewhere
    same_channels=(("bbo", "book.1"),),
    market_types={"spot": "spot", "linear": "linear"},
    preferred=("linear", "spot"),
    bare_markets={"spot": ("BTC/USDT", "ETH/USDT"), "linear": ("BTC/USDT:USDT", "ETH/USDT:USDT")},
    usual_market=("linear", "USDT"),
    has_spot_in_dollars=False,
    # https://bybit-exchange.github.io/docs/v5/rate-limit and /v5/error: 403 is too many requests of one
    # address, to be left alone for ten minutes at least; or an address in the US, hence suspicious.
    http_meanings={403: HttpMeaning("rate_limit", suspicious=True, retry_after_s=600.0)},
    # No page has all the words. Clients report `error:handler not found,topic:...` for a topic or a market
    # that is not there, and `Invalid symbol :[...]`; https://bybit-exchange.github.io/docs/v5/error has
    # those that pass.
    refusals=RefusalWords(
        passing=("too many visits", "frequency protection", "restarting", "system busy"),
        permanent=("handler not found", "invalid symbol", "args size"),
    ),
    credential_question=CredentialQuestion(
        "private_get_v5_user_query_api", lambda answer: bool(answer["result"].get("readOnly"))
    ),
    demo_markets=("BTC/USDT:USDT", "ETH/USDT:USDT"),
    demo_channels=("book.50", "trade", "ohlcv.1m"),
)
