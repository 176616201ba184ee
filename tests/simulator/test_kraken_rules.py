"""What Kraken refuses and how, and messages of it that are right and yet unexpected."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from collector.simulator import Simulator
from collector.simulator.exchanges.kraken import checksum

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulator.conftest import Client

BTC, ETH = "BTC/USD", "ETH/USD"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(symbols={"kraken": [BTC, ETH]}, updates_per_s=0.0) as running:
        yield running


@pytest.fixture
def client(simulator: Simulator, connect: type[Client]) -> Iterator[Client]:
    with connect(simulator, "/kraken/v2") as opened:
        assert opened.receive()["channel"] == "status"
        yield opened


def ask(client: Client, channel: str, symbols: list[str], method: str = "subscribe", **more: Any) -> None:
    client.send(method=method, params={"channel": channel, "symbol": symbols, **more}, req_id=7)


def answer(client: Client) -> dict[str, Any]:
    return heard(client, lambda message: "method" in message)


def on(client: Client, channel: str, kind: str = "update") -> dict[str, Any]:
    return heard(client, lambda message: message.get("channel") == channel and message.get("type") == kind)


def heard(client: Client, is_wanted: Any) -> dict[str, Any]:
    while True:
        message = client.receive()
        if is_wanted(message):
            return message


def test_one_interval_of_bars_a_symbol_and_connection(
    simulator: Simulator, client: Client, connect: type[Client]
) -> None:
    ask(client, "ohlc", [BTC], interval=1)
    assert answer(client)["success"]
    ask(client, "ohlc", [BTC], interval=5)
    refused = answer(client)
    assert refused["error"] == "Already subscribed to one ohlc interval on this symbol"
    assert (refused["success"], refused["symbol"], refused["req_id"]) == (False, BTC, 7)
    ask(client, "ohlc", [ETH], interval=5)
    assert answer(client)["success"]
    with connect(simulator, "/kraken/v2") as other:
        ask(other, "ohlc", [BTC], interval=5)
        assert answer(other)["success"]


def test_another_interval_is_free_once_the_first_is_left(client: Client) -> None:
    for method, minutes in (("subscribe", 1), ("unsubscribe", 1), ("subscribe", 5)):
        ask(client, "ohlc", [BTC], method, interval=minutes)
        assert answer(client)["success"], (method, minutes)


def test_what_is_there_already_and_what_is_not_is_refused_in_words(client: Client) -> None:
    ask(client, "book", [BTC], depth=10)
    assert answer(client)["success"]
    ask(client, "book", [BTC], depth=10)
    assert answer(client)["error"] == "Already subscribed"
    ask(client, "book", ["NO/BODY"], depth=10)
    assert answer(client)["error"] == "Currency pair not supported NO/BODY"


def test_too_many_requests_a_second_are_refused_once_for_all_their_symbols(
    simulator: Simulator, client: Client
) -> None:
    simulator.faults.message_allowance("kraken", 2)
    for channel in ("trade", "book", "ticker"):
        ask(client, channel, [BTC, ETH])
    answers = [answer(client) for _ in range(5)]
    assert [each["success"] for each in answers] == [True, True, True, True, False]
    assert answers[-1]["error"] == "Exceeded msg rate"
    assert "symbol" not in answers[-1]


def test_the_limit_of_requests_falls_as_the_load_rises(simulator: Simulator, client: Client) -> None:
    simulator.faults.message_allowance("kraken", 4)
    simulator._world.exchange("kraken").load = 4.0
    for channel in ("trade", "book"):
        ask(client, channel, [BTC])
    assert [answer(client)["success"] for _ in range(2)] == [True, False]


def test_the_limit_of_requests_is_lifted(simulator: Simulator, client: Client) -> None:
    simulator.faults.message_allowance("kraken", 1)
    simulator.faults.message_allowance("kraken", None)
    for channel in ("trade", "book", "ticker"):
        ask(client, channel, [BTC])
    assert [answer(client)["success"] for _ in range(3)] == [True] * 3


@pytest.mark.parametrize(
    "system", ["maintenance", "cancel_only", "post_only", "limit_only", "online", "asleep"]
)
def test_a_status_is_announced_and_greets_those_who_come_later(
    simulator: Simulator, client: Client, connect: type[Client], system: str
) -> None:
    assert simulator.faults.status("kraken", system) == 1
    assert on(client, "status")["data"][0]["system"] == system
    with connect(simulator, "/kraken/v2") as later:
        assert later.receive()["data"][0]["system"] == system
        _, _, body = later.get("/0/public/SystemStatus")
    assert json.loads(body)["result"]["status"] == system


def test_an_update_may_change_nothing_under_the_right_checksum(simulator: Simulator, client: Client) -> None:
    ask(client, "book", [BTC], depth=10)
    snapshot = on(client, "book", "snapshot")["data"][0]
    simulator.faults.unchanged_update("kraken", BTC, "book.10")
    update = on(client, "book")["data"][0]
    assert update["checksum"] == snapshot["checksum"]
    assert update["bids"] == snapshot["bids"][:1]
    assert update["asks"] == []
    assert len(simulator.truth.books("kraken", BTC, "book.10")) == 1


def test_two_updates_of_a_market_may_share_a_frame(simulator: Simulator, client: Client) -> None:
    ask(client, "book", [BTC], depth=10)
    on(client, "book", "snapshot")
    simulator.faults.two_in_one_frame("kraken", BTC, "book.10")
    first, second = on(client, "book")["data"]
    assert first["symbol"] == second["symbol"] == BTC
    feed = simulator._world.feeds["kraken", BTC]
    markets = [feed.market_at(step) for step in (1, 2)]
    assert [first["checksum"], second["checksum"]] == [checksum(each.bids, each.asks) for each in markets]
    assert len(simulator.truth.sent("kraken", BTC, "book.10")) == 2


def test_frames_about_nothing_that_was_asked_for(simulator: Simulator, client: Client) -> None:
    assert simulator.faults.stray_frame("kraken") == 1
    assert client.receive() == {"channel": "ticker", "type": "update", "data": []}
