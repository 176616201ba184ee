"""State the facts of OKX v5: spot and USDT swaps. https://www.okx.com/docs-v5/en/#overview."""

from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from types import MappingProxyType
from typing import Any

from collector.errors import UserError
from collector.events import OHLCV, Channel, ContractSize, contract_size
from collector.exchanges.exchange import (
    KINDS,
    Addresses,
    Bound,
    Exchange,
    History,
    Past,
    Rate,
    RefusalWords,
    RequestLimits,
    Tickers,
    Topics,
    Urls,
    WebsocketLimits,
    requests_of,
)
from collector.exchanges.okx import topics


def _urls(rest: str, ws: str) -> Urls:
    return Urls(rest=dict.fromkeys(KINDS, rest), ws=dict.fromkeys(KINDS, (f"{ws}/public", f"{ws}/business")))


def _contract_size(market: Mapping[str, Any]) -> ContractSize | None:
    """Return what a contract of a swap is worth; spot sizes are in the base currency."""
    info = market["info"]
    if not market["contract"]:
        return None
    if info["ctValCcy"] != market["baseId"]:
        text = f"a contract is worth {info['ctVal']} {info['ctValCcy']}, expected so many {market['baseId']}"
        raise UserError(f"{market['symbol']}: sizes cannot be made into the base currency: {text}")
    return contract_size(Decimal(info["ctVal"]) * Decimal(info["ctMult"]), Decimal(info["lotSz"]))


def _volume_of_swap(ticker: Mapping[str, Any]) -> float | None:
    """Return what was traded of a swap in its quote currency.

    "Tickers": `volCcy24h` is in the base currency there, and in the quote of a spot market; ccxt takes the
    number of contracts for it.
    """
    in_base, last = ticker["info"].get("volCcy24h"), ticker.get("last")
    return None if not in_base or last is None else float(in_base) * float(last)


_BUSY = {"book": 10.0, "bbo": 100.0, "book.1": 100.0, "trade": 20.0, "ohlcv": 2.0}

_PER_ENDPOINT = Rate(20, 2.0)

OKX = Exchange(
    name="okx",
    summary="spot and USDT swaps; books proven by the number of the message before, every 100 ms",
    # "Order book channel": 1 level (bbo-tbt) each 10 ms, 5 and 400 levels each 100 ms.
    depths=dict.fromkeys(KINDS, (1, 5, 400)),
    intervals=tuple(topics.CODES),
    addresses=Addresses(
        # As ccxt dials it; the documentation writes port 8443. Its demo trading is what ccxt calls a sandbox.
        own={
            "live": _urls("https://www.okx.com", "wss://ws.okx.com:443/ws/v5"),
            "testnet": _urls("https://www.okx.com", "wss://wspap.okx.com:443/ws/v5"),
        },
        replaced=_urls("{rest}", "{ws}/okx/ws/v5"),
        ccxt_rest={"rest": "{rest}"},
        ccxt_ws="{ws}/okx/ws/v5",
        ccxt_urls_key={"live": "api", "testnet": "test"},
        index=lambda _kind, channel: int(Channel.of(channel).family == OHLCV),  # 1: business
    ),
    # "Connect": 3 connections a second of one address; 480 requests to subscribe and the like an hour and
    # connection, pings apart. "Order book channel": fewer than 30 books a connection.
    limits=WebsocketLimits(
        connects=Rate(3, 1.0),
        requests=dict.fromkeys(KINDS, Rate(480, 3600.0)),
        counts_pings=False,
        topics=29,
        messages_a_second=dict.fromkeys(KINDS, MappingProxyType(_BUSY)),
        pushed_at_intervals=frozenset({"book", "bbo"}),
    ),
    topics=Topics(
        topic=topics.topic,
        requests=requests_of(1),  # a refusal does not say which of several topics it is about
        subscribe=partial(topics.request, "subscribe"),
        unsubscribe=partial(topics.request, "unsubscribe"),
        ping=lambda _request_id: "ping",  # bare text, answered with `pong`
    ),
    # Limits are an endpoint's; one budget for all of them keeps each. "Error Code": 50011 and 50061 are rate
    # limits, of which ccxt knows the first.
    rest_limits=dict.fromkeys(KINDS, RequestLimits((_PER_ENDPOINT,))),
    tickers={
        "spot": Tickers({"type": "spot"}),
        "linear": Tickers({"type": "swap"}, quote_volume=_volume_of_swap),
    },
    limit_words=(r'"code": ?"50061"',),
    # "Trades history": 100 rows, 20 requests in 2 seconds, the last three months, paged by `tradeId` (or by
    # time, backwards only). "Candlesticks history": 300 rows, 20 requests in 2 seconds, "recent years"; each
    # row says whether its bar is over. `after` is "earlier than", `before` "newer than", and alone it brings
    # the newest; both have the newest first.
    history=History(
        trades=dict.fromkeys(
            KINDS,
            Past(
                "public_get_market_history_trades",
                100,
                1.0,
                _PER_ENDPOINT,
                paging="id",
                newest_days=90,
                until=Bound("after", False, also=("type", "2")),
                from_id=Bound("before", False),
                to_id=Bound("after", False),
                newest_first=True,
                keeps="newest",
            ),
        ),
        bars=dict.fromkeys(
            KINDS,
            Past(
                "public_get_market_history_candles",
                300,
                1.0,
                _PER_ENDPOINT,
                paging="time",
                since=Bound("before", False),
                until=Bound("after", False),
                newest_first=True,
                keeps="newest",
                has_open_bar=True,
            ),
        ),
    ),
    # "Error Code", "WebSocket": 50xxx and 63999 are the server's, 60014 and 60016 a rate and a full buffer;
    # 60018 is a channel or an instrument that is not there, 64xxx one that is elsewhere or nobody's.
    refusals=RefusalWords(
        passing=(
            *("50001", "50004", "50005", "50011", "50013", "50026", "50061"),
            *("60014", "60016", "63999"),
        ),
        permanent=(
            *("60012", "60013", "60017", "60018", "60019", "60027", "60028", "60029", "60030", "51001"),
            *("64000", "64001", "64002", "64003", "64004"),
        ),
    ),
    contract_size=_contract_size,
    quiet_after_s=75.0,  # a book that does not change is sent again, or said not to, after about 60 s
    market_types={"spot": "spot", "linear": "swap"},
    same_channels=(("bbo", "book.1"),),
    bare_markets={"spot": ("BTC/USDT", "ETH/USDT"), "linear": ("BTC/USDT:USDT", "ETH/USDT:USDT")},
    usual_market=("spot", "USDT"),
)
