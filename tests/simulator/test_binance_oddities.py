"""What Binance does that no client expects at first: announced ends, trades that are none, REST ahead."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import aiohttp
import pytest

from collector.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulator.conftest import Client

BTC = "BTC/USDT:USDT"
TIMEOUT_S = 20.0


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(symbols={"binance": [BTC, "BTC/USDT"]}, updates_per_s=0.0) as running:
        yield running


@pytest.fixture
def client(simulator: Simulator, connect: type[Client]) -> Iterator[Client]:
    with connect(simulator, "/fut/ws") as opened:
        yield opened


def subscribe(client: Client, *streams: str) -> None:
    client.send(method="SUBSCRIBE", params=list(streams), id=1)
    assert client.receive() == {"result": None, "id": 1}


def test_a_shutdown_is_announced_before_the_socket_is_closed(simulator: Simulator, client: Client) -> None:
    subscribe(client, "btcusdt@bookTicker")
    assert simulator.faults.server_shutdown("binance", 0.3) == 1
    announced_s = time.monotonic()
    message = client.receive()
    assert message["e"] == "serverShutdown"
    assert abs(message["E"] - time.time() * 1000) < 60_000
    closed = client.receive_message()
    assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 1001)
    assert time.monotonic() - announced_s >= 0.25


def test_no_other_exchange_announces_it() -> None:
    with (
        Simulator(symbols={"bybit": [BTC]}, updates_per_s=0.0) as other,
        pytest.raises(ValueError, match="does not announce"),
    ):
        other.faults.server_shutdown("bybit")


def test_a_trade_that_is_none_takes_up_an_id(simulator: Simulator, client: Client) -> None:
    subscribe(client, "btcusdt@trade")
    simulator.publish(20, BTC)
    simulator.faults.placeholder_trade("binance", BTC)
    simulator.publish(20, BTC)
    true = simulator.truth.trades("binance", BTC)
    heard = [client.receive() for _ in range(len(true) + 1)]
    assert all(second["t"] == first["t"] + 1 for first, second in pairwise(heard))
    (none,) = [each for each in heard if each["X"] == "NA"]
    assert (none["e"], none["s"], none["p"], none["q"]) == ("trade", "BTCUSDT", "0", "0")
    assert [str(each["t"]) for each in heard if each is not none] == [each.trade_id for each in true]


def test_rest_and_bars_agree_with_ids_that_have_holes(simulator: Simulator, client: Client) -> None:
    simulator.publish(20, BTC)
    for _ in range(3):
        simulator.faults.placeholder_trade("binance", BTC)
    simulator.publish(20, BTC)
    true = [int(each.trade_id) for each in simulator.truth.trades("binance", BTC)]
    hole = min(set(range(true[0], true[-1])) - set(true))
    _, _, body = client.get(f"/fapi/v1/trades?symbol=BTCUSDT&limit={len(true)}")
    assert [row["id"] for row in json.loads(body)] == true
    for asked in range(hole - 1, hole + 4):
        path = f"/fapi/v1/historicalTrades?symbol=BTCUSDT&limit=3&fromId={asked}"
        _, _, body = client.get(path, headers={"X-MBX-APIKEY": "any"})
        assert [row["id"] for row in json.loads(body)] == [each for each in true if each >= asked][:3]
    _, _, body = client.get("/fapi/v1/aggTrades?symbol=BTCUSDT&limit=1")
    assert json.loads(body)[-1]["l"] == true[-1]


def test_spot_has_no_trades_that_are_none(simulator: Simulator) -> None:
    with pytest.raises(ValueError, match="that are none"):
        simulator.faults.placeholder_trade("binance", "BTC/USDT")


def test_best_prices_say_nothing_at_a_subscription(simulator: Simulator, client: Client) -> None:
    subscribe(client, "btcusdt@bookTicker")
    for kind in ("fapi/v1", "api/v3"):
        _, _, body = client.get(f"/{kind}/ticker/bookTicker?symbol=BTCUSDT")
        assert json.loads(body)["symbol"] == "BTCUSDT"
    client.send(method="LIST_SUBSCRIPTIONS", id=2)
    assert client.receive() == {"result": ["btcusdt@bookTicker"], "id": 2}
    simulator.publish(30, BTC)
    assert client.receive()["e"] == "bookTicker"


def test_rest_is_ahead_of_the_stream_by_the_batch_on_its_way(simulator: Simulator, client: Client) -> None:
    simulator.faults.batch_diffs("binance", 2000.0)
    subscribe(client, "btcusdt@depth@100ms")
    for _ in range(20):  # once is enough, but for a batch that ends just between
        simulator.publish(1, BTC)
        _, _, body = client.get("/fapi/v1/depth?symbol=BTCUSDT&limit=50")
        ahead = json.loads(body)["lastUpdateId"]
        sent = simulator.truth.sent("binance", BTC, "book.50")
        if not sent or (sent[-1].sequence or 0) < ahead:
            break
    else:
        pytest.fail("the stream was never behind REST")
    while client.receive()["u"] < ahead:
        pass
    simulator.faults.batch_diffs("binance", None)
    simulator.publish(1, BTC)
    assert client.receive()["pu"] == ahead


def test_numbers_of_futures_skip_and_pu_ties_them(simulator: Simulator, client: Client) -> None:
    subscribe(client, "btcusdt@depth@100ms")
    simulator.publish(200, BTC)
    diffs = [client.receive() for _ in range(200)]
    assert all(second["pu"] == first["u"] for first, second in pairwise(diffs))
    skips = sum(second["U"] != first["u"] + 1 for first, second in pairwise(diffs))
    assert skips > 180
