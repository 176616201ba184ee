"""Distance, clocks that are off, silences and bursts: what lies between a client and a real exchange."""

from __future__ import annotations

import asyncio
import json
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import aiohttp
import pytest

from collector.simulator import Simulator
from collector.simulator.conditions import Conditions, Way
from collector.simulator.tempos import Rhythm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulator.conftest import Client

BTC = "BTC/USDT:USDT"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(symbols={"bybit": [BTC], "binance": [BTC]}, updates_per_s=0.0) as running:
        yield running


def test_an_answer_takes_both_ways(simulator: Simulator, client: Client) -> None:
    simulator.faults.latency("bybit", 150.0)
    began_s = time.monotonic()
    client.send(op="ping")
    assert client.receive()["ret_msg"] == "pong"
    assert time.monotonic() - began_s >= 0.3
    began_s = time.monotonic()
    client.get("/v5/market/time")
    assert time.monotonic() - began_s >= 0.3


def test_a_message_is_on_its_way_and_recorded_when_it_is_there(simulator: Simulator, client: Client) -> None:
    simulator.faults.latency("bybit", 200.0)
    made_ns = time.time_ns()
    simulator.publish(1)  # returns once it was put on the socket
    client.receive()
    assert simulator.truth.sent("bybit", BTC, "book.50")[-1].sent_ns - made_ns >= 0.19e9


def test_the_distance_is_of_one_exchange(simulator: Simulator, client: Client) -> None:
    simulator.faults.latency("binance", 60_000.0)
    client.send(op="ping")
    assert client.receive(10)["ret_msg"] == "pong"


def test_nothing_overtakes_in_spite_of_jitter(simulator: Simulator, client: Client) -> None:
    simulator.faults.latency("bybit", 1.0, 5.0)
    simulator.publish(100)
    numbers = [client.receive()["data"]["u"] for _ in range(100)]
    assert numbers == list(range(numbers[0], numbers[0] + 100))


def test_a_close_comes_after_what_is_on_its_way_and_a_reset_loses_it(
    simulator: Simulator, client: Client, connect: type[Client]
) -> None:
    simulator.faults.latency("bybit", 300.0)
    client.send(op="ping")
    simulator.faults.close("bybit", 1012)
    closing = client.receive_message()
    assert (closing.type, closing.data) == (aiohttp.WSMsgType.CLOSE, 1012)
    with connect(simulator, "/v5/public/linear") as other:
        other.send(op="ping")
        simulator.faults.reset("bybit")
        assert other.receive_message().type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}


def test_delays_depend_on_the_seed() -> None:
    def drawn(seed: str) -> list[float]:
        conditions = Conditions(seed)
        conditions.latency_ms, conditions.jitter_ms = 20.0, 5.0
        return [conditions.delay_s() for _ in range(1000)]

    first = drawn("7")
    assert first == drawn("7") != drawn("8")
    assert min(first) >= 0.020
    assert 0.024 < sum(first) / 1000 < 0.026
    assert max(first) > 0.045


def test_a_way_ends_with_what_is_on_it() -> None:
    arrived: list[int] = []

    async def run() -> None:
        way = Way(lambda: 60.0)
        for number in range(3):
            way.send(lambda number=number: arrived.append(number))
        assert arrived == []
        way.end()

    asyncio.run(run())
    assert arrived == [0, 1, 2]


def test_clocks_are_off_each_by_its_own(simulator: Simulator, client: Client) -> None:
    simulator.faults.clock(-2.0, "bybit")
    simulator.faults.clock(5.0, "binance")
    now_ms = time.time() * 1000
    bybit = json.loads(client.get("/v5/market/time")[2])["time"]
    binance = json.loads(client.get("/fapi/v1/time")[2])["serverTime"]
    assert abs(bybit - now_ms + 2000) < 1500
    assert abs(binance - now_ms - 5000) < 1500
    simulator.publish(1)
    assert abs(client.receive()["ts"] - time.time() * 1000 + 2000) < 1500


def test_an_engine_does_not_go_back_with_its_clock(simulator: Simulator, client: Client) -> None:
    simulator.faults.clock(1.5, "bybit")
    simulator.publish(1)
    simulator.faults.clock(-1.5, "bybit")
    simulator.publish(1)
    first, second = client.receive(), client.receive()
    assert second["cts"] == first["cts"]
    assert second["ts"] < first["ts"]
    states = simulator.truth.books("bybit", BTC, "book.50")
    assert [state.exchange_ms for state in states[1:]] == [first["cts"]] * 2


def test_a_market_can_be_dead_quiet_while_another_bursts(connect: type[Client]) -> None:
    eth = "ETH/USDT:USDT"
    with (
        Simulator(symbols={"bybit": [BTC, eth]}, updates_per_s=50.0) as simulator,
        connect(simulator, "/v5/public/linear") as client,
    ):
        simulator.faults.tempo("bybit", BTC, 0, 600.0)
        simulator.faults.tempo("bybit", eth, 10.0, 600.0)
        before = {symbol: len(simulator.truth.books("bybit", symbol, "book.50")) for symbol in (BTC, eth)}
        client.send(op="subscribe", args=["orderbook.50.ETHUSDT"])
        for _ in range(300):
            client.receive()
        after = {symbol: len(simulator.truth.books("bybit", symbol, "book.50")) for symbol in (BTC, eth)}
        assert after[BTC] == before[BTC]
        assert after[eth] > before[eth] + 250
        simulator.faults.tempo("bybit", BTC, 1.0, 0.0)
        client.send(op="subscribe", args=["orderbook.50.BTCUSDT"])
        while "BTCUSDT" not in client.receive_text():
            pass


def test_a_lively_market_has_bursts_and_silences_of_minutes_from_its_seed() -> None:
    def paces(seed: str, *, may_fall_silent: bool = True) -> list[float]:
        rhythm = Rhythm(seed, "lively", may_fall_silent=may_fall_silent)
        return [rhythm.advance(1.0) for _ in range(7200)]

    first = paces("7")
    assert first == paces("7") != paces("8")
    assert max(first) == 3.0
    edges = [second for second, (one, next_) in enumerate(pairwise(first)) if bool(one) != bool(next_)]
    silences = [end - start for start, end in zip(edges[::2], edges[1::2], strict=False)]
    assert len(silences) > 5
    assert min(silences) >= 59
    assert 0.0 not in paces("7", may_fall_silent=False)
    assert {Rhythm("7", "steady", may_fall_silent=True).advance(1.0) for _ in range(100)} == {1.0}
