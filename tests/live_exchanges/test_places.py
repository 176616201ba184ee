"""Which places there are, which are chosen, where they lead."""

from __future__ import annotations

import socket
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from checking.places import Place, all_places, chosen, read_endpoints, unreachable

from collector.errors import UserError
from collector.exchanges.addresses import Endpoints
from collector.exchanges.registry import EXCHANGES


def test_every_exchange_environment_and_kind_is_there() -> None:
    expected = sum(len(one.environments) * len(one.kinds) for one in EXCHANGES.values())
    places = all_places({})
    assert len(places) == len(set(map(str, places))) == expected
    assert {"bybit:linear:demo", "binance:spot:testnet", "kraken:spot:live", "okx:spot:testnet"} <= set(
        map(str, places)
    )


@pytest.mark.parametrize("place", all_places({}), ids=str)
def test_every_channel_worth_it_is_collected_of_two_markets(place: Place) -> None:
    assert len(place.symbols) == 2
    assert {"bbo", "trade", "ohlcv.1m"} < set(place.channels)
    assert place.deepest_book in place.channels
    topics = [place.facts.topics.topic("A-B", "A/B", channel) for channel in place.channels]
    assert len(set(topics)) == len(topics)


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        ("kraken", ["kraken:spot:live"]),
        ("okx:linear,kraken", ["kraken:spot:live", "okx:linear:live", "okx:linear:testnet"]),
        ("demo:linear:bybit", ["bybit:linear:demo"]),
    ],
)
def test_places_are_chosen_by_any_of_their_words(only: str, expected: list[str]) -> None:
    assert [str(place) for place in chosen(all_places({}), only)] == expected


def test_words_that_mean_no_place_are_refused() -> None:
    with pytest.raises(UserError, match="moon not known, expected binance, bybit"):
        chosen(all_places({}), "bybit:moon")
    with pytest.raises(UserError, match="there is no such market"):
        chosen(all_places({}), "kraken:linear")


def test_endpoints_are_read_by_exchange_or_for_all() -> None:
    one = read_endpoints("bybit=http://127.0.0.1:1, okx=https://h:2")
    assert one == {
        "bybit": Endpoints("http://127.0.0.1:1", "ws://127.0.0.1:1"),
        "okx": Endpoints("https://h:2", "wss://h:2"),
    }
    places = {place.exchange: place.endpoints for place in all_places(read_endpoints("http://h:3"))}
    assert set(places.values()) == {Endpoints("http://h:3", "ws://h:3")}
    assert read_endpoints("") == {}
    with pytest.raises(UserError, match="expected http"):
        read_endpoints("moon=http://h:1")


def test_a_name_that_is_looked_up_for_ever_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    is_over = threading.Event()

    def hang(*_: object) -> None:
        is_over.wait(30)
        raise OSError("over")

    monkeypatch.setattr("checking.places.CONNECT_TIMEOUT_S", -0.9)
    monkeypatch.setattr("socket.create_connection", hang)
    why = unreachable(Place("kraken", "live", "spot"))
    is_over.set()
    assert why == "api.kraken.com:443: its name was not found within 0.1 s"


def test_an_address_that_refuses_is_unreachable() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        base = f"127.0.0.1:{listening.getsockname()[1]}"
        there = Place("bybit", "live", "spot", Endpoints(f"http://{base}", f"ws://{base}"))
        assert unreachable(there) is None
    assert unreachable(there) == f"{base}: Connection refused"
