"""The names of exchanges that nobody wrote a file for are those of the pinned ccxt.pro."""

import ccxt.pro
import pytest

from collector.errors import SettingsError
from collector.exchanges.ccxt_names import NAMES
from collector.exchanges.protocol import EXCHANGES, exchange_of
from collector.exchanges.venues import VENUES, OwnAddresses, rebased, venue


def test_every_exchange_of_ccxt_pro_is_verified_or_named() -> None:
    assert {*NAMES, *VENUES} == set(ccxt.pro.exchanges)
    assert not NAMES & set(VENUES)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_has_a_book_and_addresses_that_can_be_replaced(name: str) -> None:
    exchange = getattr(ccxt.pro, name)()
    if not exchange.has["watchOrderBook"]:
        pytest.skip("has no book on its websocket")
    assert exchange_of(name).unified

    class Elsewhere:
        rest, ws = "http://h:1/", "ws://h:2"

    def addresses(tree: object) -> list[str]:
        if isinstance(tree, str):
            return [tree]
        return [each for below in (tree or {}).values() for each in addresses(below)]  # type: ignore[attr-defined]

    before, after = exchange.urls["api"], rebased(exchange.urls["api"], Elsewhere())
    assert rebased(before, OwnAddresses()) == before
    for was, is_now in zip(addresses(before), addresses(after), strict=True):
        scheme = was.partition("://")[0]
        if scheme in {"ws", "wss"}:
            assert is_now.startswith("ws://h:2"), was
        elif scheme in {"http", "https"}:
            assert is_now.startswith("http://h:1"), was


def test_verified_ones_are_not_unified_and_unheard_of_ones_are_told() -> None:
    assert not any(exchange_of(name).unified for name in EXCHANGES)
    with pytest.raises(SettingsError, match="'nowhere' is not known"):
        venue("nowhere")
