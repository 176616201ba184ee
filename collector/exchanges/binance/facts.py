"""State the facts of Binance: spot and USD-M perpetuals."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from collector.events import BBO, OHLCV, Channel
from collector.exchanges.binance import topics
from collector.exchanges.exchange import (
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
    Rest,
    RestCheck,
    RestSnapshot,
    Tickers,
    Told,
    Topics,
    Urls,
    Used,
    WebsocketLimits,
    requests_of,
)

if TYPE_CHECKING:
    from collector.events import Snapshot

# https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints#order-book and
# https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Order-Book
SNAPSHOT_DEPTHS: Mapping[MarketKind, Sequence[int]] = MappingProxyType(
    {"spot": range(1, 5001), "linear": (5, 10, 20, 50, 100, 500, 1000)}
)
# (levels at most, request weight)
SNAPSHOT_WEIGHTS: Mapping[MarketKind, Sequence[tuple[int, int]]] = MappingProxyType(
    {
        "spot": ((100, 5), (500, 25), (1000, 50), (5000, 250)),
        "linear": ((50, 2), (100, 5), (500, 10), (1000, 20)),
    }
)
WEIGHT_A_MINUTE: Mapping[MarketKind, int] = MappingProxyType({"spot": 6000, "linear": 2400})
LEAST_REST_DEPTH = 1000  # a narrow snapshot would have to be fetched again at every step of the price


def snapshot_request(market_id: str, kind: MarketKind, depth: int) -> RestSnapshot:
    """Describe the request for a book that holds `depth` levels a side."""
    for limit in SNAPSHOT_DEPTHS[kind]:
        if limit >= depth:
            break
    else:
        raise ValueError(f"{depth} levels: at most {SNAPSHOT_DEPTHS[kind][-1]} expected of {kind}")
    weight = next(weight for most, weight in SNAPSHOT_WEIGHTS[kind] if limit <= most)
    method = "publicGetDepth" if kind == "spot" else "fapiPublicGetDepth"
    return RestSnapshot(method, {"symbol": market_id, "limit": str(limit)}, weight)


def _read_snapshot(text: str, topic: str) -> "Snapshot":
    from collector.exchanges.binance.frames import read_snapshot  # noqa: PLC0415  (on first use)

    return read_snapshot(text, topic)


def _best_prices_request(market_id: str, kind: MarketKind, channel: str) -> RestSnapshot | None:
    """Describe the request for the best prices. It weighs 2 for one market; books are compared by `rest`.

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints and
    https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api, both under
    "Symbol Order Book Ticker".
    """
    if channel != BBO:
        return None
    method = "publicGetTickerBookTicker" if kind == "spot" else "fapiPublicGetTickerBookTicker"
    return RestSnapshot(method, {"symbol": market_id}, 2.0)


def _read_best_prices(text: str, topic: str) -> "Snapshot":
    from collector.exchanges.binance.frames import read_best_prices  # noqa: PLC0415  (on first use)

    return read_best_prices(text, topic)


_SPAN_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_USED_WEIGHT = re.compile(r"x-mbx-used-weight-(\d+)([smhd])")


_CLOCKS_DIFFER_S = 1.0


def _told(headers: Mapping[str, str], now_ms: float) -> Told:
    """Read the used weight of our address: X-MBX-USED-WEIGHT-(intervalNum)(intervalLetter).

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/limits, "IP Limits"; intervals begin
    with the clock's: https://developers.binance.com/docs/binance-spot-api-docs/websocket-api/rate-limits.
    """
    used: dict[float, Used] = {}
    for name, value in headers.items():
        found = _USED_WEIGHT.fullmatch(name)
        if found is not None and value.isdecimal():
            span_s = int(found[1]) * _SPAN_S[found[2]]
            left_s = span_s - now_ms / 1000.0 % span_s + _CLOCKS_DIFFER_S
            used[span_s] = Used(float(value), min(left_s, span_s))
    return Told(used)


def _urls(spot_rest: str, linear_rest: str, spot_ws: str, linear_ws: str) -> Urls:
    # ccxt puts the category into the futures address and a stream number behind both: `<address>/<n>`.
    return Urls(
        rest={"spot": f"{spot_rest}/api/v3", "linear": f"{linear_rest}/fapi/v1"},
        ws={"spot": (spot_ws,), "linear": (f"{linear_ws}/public/ws", f"{linear_ws}/market/ws")},
    )


# https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints and, of USD-M,
# https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api. Rows come the
# oldest first. Both ends of a time, and `fromId`, are inclusive: so the pages of aggregates, and so was
# recorded of bars, of which a call that more bars match returns the oldest.
_SINCE, _UNTIL, _FROM_ID = Bound("startTime", True), Bound("endTime", True), Bound("fromId", True)


def _aggregates(kind: MarketKind, method: str, weight: float) -> Past:
    """Describe `aggTrades`, under "Compressed/Aggregate trades list".

    Of USD-M: less than an hour between both times, and nothing that is older than 24 hours.
    """
    is_linear = kind == "linear"
    return Past(
        method,
        1000,
        weight,
        Rate(WEIGHT_A_MINUTE[kind], 60.0),
        paging="id",
        newest_days=1 if is_linear else None,
        id_kind="agg",
        since=_SINCE,
        until=_UNTIL,
        from_id=_FROM_ID,
        widest_s=3600.0 if is_linear else None,
        keeps="oldest",
    )


def _singles(kind: MarketKind, method: str, rows: int, weight: float, newest_days: int | None) -> Past:
    """Describe `historicalTrades`, under "Old Trades Lookup": by id only.

    USD-M asks for a key (`MARKET_DATA`) and has the last three months; spot asks for none since 2023, but
    ccxt sends nothing without one. That USD-M weighs 200 ccxt has from the changelog of 2026-07-29.
    """
    return Past(
        method,
        rows,
        weight,
        Rate(WEIGHT_A_MINUTE[kind], 60.0),
        paging="id",
        newest_days=newest_days,
        id_kind="trade",
        needs_key=True,
        from_id=_FROM_ID,
        keeps="oldest",
    )


def _bars(kind: MarketKind, method: str, rows: int) -> Past:
    """Describe `klines`, under "Kline/Candlestick data": by when they open, the open one among them."""
    return Past(
        method,
        rows,
        2.0,
        Rate(WEIGHT_A_MINUTE[kind], 60.0),
        paging="time",
        since=_SINCE,
        until=_UNTIL,
        keeps="oldest",
        has_open_bar=True,
    )


BINANCE = Exchange(
    name="binance",
    summary="spot and USD-M perpetuals; books proven by their update numbers, every 100 ms",
    # A diff stream has every level; the depth is that of the REST snapshot beneath it.
    depths={"spot": range(1, 5001), "linear": range(1, 1001)},
    intervals=(
        *("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h"),
        *("1d", "3d", "1w", "1M"),
    ),
    addresses=Addresses(
        own={
            "live": _urls(
                "https://api.binance.com",
                "https://fapi.binance.com",
                "wss://stream.binance.com:9443/ws",
                "wss://fstream.binance.com",
            ),
            "testnet": _urls(
                "https://testnet.binance.vision",
                "https://testnet.binancefuture.com",
                "wss://stream.testnet.binance.vision/ws",
                "wss://fstream.binancefuture.com",
            ),
            "demo": _urls(
                "https://demo-api.binance.com",
                "https://demo-fapi.binance.com",
                "wss://demo-stream.binance.com/ws",
                "wss://fstream.binancefuture.com",
            ),
        },
        replaced=_urls("{rest}", "{rest}", "{ws}/stream/ws", "{ws}/fut"),
        ccxt_rest={"public": "{rest}/api/v3", "fapiPublic": "{rest}/fapi/v1", "dapiPublic": "{rest}/dapi/v1"},
        ccxt_ws={"spot": "{ws}/stream/ws", "linear": "{ws}/fut/ws"},
        # Both paths take subscriptions; what comes from `/stream` is wrapped with the stream's name.
        whole_ws_ends=("/ws", "/stream"),
        ccxt_urls_key={"live": "api", "testnet": "test", "demo": "demo"},
        # https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
        index=lambda kind, channel: int(kind == "linear" and Channel.of(channel).family == OHLCV),
    ),
    # https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams: 300 connections in 5
    # minutes, 5 messages a second, 1024 streams a connection; USD-M takes 10 messages a second. Changes of a
    # book are pushed each 100 ms.
    kernel_shapes=MappingProxyType({"spot": "binance_spot", "linear": "binance_usdm"}),
    limits=WebsocketLimits(
        connects=Rate(300, 300.0),
        requests={"spot": Rate(5, 1.0), "linear": Rate(10, 1.0)},
        topics=1024,
        messages_a_second=dict.fromkeys(
            ("spot", "linear"), MappingProxyType({"book": 10.0, "bbo": 50.0, "trade": 20.0, "ohlcv": 4.0})
        ),
        pushed_at_intervals=frozenset({"book"}),
    ),
    topics=Topics(
        topic=topics.topic,
        requests=requests_of(100),
        subscribe=topics.subscribe,
        unsubscribe=topics.unsubscribe,
    ),
    lifetime_s=24 * 3600.0,  # https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
    # As `exchangeInfo` lists under "rateLimits"; spot counts raw requests too.
    rest_limits={
        "spot": RequestLimits((Rate(WEIGHT_A_MINUTE["spot"], 60.0),), (Rate(61_000, 300.0),)),
        "linear": RequestLimits((Rate(WEIGHT_A_MINUTE["linear"], 60.0),)),
    },
    told=_told,
    # https://developers.binance.com/docs/binance-spot-api-docs/rest-api/general-endpoints, "Exchange
    # information"; that of USD-M weighs 1.
    list_weight={"spot": 20.0},
    # https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints and
    # https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api, both under
    # "24hr Ticker Price Change Statistics", of all symbols.
    tickers={
        "spot": Tickers({"type": "spot"}, 80.0),
        "linear": Tickers({"type": "swap", "subType": "linear"}, 40.0),
    },
    rest=Rest(
        request=snapshot_request,
        read=_read_snapshot,
        depth=lambda kind, depth: min(max(depth, LEAST_REST_DEPTH), SNAPSHOT_DEPTHS[kind][-1]),
    ),
    check=RestCheck(_best_prices_request, _read_best_prices),
    sends_state=False,  # a subscription brings nothing: `bookTicker` begins with the next change
    # How far back is documented of USD-M's trades only. Bars of USD-M weigh 1 below 100 rows, 2 below 500, 5
    # up to 1000, then 10 (up to 1500).
    history=History(
        trades={
            "spot": _aggregates("spot", "public_get_aggtrades", 4.0),
            "linear": _aggregates("linear", "fapipublic_get_aggtrades", 20.0),
        },
        bars={
            "spot": _bars("spot", "public_get_klines", 1000),
            "linear": _bars("linear", "fapipublic_get_klines", 499),
        },
        single_trades={
            "spot": _singles("spot", "public_get_historicaltrades", 1000, 25.0, None),
            "linear": _singles("linear", "fapipublic_get_historicaltrades", 500, 200.0, 90),
        },
    ),
    shared_numbers="update",
    numbers_trades=True,
    market_types={"spot": "spot", "linear": "linear"},
    preferred=("spot", "linear"),
    bare_markets={"spot": ("BTC/USDT", "ETH/USDT"), "linear": ("BTC/USDT:USDT", "ETH/USDT:USDT")},
    usual_market=("spot", "USDT"),
    has_spot_in_dollars=False,
    # https://developers.binance.com/docs/binance-spot-api-docs/rest-api/http-return-codes and /limits: 418
    # bans for 2 minutes to 3 days, with Retry-After; 403 is their firewall, for a rate or for security.
    http_meanings={
        403: HttpMeaning("rate_limit", suspicious=True),
        418: HttpMeaning("rate_limit", retry_after_s=120.0),
    },
    # https://developers.binance.com/docs/binance-spot-api-docs/errors: 10xx are the server's and the
    # network's, 11xx faults of the request; 0 to 3 of ".../web-socket-streams", "Error Messages".
    refusals=RefusalWords(
        passing=("-1000", "-1001", "-1003", "-1004", "-1006", "-1007", "-1008", "-1015", "-1016", "-1034"),
        permanent=("0", "1", "2", "3", "-1100", "-1101", "-1102", "-1120", "-1121", "-1122", "-1130"),
    ),
    credential_question=CredentialQuestion(
        "private_get_account", lambda answer: not answer.get("canTrade", False)
    ),
    demo_markets=("BTC/USDT", "ETH/USDT"),
    demo_channels=("book.50", "bbo", "trade", "ohlcv.1m"),
)
