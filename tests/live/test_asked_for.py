"""What is asked for is remembered by the names in which it was asked."""

from collections.abc import Sequence

from collector.clock import Clock
from collector.events import EventBus
from collector.live.asked_for import AskedFor


def asked_for(names: Sequence[str], channels: Sequence[str] = ("trade",)) -> AskedFor:
    return AskedFor("bybit", names, channels, clock=Clock(), events=EventBus())


def test_a_name_stands_for_itself_until_it_is_known_what_it_means() -> None:
    asked = asked_for(["BTCUSDT", "BTC/USDT:USDT", "GONE"], ["trade", "bbo"])
    assert [key.symbol for key in asked.keys[::2]] == ["BTCUSDT", "BTC/USDT:USDT", "GONE"]
    meant = {"BTCUSDT": "BTC/USDT:USDT", "BTC/USDT:USDT": "BTC/USDT:USDT"}
    asked.ask(["BTCUSDT", "BTC/USDT:USDT", "GONE"], meant)
    assert asked.keys == [
        ("bybit", symbol, channel) for symbol in ("BTC/USDT:USDT", "GONE") for channel in ("trade", "bbo")
    ]


def test_what_is_left_is_asked_for_no_longer_under_any_of_its_names() -> None:
    asked = asked_for(["BTCUSDT"])
    asked.ask(["btc/usdt:usdt", "ETHUSDT"], {"btc/usdt:usdt": "BTC", "ETHUSDT": "ETH"})
    asked.ask(["BTCUSDT"], {"BTCUSDT": "BTC"})
    asked.forget(["BTCUSDT"], {"BTC"})
    assert (asked.names, [key.symbol for key in asked.keys]) == (["ETHUSDT"], ["ETH"])


def test_a_name_without_a_market_is_forgotten_with_what_was_told_of_it() -> None:
    asked = asked_for(["GONE", "ETHUSDT"])
    asked.refuse("GONE", "bad_symbol", "no such market", awaited=True)
    assert asked.refused == ["bybit: no such market"]
    asked.forget(["GONE"], set())
    assert (asked.names, asked.refused, list(asked.pending)) == (["ETHUSDT"], [], [])


def test_nothing_is_told_of_a_market_that_is_left() -> None:
    """Else health would stay degraded for a market that nobody wants."""
    asked = asked_for(["BTCUSDT"])
    asked.ask(["BTCUSDT"], {"BTCUSDT": "BTC/USDT"})
    asked.note_listed([], ["BTC/USDT"])
    asked.refuse("BTC/USDT book.7", "bad_channel", "no such depth", "BTC/USDT")
    asked.refuse("NEVER", "bad_symbol", "no such market")  # asked to leave what was never collected
    assert len(asked.refused) == 3
    asked.forget(["BTCUSDT", "NEVER"], {"BTC/USDT", None})
    assert asked.refused == []
