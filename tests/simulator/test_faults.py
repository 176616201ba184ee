"""Each fault, seen on the wire by somebody who connects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import pytest

from collector.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulator.conftest import Client

BTC = "BTC/USDT:USDT"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(symbols={"bybit": [BTC]}, updates_per_s=0.0) as running:
        yield running


@pytest.fixture
def client(simulator: Simulator, connect: type[Client]) -> Iterator[Client]:
    """A client with the 50-level book and its snapshot read."""
    with connect(simulator, "/v5/public/linear") as opened:
        opened.send(op="subscribe", args=["orderbook.50.BTCUSDT"])
        assert opened.receive()["success"]
        assert opened.receive()["type"] == "snapshot"
        yield opened


def updates(client: Client, count: int) -> list[int]:
    return [client.receive()["data"]["u"] for _ in range(count)]


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 4000])
def test_close_with_a_code(simulator: Simulator, client: Client, code: int) -> None:
    assert simulator.faults.close("bybit", code, reason="so it is") == 1
    message = client.receive_message()
    assert (message.type, message.data, message.extra) == (aiohttp.WSMsgType.CLOSE, code, "so it is")


def test_close_without_a_word(simulator: Simulator, client: Client) -> None:
    simulator.faults.close("bybit", 1006)
    assert client.receive_message().type is aiohttp.WSMsgType.CLOSED


def test_reset(simulator: Simulator, client: Client) -> None:
    simulator.faults.reset("bybit")
    client.receive_message()
    assert isinstance(client.error(), ConnectionResetError)


def test_gap_skips_a_number(simulator: Simulator, client: Client) -> None:
    simulator.publish(1)
    simulator.faults.gap("bybit", BTC)
    simulator.publish(2)
    first, second, third = updates(client, 3)
    assert (second - first, third - second) == (2, 1)
    assert [state.sequence for state in simulator.truth.books("bybit", BTC, "book.50")[1:]] == [
        first,
        second,
        third,
    ]


def test_drop_loses_messages_that_the_truth_knows(simulator: Simulator, client: Client) -> None:
    simulator.publish(1)
    simulator.faults.drop_frame("bybit", BTC, count=2)
    simulator.publish(3)
    first, second = updates(client, 2)
    assert second - first == 3
    assert len(simulator.truth.books("bybit", BTC, "book.50")) == 5


def test_duplicate(simulator: Simulator, client: Client) -> None:
    simulator.faults.duplicate_frame("bybit", BTC)
    simulator.publish(2)
    first, second, third = updates(client, 3)
    assert (second - first, third - second) == (0, 1)


def test_reorder(simulator: Simulator, client: Client) -> None:
    simulator.faults.reorder("bybit", BTC)
    simulator.publish(3)
    first, second, third = updates(client, 3)
    assert (second - first, third - second) == (-1, 2)


def test_any_frame(simulator: Simulator, client: Client) -> None:
    simulator.faults.raw_frame("bybit", "{not json")
    simulator.faults.raw_frame("bybit", b"\x00\xff")
    assert client.receive_text() == "{not json"
    assert client.receive_message().data == b"\x00\xff"


def test_every_fault_is_on_record(simulator: Simulator, client: Client) -> None:
    simulator.faults.gap("bybit", BTC)
    (connection,) = simulator.connections()
    simulator.faults.close("bybit", 1012)
    client.receive_message()
    gap, close = simulator.truth.faults()
    assert (gap.name, gap.exchange, gap.symbol, gap.channel) == ("gap", "bybit", BTC, "book.50")
    assert (close.name, close.connection, close.detail) == ("close", connection.number, "1012")
    assert gap.at_ns <= close.at_ns
