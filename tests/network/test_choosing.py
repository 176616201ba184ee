"""Which market a name means, of all that an exchange has."""

from types import SimpleNamespace
from typing import Any

import pytest

from collector.errors import UserError
from collector.exchanges.exchange import MarketKind
from collector.exchanges.meaning import kinds_in_order
from collector.network.choosing import collected, look_up
from collector.network.markets import Markets


def market(symbol: str, market_id: str, **more: Any) -> dict[str, Any]:
    kind = "inverse" if symbol.endswith(":BTC") else "linear" if ":" in symbol else "spot"
    kinds = {one: one == kind for one in ("spot", "linear", "inverse")}
    base = symbol.partition("/")[0]
    return {"symbol": symbol, "id": market_id, "base": base, "info": {}, "expiry": None, **kinds, **more}


DATED = "BTC/USDT:USDT-260327"
LISTED = [
    market("BTC/USDT", "BTCUSDT"),
    market(DATED, "BTCUSDT-27MAR26", expiry=1_774_569_600_000),  # before the perpetual: order must not matter
    market("BTC/USDT:USDT", "BTCUSDT"),
    market("BTC/USDC:USDC", "BTCPERP"),
    market("BTC/USDC", "BTCUSDC"),
    market("BTC/USD:BTC", "BTCUSD"),
    market("FOO/USDT", "FOOUSDT"),
    market("BAR/USDT:USDT", "BARUSDT"),
    market("kPEPE/USDC", "kPEPEUSDC"),
]


def markets(exchange: str = "bybit", preferred: MarketKind | None = None) -> Markets:
    loaded = SimpleNamespace(markets={one["symbol"]: one for one in LISTED})
    return Markets(loaded, kinds_in_order(exchange, preferred))


@pytest.mark.parametrize(
    ("exchange", "preferred", "name", "symbols"),
    [
        ("bybit", None, "BTCUSDT", ["BTC/USDT:USDT", "BTC/USDT"]),
        ("bybit", None, "btcusdt", ["BTC/USDT:USDT", "BTC/USDT"]),
        ("bybit", "spot", "BTCUSDT", ["BTC/USDT", "BTC/USDT:USDT"]),
        ("binance", None, "BTCUSDT", ["BTC/USDT", "BTC/USDT:USDT"]),
        ("binance", "linear", "BTCUSDT", ["BTC/USDT:USDT", "BTC/USDT"]),
        ("bybit", None, "BTCUSDC", ["BTC/USDC:USDC", "BTC/USDC"]),
        ("bybit", None, "BTCPERP", ["BTC/USDC:USDC"]),
        ("bybit", None, "FOOUSDT", ["FOO/USDT"]),
        ("binance", None, "BARUSDT", ["BAR/USDT:USDT"]),
        ("bybit", None, "BTC/USDT", ["BTC/USDT"]),  # a unified name is exact
        ("binance", "spot", "BTC/USDT:USDT", ["BTC/USDT:USDT"]),
        ("bybit", None, "btc/usdt:usdt", ["BTC/USDT:USDT"]),
        ("bybit", None, "KPEPE/usdc", ["kPEPE/USDC"]),
        ("bybit", None, DATED, [DATED]),
        ("bybit", None, "BTCUSDT-27MAR26", [DATED]),
    ],
)
def test_a_name_means_the_preferred_kind_that_has_it(
    exchange: str, preferred: MarketKind | None, name: str, symbols: list[str]
) -> None:
    assert [one["symbol"] for one in markets(exchange, preferred).choose(name)] == symbols


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("BAR/USDT", "BAR/USDT:USDT"),  # not the perpetual in the place of a spot market that is not there
        ("BTC/USDX", "BTC/USDT, BTC/USDT:USDT, BTC/USDC:USDC"),
        ("NOPE", "none"),
    ],
)
def test_a_name_that_means_nothing_is_told_its_neighbours(name: str, near: str) -> None:
    with pytest.raises(UserError, match=f"symbol '{name}' is not a market there; similar names: {near}"):
        markets().find(name)


def test_what_is_chosen_repeated_or_unknown_is_told() -> None:
    found = look_up(markets(), ["BTCUSDT", "BTCPERP", "BTC/USDC:USDC", "FOOUSDT", "BTC/USD:BTC", "NOPE"])
    assert [(kind, one["symbol"]) for kind, one in found.markets] == [
        ("linear", "BTC/USDT:USDT"),
        ("linear", "BTC/USDC:USDC"),
        ("spot", "FOO/USDT"),
    ]
    (choice,) = found.choices
    assert (choice.name, choice.symbol, choice.kind) == ("BTCUSDT", "BTC/USDT:USDT", "linear")
    assert choice.others == (("BTC/USDT", "spot"),)
    assert found.repeated == {"BTC/USDC:USDC": ["BTCPERP", "BTC/USDC:USDC"]}
    assert [name for name, _ in found.unknown] == ["BTC/USD:BTC", "NOPE"]


def test_what_is_to_be_left_is_the_kind_that_is_collected() -> None:
    both = {"BTC/USDT", "BTC/USDT:USDT"}
    assert collected(markets(), "BTCUSDT", both) == "BTC/USDT:USDT"
    assert collected(markets(), "BTCUSDT", {"BTC/USDT"}) == "BTC/USDT"
    assert collected(markets(), "BTCUSDT", {"ETH/USDT"}) is None
