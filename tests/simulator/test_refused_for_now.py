"""Requests to subscribe that are refused for a moment, and would be right a moment later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from collector.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulator.conftest import Client


class Place(NamedTuple):
    exchange: str
    path: str
    one: dict[str, Any]
    many: dict[str, Any]
    said: Any  # where an answer has its words
    words: str


def okx(*names: str) -> dict[str, Any]:
    return {"op": "subscribe", "args": [{"channel": "books", "instId": name} for name in names]}


def kraken(*names: str) -> dict[str, Any]:
    return {"method": "subscribe", "params": {"channel": "book", "depth": 10, "symbol": list(names)}}


PLACES = [
    Place(
        "bybit",
        "/v5/public/linear",
        {"op": "subscribe", "args": ["orderbook.50.BTCUSDT"]},
        {"op": "subscribe", "args": ["orderbook.50.BTCUSDT", "orderbook.50.ETHUSDT"]},
        lambda answer: answer["ret_msg"],
        "system busy, please try again later",
    ),
    Place(
        "binance",
        "/fut/ws",
        {"method": "SUBSCRIBE", "params": ["btcusdt@depth@100ms"], "id": 4},
        {"method": "SUBSCRIBE", "params": ["btcusdt@depth@100ms", "ethusdt@depth@100ms"], "id": 5},
        lambda answer: f"{answer['error']['code']} {answer['error']['msg']}",
        "-1008 Server is currently overloaded with other requests. Please try again in a few minutes.",
    ),
    Place(
        "kraken",
        "/kraken/v2",
        kraken("BTC/USD"),
        kraken("BTC/USD", "ETH/USD"),
        lambda answer: answer["error"],
        "Exceeded msg rate",
    ),
    Place(
        "okx",
        "/okx/ws/v5/public",
        okx("BTC-USDT-SWAP"),
        okx("BTC-USDT-SWAP", "ETH-USDT-SWAP"),
        lambda answer: answer["msg"],
        "System error. Try again later.",
    ),
]


@pytest.fixture(params=PLACES, ids=lambda place: place.exchange)
def place(request: pytest.FixtureRequest) -> Place:
    return request.param


@pytest.fixture
def simulator(place: Place) -> Iterator[Simulator]:
    names = [f"{base}/USD" if place.exchange == "kraken" else f"{base}/USDT:USDT" for base in ("BTC", "ETH")]
    with Simulator(symbols={place.exchange: names}, updates_per_s=0.0) as running:
        yield running


@pytest.fixture
def client(place: Place, simulator: Simulator, connect: type[Client]) -> Iterator[Client]:
    with connect(simulator, place.path) as opened:
        if place.exchange == "kraken":
            opened.receive()
        yield opened


def test_refused_so_many_times_and_then_taken(place: Place, simulator: Simulator, client: Client) -> None:
    simulator.faults.refuse_subscription(place.exchange, count=2)
    for _ in range(2):
        client.send(**place.one)
        assert place.said(client.receive()) == place.words
        assert simulator.connections()[0].topics == {}
    client.send(**place.one)
    client.receive()
    assert len(simulator.connections()[0].topics) == 1


def test_a_request_of_many_streams_gets_one_answer_that_names_none(
    place: Place, simulator: Simulator, client: Client
) -> None:
    simulator.faults.refuse_subscription(place.exchange)
    client.send(**place.many)
    refusal = client.receive()
    assert place.said(refusal) == place.words
    assert not {"symbol", "arg", "topic"} & set(refusal)
    client.send(**place.many)
    client.receive()
    simulator.publish(1)
    assert len(simulator.connections()[0].topics) == 2


def test_in_any_words_and_only_for_one_market(place: Place, simulator: Simulator, client: Client) -> None:
    of_eth = simulator.symbols[place.exchange][1]
    simulator.faults.refuse_subscription(place.exchange, "-1 Not just now", symbol=of_eth)
    client.send(**place.one)
    client.receive()
    assert len(simulator.connections()[0].topics) == 1
    client.send(**place.many)
    while "Not just now" not in client.receive_text():
        pass
    (fault,) = simulator.truth.faults()
    assert (fault.name, fault.detail) == ("refuse_subscription", "1 times: -1 Not just now")


def test_only_kraken_limits_requests_by_load(place: Place, simulator: Simulator) -> None:
    if place.exchange == "kraken":
        simulator.faults.message_allowance("kraken", 5)
    else:
        with pytest.raises(ValueError, match="fixed limit"):
            simulator.faults.message_allowance(place.exchange, 5)
