"""The facts of each exchange, held against what ccxt would really dial. Nothing leaves this machine."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import ccxt.pro
import pytest

from collector.errors import SettingsError
from collector.exchanges.addresses import apply_environment, ccxt_config, dialled, websocket
from collector.exchanges.exchange import Environment, MarketKind, kind_of
from collector.exchanges.registry import EXCHANGES, smallest_depth_holding


@dataclass(frozen=True)
class Bases:
    rest: str | None = None
    ws: str | None = None


OWN = Bases()
LOCAL = Bases("http://127.0.0.1:8900", "ws://127.0.0.1:8900/")

BYBIT_LINEAR = {
    "symbol": "BTCUSDT",
    "contractType": "LinearPerpetual",
    "status": "Trading",
    "baseCoin": "BTC",
    "quoteCoin": "USDT",
    "settleCoin": "USDT",
    "priceFilter": {"tickSize": "0.10"},
    "lotSizeFilter": {"qtyStep": "0.001", "minOrderQty": "0.001"},
}
BYBIT_SPOT = BYBIT_LINEAR | {"lotSizeFilter": {"basePrecision": "0.000001"}}
BINANCE_SPOT = {"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT"}
BINANCE_LINEAR = BINANCE_SPOT | {
    "marginAsset": "USDT",
    "contractType": "PERPETUAL",
    "deliveryDate": 4133404800000,
}
KRAKEN_PAIR = {
    "altname": "XBTUSD",
    "wsname": "XBT/USD",
    "base": "XXBT",
    "quote": "ZUSD",
    "pair_decimals": 1,
    "lot_decimals": 8,
    "leverage_buy": [],
    "fees": [[0, 0.26]],
    "fees_maker": [[0, 0.16]],
    "status": "online",
}

OKX_SWAP = {
    "instId": "BTC-USDT-SWAP",
    "instType": "SWAP",
    "uly": "BTC-USDT",
    "settleCcy": "USDT",
    "state": "live",
    "ctVal": "0.01",
    "ctMult": "1",
    "ctValCcy": "BTC",
    "lotSz": "0.01",
    "tickSz": "0.1",
}
OKX_SPOT = {
    "instId": "BTC-USDT",
    "instType": "SPOT",
    "baseCcy": "BTC",
    "quoteCcy": "USDT",
    "state": "live",
    "lotSz": "0.00000001",
    "tickSz": "0.1",
}


def answer(url: str) -> object:
    """Answer a REST request as little as ccxt is content with."""
    if "instruments-info" in url:
        category = "spot" if "category=spot" in url else "linear"
        row = BYBIT_SPOT if category == "spot" else BYBIT_LINEAR
        rows = [] if "PreLaunch" in url else [row]
        return {"retCode": 0, "retMsg": "OK", "result": {"category": category, "list": rows}, "time": 1}
    if "exchangeInfo" in url:
        return {"symbols": [BINANCE_LINEAR if "/fapi/" in url else BINANCE_SPOT]}
    if "AssetPairs" in url:
        return {"error": [], "result": {"XXBTZUSD": KRAKEN_PAIR}}
    if "/0/public/Assets" in url:
        asset = {"altname": "XBT", "decimals": 10, "display_decimals": 5, "status": "enabled"}
        return {"error": [], "result": {"XXBT": asset, "ZUSD": asset | {"altname": "USD"}}}
    for kind, row in (("SPOT", OKX_SPOT), ("SWAP", OKX_SWAP)):
        if url.endswith(f"/api/v5/public/instruments?instType={kind}"):
            return {"code": "0", "msg": "", "data": [row]}
    raise AssertionError(f"nobody expected {url}")


class Stop(Exception):  # noqa: N818  (ends a watch before it dials)
    pass


def really_dialled(exchange: str, environment: Environment, bases: Bases) -> list[str]:
    """Let ccxt load its markets and watch a book and bars, and list every address it asks for."""
    urls: list[str] = []

    async def fetch(url: str, *_args: object, **_kwargs: object) -> object:
        urls.append(url)
        return answer(url)

    async def watch(url: str, *_args: object, **_kwargs: object) -> None:
        urls.append(url)
        raise Stop

    async def run() -> None:
        client = getattr(ccxt.pro, exchange)(
            {**ccxt_config(exchange, environment, bases), "enableRateLimit": False}
        )
        apply_environment(client, exchange, environment)
        client.fetch, client.watch, client.watch_multiple = fetch, watch, watch
        try:
            await client.load_markets()
            for symbol in client.symbols:
                with pytest.raises(Stop):
                    await client.watch_order_book_for_symbols([symbol])
                with pytest.raises(Stop):
                    await client.watch_ohlcv(symbol, "1m")
        finally:
            await client.close()

    asyncio.run(run())
    return urls


EXPECTED: Mapping[tuple[str, Environment], list[str]] = {
    ("bybit", "live"): [
        "https://api.bybit.com",
        "wss://stream.bybit.com/v5/public/spot",
        "wss://stream.bybit.com/v5/public/linear",
    ],
    ("bybit", "testnet"): [
        "https://api-testnet.bybit.com",
        "wss://stream-testnet.bybit.com/v5/public/spot",
        "wss://stream-testnet.bybit.com/v5/public/linear",
    ],
    ("bybit", "demo"): [
        "https://api-demo.bybit.com",
        "wss://stream.bybit.com/v5/public/spot",
        "wss://stream.bybit.com/v5/public/linear",
    ],
    ("binance", "live"): [
        "https://api.binance.com/api/v3",
        "https://fapi.binance.com/fapi/v1",
        "wss://stream.binance.com:9443/ws",
        "wss://fstream.binance.com/public/ws",
        "wss://fstream.binance.com/market/ws",
    ],
    ("binance", "testnet"): [
        "https://testnet.binance.vision/api/v3",
        "https://testnet.binancefuture.com/fapi/v1",
        "wss://stream.testnet.binance.vision/ws",
        "wss://fstream.binancefuture.com/public/ws",
        "wss://fstream.binancefuture.com/market/ws",
    ],
    ("binance", "demo"): [
        "https://demo-api.binance.com/api/v3",
        "https://demo-fapi.binance.com/fapi/v1",
        "wss://demo-stream.binance.com/ws",
        "wss://fstream.binancefuture.com/public/ws",
        "wss://fstream.binancefuture.com/market/ws",
    ],
    ("kraken", "live"): ["https://api.kraken.com", "wss://ws.kraken.com/v2"],
    ("okx", "live"): [
        "https://www.okx.com",
        "wss://ws.okx.com:443/ws/v5/public",
        "wss://ws.okx.com:443/ws/v5/business",
    ],
    ("okx", "testnet"): [
        "https://www.okx.com",
        "wss://wspap.okx.com:443/ws/v5/public",
        "wss://wspap.okx.com:443/ws/v5/business",
    ],
}
EXPECTED_LOCAL = {
    "bybit": [
        "http://127.0.0.1:8900",
        "ws://127.0.0.1:8900/v5/public/spot",
        "ws://127.0.0.1:8900/v5/public/linear",
    ],
    "binance": [
        "http://127.0.0.1:8900/api/v3",
        "http://127.0.0.1:8900/fapi/v1",
        "ws://127.0.0.1:8900/stream/ws",
        "ws://127.0.0.1:8900/fut/public/ws",
        "ws://127.0.0.1:8900/fut/market/ws",
    ],
    "kraken": ["http://127.0.0.1:8900", "ws://127.0.0.1:8900/kraken/v2"],
    "okx": [
        "http://127.0.0.1:8900",
        "ws://127.0.0.1:8900/okx/ws/v5/public",
        "ws://127.0.0.1:8900/okx/ws/v5/business",
    ],
}


@pytest.mark.parametrize("bases", [OWN, LOCAL], ids=["own", "local"])
@pytest.mark.parametrize(("exchange", "environment"), EXPECTED)
def test_ccxt_dials_what_is_listed_and_nothing_else(
    exchange: str, environment: Environment, bases: Bases
) -> None:
    expected = EXPECTED[exchange, environment] if bases is OWN else EXPECTED_LOCAL[exchange]
    assert dialled(exchange, environment, bases) == expected

    urls = really_dialled(exchange, environment, bases)

    used = {next((base for base in expected if url.startswith(base)), url) for url in urls}
    assert used == set(expected)


def test_every_environment_of_every_exchange_is_tried() -> None:
    offered = {(name, environment) for name, facts in EXCHANGES.items() for environment in facts.environments}
    assert offered == set(EXPECTED)


def test_one_base_alone_replaces_only_its_own() -> None:
    assert dialled("bybit", "testnet", Bases(ws="ws://127.0.0.1:1"), ["linear"]) == [
        "https://api-testnet.bybit.com",
        "ws://127.0.0.1:1/v5/public/linear",
    ]


@pytest.mark.parametrize(
    "base",
    [
        "wss://data-stream.binance.vision/ws",
        "wss://stream.binance.com:443/ws",
        "wss://stream.binance.com:443/stream",
        "ws://127.0.0.1:8900/mirror/ws/",
    ],
)
def test_a_base_of_binance_that_is_an_address_is_dialled_as_it_stands(base: str) -> None:
    address = base.rstrip("/")
    assert dialled("binance", "live", Bases(ws=base), ["spot"]) == ["https://api.binance.com/api/v3", address]
    for channel in ("book.50", "ohlcv.1m"):
        assert websocket("binance", "live", Bases(ws=base), "spot", channel) == address
        assert websocket("binance", "live", Bases(ws=base), "linear", channel) == address
    urls = ccxt_config("binance", "live", Bases(ws=base))["urls"]
    assert urls == {"api": {"ws": {"spot": address, "linear": address}}}


def test_a_base_of_another_exchange_that_ends_so_is_a_base() -> None:
    (url,) = [one for one in dialled("kraken", "live", Bases(ws="ws://127.0.0.1/ws")) if one.startswith("ws")]
    assert url == "ws://127.0.0.1/ws/kraken/v2"


def test_only_the_kinds_asked_for_are_dialled() -> None:
    assert dialled("binance", "live", OWN, ["spot"]) == [
        "https://api.binance.com/api/v3",
        "wss://stream.binance.com:9443/ws",
    ]
    assert ccxt_config("bybit", "live", OWN, ["linear"]) == {
        "options": {"fetchMarkets": {"types": ["linear"]}}
    }


@pytest.mark.parametrize("environment", ["testnet", "demo"])
def test_kraken_has_one_environment_and_says_so(environment: Environment) -> None:
    problem = f"kraken has no {environment} environment, expected live"
    client = ccxt.pro.kraken()
    for attempt in (
        lambda: ccxt_config("kraken", environment),
        lambda: dialled("kraken", environment),
        lambda: apply_environment(client, "kraken", environment),
    ):
        with pytest.raises(SettingsError) as caught:
            attempt()
        assert caught.value.problems == [problem]


def test_an_unknown_exchange_is_told_which_are_known() -> None:
    with pytest.raises(SettingsError) as caught:
        dialled("nowhere", "live")
    assert caught.value.problems == [
        "exchange 'nowhere' is not known, expected one of bybit, binance, kraken, okx"
    ]


@pytest.mark.parametrize(
    ("exchange", "kind", "levels", "depth"),
    [
        ("bybit", "linear", 1, 1),
        ("bybit", "linear", 2, 50),
        ("bybit", "spot", 50, 50),
        ("bybit", "linear", 51, 200),
        ("bybit", "linear", 1000, 1000),
        ("binance", "spot", 20, 20),
        ("kraken", "spot", 20, 25),
    ],
)
def test_the_smallest_depth_that_holds_the_levels(
    exchange: str, kind: MarketKind, levels: int, depth: int
) -> None:
    assert smallest_depth_holding(exchange, kind, levels) == depth


@pytest.mark.parametrize(
    ("exchange", "kind", "levels", "problem"),
    [
        ("bybit", "linear", 1001, "bybit linear has no book of 1001 levels, expected at most 1000"),
        ("kraken", "linear", 10, "kraken has no linear markets, expected spot"),
    ],
)
def test_levels_that_no_depth_holds(exchange: str, kind: MarketKind, levels: int, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        smallest_depth_holding(exchange, kind, levels)
    assert caught.value.problems == [problem]


@pytest.mark.parametrize(
    ("symbol", "kind"),
    [
        ("BTC/USDT", "spot"),
        ("BTC/USDT:USDT", "linear"),
        ("BTC/USDT:USDT-260327", "linear"),
        ("BTC/USD:BTC", "inverse"),
        ("BTC/USD:BTC-260327-90000-C", "option"),
        ("BTCUSDT", None),
        ("/USDT", None),
        ("", None),
    ],
)
def test_the_kind_that_a_name_tells(symbol: str, kind: str | None) -> None:
    assert kind_of(symbol) == kind


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_intervals_are_those_that_ccxt_knows(exchange: str) -> None:
    known = dict(getattr(ccxt.pro, exchange)().timeframes)
    if exchange == "kraken":
        known["15d"] = known.pop("2w")
        assert known["15d"] == 15 * 24 * 60
    assert set(EXCHANGES[exchange].intervals) <= set(known)
