"""The exchanges that nobody wrote a folder for are the others of the pinned ccxt.pro."""

import ccxt.pro
import pytest

from collector.errors import SettingsError
from collector.exchanges.addresses import Endpoints, rebased
from collector.exchanges.registry import EXCHANGES, UNVERIFIED_NAMES, exchange_of


def test_every_exchange_of_ccxt_pro_is_verified_or_named() -> None:
    assert {*UNVERIFIED_NAMES, *EXCHANGES} == set(ccxt.pro.exchanges)
    assert not UNVERIFIED_NAMES & set(EXCHANGES)


@pytest.mark.parametrize("name", sorted(UNVERIFIED_NAMES))
def test_each_has_a_book_and_addresses_that_can_be_replaced(name: str) -> None:
    exchange = getattr(ccxt.pro, name)()
    if not exchange.has["watchOrderBook"]:
        pytest.skip("has no book on its websocket")
    assert not exchange_of(name).is_verified

    class Elsewhere:
        rest, ws = "http://h:1/", "ws://h:2"

    def addresses(tree: object) -> list[str]:
        if isinstance(tree, str):
            return [tree]
        return [each for below in (tree or {}).values() for each in addresses(below)]  # type: ignore[attr-defined]

    before, after = exchange.urls["api"], rebased(exchange.urls["api"], Elsewhere())
    assert rebased(before, Endpoints()) == before
    for was, is_now in zip(addresses(before), addresses(after), strict=True):
        scheme = was.partition("://")[0]
        if scheme in {"ws", "wss"}:
            assert is_now.startswith("ws://h:2"), was
        elif scheme in {"http", "https"}:
            assert is_now.startswith("http://h:1"), was


def test_those_with_a_folder_are_verified_and_unheard_of_ones_are_told() -> None:
    assert all(exchange_of(name).is_verified for name in EXCHANGES)
    with pytest.raises(SettingsError, match="'nowhere' is not known"):
        exchange_of("nowhere")
