"""The simulator from outside: sockets, books, truth, the clock, and a clean end."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from collector.errors import UserError
from collector.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulator.conftest import Client

SYMBOL = "BTC/USDT:USDT"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(symbols={"bybit": [SYMBOL]}, updates_per_s=0.0) as running:
        yield running


def test_every_update_reaches_the_wire_and_equals_the_truth(
    simulator: Simulator, connect: type[Client]
) -> None:
    with connect(simulator, "/v5/public/linear") as client:
        client.send(op="subscribe", args=["orderbook.50.BTCUSDT"], req_id="1")
        assert client.receive()["success"]
        simulator.publish(300)
        books = simulator.truth.books("bybit", SYMBOL, "book.50")
        bids, asks, sequences = {}, {}, []
        for state in books:
            data = client.receive()["data"]
            client.apply(bids, data["b"])
            client.apply(asks, data["a"])
            sequences.append(data["u"])
            assert tuple(sorted(bids.items(), reverse=True)) == state.bids
            assert tuple(sorted(asks.items())) == state.asks
            assert data["u"] == state.sequence
        assert len(books) == 301
        assert sequences == list(range(sequences[0], sequences[0] + 301))


def test_what_was_sent_is_on_record_with_its_time(simulator: Simulator, connect: type[Client]) -> None:
    with connect(simulator, "/v5/public/linear") as client:
        client.send(op="subscribe", args=["orderbook.50.BTCUSDT"])
        client.receive()
        simulator.publish(3)
        messages = [client.receive() for _ in range(4)]
    sent = simulator.truth.sent("bybit", SYMBOL, "book.50")
    assert [(each.kind, each.sequence) for each in sent] == [(m["type"], m["data"]["u"]) for m in messages]
    assert [each.sent_ns for each in sent] == sorted(each.sent_ns for each in sent)


def test_states_can_be_read_at_random_and_nobody_need_listen(simulator: Simulator) -> None:
    simulator.publish(50)
    books = simulator.truth.books("bybit", SYMBOL, "book.10")
    assert [books[at] for at in (0, 17, -1)] == [list(books)[at] for at in (0, 17, 50)]
    assert list(books[5:9]) == list(books)[5:9]
    with pytest.raises(IndexError):
        books[51]


def test_the_same_seed_gives_the_same_bytes_twice(connect: type[Client]) -> None:
    assert _bytes_of_a_run(connect, seed=3) == _bytes_of_a_run(connect, seed=3)
    assert _bytes_of_a_run(connect, seed=3) != _bytes_of_a_run(connect, seed=4)


def test_the_markets_clock_runs_pauses_and_resumes(connect: type[Client]) -> None:
    with (
        Simulator(symbols={"bybit": [SYMBOL]}, updates_per_s=500.0) as simulator,
        connect(simulator, "/v5/public/linear") as client,
    ):
        client.send(op="subscribe", args=["orderbook.50.BTCUSDT"])
        assert [client.receive() for _ in range(50)][-1]["type"] == "delta"
        simulator.pause()
        simulator.publish(0)
        before = len(simulator.truth.books("bybit", SYMBOL, "book.50"))
        simulator.publish(1)
        assert len(simulator.truth.books("bybit", SYMBOL, "book.50")) == before + 1
        simulator.resume()
        while (
            client.receive()["data"]["u"]
            <= simulator.truth.books("bybit", SYMBOL, "book.50")[0].sequence + before
        ):
            pass


def test_a_subscription_can_be_waited_for(simulator: Simulator, connect: type[Client]) -> None:
    with pytest.raises(TimeoutError):
        simulator.wait_for_subscription("bybit", SYMBOL, "book.50", timeout=0.05)
    with connect(simulator, "/v5/public/linear") as client:
        client.send(op="subscribe", args=["orderbook.50.BTCUSDT"])
        simulator.wait_for_subscription("bybit", SYMBOL, "book.50", timeout=5)
        (connection,) = simulator.connections("bybit")
        assert connection.path == "/v5/public/linear"
        assert list(connection.topics) == ["orderbook.50.BTCUSDT"]


def test_stop_twice_leaves_no_thread(connect: type[Client]) -> None:
    simulator = Simulator(symbols={"bybit": [SYMBOL]})
    simulator.start()
    with connect(simulator, "/v5/public/linear"):
        simulator.stop()
        simulator.stop()
    assert "simulator" not in {thread.name for thread in threading.enumerate()}


def test_a_taken_port_is_one_clear_line(simulator: Simulator) -> None:
    with pytest.raises(UserError, match=f"port {simulator.port} is taken"):
        Simulator(port=simulator.port, symbols={"bybit": [SYMBOL]}).start()


def test_an_unknown_exchange_is_refused() -> None:
    with pytest.raises(UserError, match="gemini"):
        Simulator(symbols={"gemini": ["BTC/USD"]})


def _bytes_of_a_run(connect: type[Client], seed: int) -> list[str]:
    clock = iter(range(1_700_000_000_000_000_000, 1_800_000_000_000_000_000, 20_000_000))
    with (
        Simulator(
            symbols={"bybit": [SYMBOL]}, updates_per_s=0.0, seed=seed, clock_ns=lambda: next(clock)
        ) as simulator,
        connect(simulator, "/v5/public/linear") as client,
    ):
        client.send(op="subscribe", args=["orderbook.50.BTCUSDT", "publicTrade.BTCUSDT"])
        client.receive()
        simulator.publish(50)
        return [client.receive_text() for _ in range(51)]
