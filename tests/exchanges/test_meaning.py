"""What is meant where somebody leaves it open, before any exchange was asked."""

import pytest

from collector.errors import SettingsError
from collector.exchanges.exchange import MarketKind, kind_of
from collector.exchanges.meaning import (
    default_channel,
    default_markets,
    kind_meant,
    kinds_in_order,
    market_meant,
)
from collector.exchanges.registry import EXCHANGES


@pytest.mark.parametrize(
    ("exchange", "market", "order"),
    [
        ("bybit", None, ("linear", "spot")),
        ("bybit", "spot", ("spot", "linear")),
        ("binance", None, ("spot", "linear")),
        ("binance", "linear", ("linear", "spot")),
        ("kraken", None, ("spot",)),
        ("kraken", "linear", ("spot",)),  # refused when settings are checked
        ("okxus", None, ("spot", "linear")),
    ],
)
def test_each_exchange_has_a_first_kind_and_settings_may_say_another(
    exchange: str, market: MarketKind | None, order: tuple[MarketKind, ...]
) -> None:
    assert kinds_in_order(exchange, market) == order
    assert kind_meant(exchange, "BTCUSDT", market) == order[0]
    assert kind_meant(exchange, "BTC/USDT", market) == "spot"
    assert kind_meant(exchange, "BTC/USDT:USDT", market) == "linear"


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_the_default_markets_of_an_exchange_are_of_the_kind_they_stand_under(exchange: str) -> None:
    markets = EXCHANGES[exchange].bare_markets
    assert set(markets) == set(EXCHANGES[exchange].preferred) == set(EXCHANGES[exchange].kinds)
    for kind, symbols in markets.items():
        assert {kind_of(symbol) for symbol in symbols} == {kind}
        assert default_markets(exchange, kind) == symbols


def test_an_exchange_that_nobody_wrote_a_file_for_has_no_default_markets() -> None:
    with pytest.raises(SettingsError, match="no default markets"):
        default_markets("okxus")


@pytest.mark.parametrize(
    ("exchange", "names", "market", "channel"),
    [
        ("bybit", ["BTCUSDT"], None, "book.50"),
        ("binance", ["BTCUSDT", "BTC/USDT:USDT"], None, "book.50"),
        ("kraken", ["XBT/USD"], None, "book.100"),
        ("kraken", [], None, "book.100"),
        ("okxus", ["BTC/USDT"], None, "book.50"),
        ("okx", ["BTC/USDT"], None, "book.400"),
    ],
)
def test_the_default_channel_is_the_smallest_book_that_holds_fifty_levels(
    exchange: str, names: list[str], market: MarketKind | None, channel: str
) -> None:
    assert default_channel(exchange, names, market) == channel


def test_names_of_one_market_are_known_to_be_the_same_before_it_is_looked_up() -> None:
    same = {market_meant("bybit", name) for name in ("BTCUSDT", "btcusdt", "BTC/USDT:USDT", "btc/usdt:usdt")}
    assert len(same) == 1
    others = {"BTC/USDT", "BTC/USDC:USDC", "BTC/USD:BTC", "BTC/USDT:USDT-260327", "ETHUSDT"}
    assert len({market_meant("bybit", name) for name in others} | same) == len(others) + 1
