"""The simulator from outside: sockets, books, truth, the clock, and a clean end."""

from __future__ import annotations

import dataclasses
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


@pytest.mark.parametrize("channel", ["book.10", "bbo"])
def test_states_are_the_same_with_fewer_levels(simulator: Simulator, channel: str) -> None:
    simulator.publish(20)
    whole = simulator.truth.books("bybit", SYMBOL, channel)
    for levels in (1, 3, 10, 50):
        cut = [dataclasses.replace(one, bids=one.bids[:levels], asks=one.asks[:levels]) for one in whole]
        assert list(simulator.truth.books("bybit", SYMBOL, channel, levels=levels)) == cut


RUNS = {
    "bybit": (
        "/v5/public/linear",
        SYMBOL,
        {"op": "subscribe", "args": ["orderbook.50.BTCUSDT", "publicTrade.BTCUSDT"]},
    ),
    "binance": (
        "/stream?streams=ethusdt@depth@100ms/ethusdt@trade/ethusdt@kline_1m",
        "ETH/USDT",
        {"method": "LIST_SUBSCRIPTIONS", "id": 1},
    ),
    "kraken": (
        "/kraken/v2",
        "BTC/USD",
        {"method": "subscribe", "params": {"channel": "book", "symbol": ["BTC/USD"], "depth": 25}},
    ),
}


@pytest.mark.parametrize("exchange", RUNS)
def test_the_same_seed_gives_the_same_bytes_twice(connect: type[Client], exchange: str) -> None:
    first = _bytes_of_a_run(connect, exchange, seed=3)
    assert len(first) == 60
    assert _bytes_of_a_run(connect, exchange, seed=3) == first
    assert _bytes_of_a_run(connect, exchange, seed=4) != first


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


def _bytes_of_a_run(connect: type[Client], exchange: str, seed: int) -> list[str]:
    path, symbol, request = RUNS[exchange]
    with (
        Simulator(
            symbols={exchange: [symbol]}, updates_per_s=0.0, seed=seed, clock_ns=SteppingClock().now_ns
        ) as simulator,
        connect(simulator, path) as client,
    ):
        client.send(**request)
        simulator.publish(0)
        while "subscribe" not in (text := client.receive_text()) and "result" not in text:
            pass
        simulator.publish(80)
        return [client.receive_text() for _ in range(60)]


class SteppingClock:
    """A clock that moves only when the market does: the same in each run."""

    def __init__(self) -> None:
        self._now_ns = 1_700_000_000_000_000_000

    def now_ns(self) -> int:
        return self._now_ns


def test_an_unknown_market_is_told(simulator: Simulator) -> None:
    for ask in (
        lambda: simulator.truth.books("bybit", "NO/NO", "book.50"),
        lambda: simulator.faults.gap("bybit", "NO/NO"),
        lambda: simulator.publish(1, "NO/NO"),
        lambda: simulator.wait_for_subscription("kraken", "BTC/USD", "book.10", timeout=1),
        lambda: simulator.endpoints("kraken"),
    ):
        with pytest.raises(UserError, match=r"no simulated market|no exchange|has no"):
            ask()


def test_flat_out_is_as_fast_as_clients_read(connect: type[Client]) -> None:
    with (
        Simulator(symbols={"bybit": [SYMBOL]}, updates_per_s=1e9) as simulator,
        connect(simulator, "/v5/public/linear") as client,
    ):
        client.send(op="subscribe", args=["orderbook.50.BTCUSDT"])
        client.receive()
        numbers = [client.receive()["data"]["u"] for _ in range(2000)]
        assert numbers == list(range(numbers[0], numbers[0] + 2000))
        client.send(op="ping")
        while client.receive().get("op") != "ping":
            pass


BOTH = {
    "bybit": (
        "/v5/market/instruments-info?category={kind}",
        {"spot": "/v5/public/spot", "linear": "/v5/public/linear"},
        {"op": "subscribe", "args": ["orderbook.50.BTCUSDT"]},
    ),
    "binance": (
        "/{api}/exchangeInfo",
        {"spot": "/stream/ws/1", "linear": "/fut/public/ws/1"},
        {"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 1},
    ),
}


@pytest.mark.parametrize("exchange", BOTH)
@pytest.mark.parametrize(
    ("simulated", "sibling", "kind"), [(SYMBOL, "BTC/USDT", "spot"), ("BTC/USDT", SYMBOL, "linear")]
)
def test_the_other_kind_of_a_market_is_listed_and_lives_once_somebody_asks_for_it(
    connect: type[Client], exchange: str, simulated: str, sibling: str, kind: str
) -> None:
    listed, paths, request = BOTH[exchange]
    api = "api/v3" if kind == "spot" else "fapi/v1"
    channel = "book.50" if exchange == "bybit" else "bbo"
    with (
        Simulator(symbols={exchange: [simulated]}, updates_per_s=200.0) as simulator,
        connect(simulator, paths[kind]) as client,
    ):
        assert '"BTCUSDT"' in client.get(listed.format(kind=kind, api=api))[2]
        assert simulator.symbols == {exchange: [simulated]}
        with pytest.raises(UserError, match="no simulated market"):
            simulator.truth.books(exchange, sibling, channel)
        client.send(**request)
        simulator.wait_for_subscription(exchange, sibling, channel)
        for _ in range(30):
            client.receive()
        assert len(simulator.truth.books(exchange, sibling, channel)) > 20
        assert simulator.symbols == {exchange: [simulated]}


def test_what_has_no_sibling_lists_none(connect: type[Client]) -> None:
    symbols = {"bybit": ["ETH/BTC"], "kraken": ["BTC/USDT"]}
    with (
        Simulator(symbols=symbols, updates_per_s=0.0) as simulator,
        connect(simulator, "/v5/public/linear") as client,
    ):
        assert '"list":[]' in client.get("/v5/market/instruments-info?category=linear")[2]
        assert "USDT:USDT" not in client.get("/0/public/AssetPairs")[2]
