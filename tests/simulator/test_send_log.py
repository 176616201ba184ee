"""The log of what was really put on each socket, and of what nobody was sent."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from collector.simulator import Simulator
from collector.simulator.send_log import Logged, SendLog, read_log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.simulator.conftest import Client

BTC = "BTC/USDT:USDT"
BOOK = "orderbook.50.BTCUSDT"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(symbols={"bybit": [BTC]}, updates_per_s=0.0, send_log=10_000) as running:
        yield running


@pytest.fixture
def client(simulator: Simulator, connect: type[Client]) -> Iterator[Client]:
    with connect(simulator, "/v5/public/linear") as opened:
        opened.send(op="subscribe", args=[BOOK])
        assert opened.receive()["success"]
        assert opened.receive()["type"] == "snapshot"
        yield opened


def lines(simulator: Simulator) -> list[Logged]:
    assert simulator.send_log is not None
    return simulator.send_log.lines()


def of(simulator: Simulator, event: str) -> list[Logged]:
    return [line for line in lines(simulator) if line.event == event]


def wait_for(simulator: Simulator, event: str) -> Logged:
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s:
        found = of(simulator, event)
        if found:
            return found[-1]
        time.sleep(0.005)
    raise TimeoutError(event)


def test_a_connection_from_its_opening_to_its_end(simulator: Simulator, connect: type[Client]) -> None:
    with connect(simulator, "/v5/public/linear") as client:
        client.send(op="subscribe", args=[BOOK])
        for _ in range(2):
            client.receive()
        simulator.publish(2)
        deltas = [client.receive()["data"]["u"] for _ in range(2)]
        client.send(op="unsubscribe", args=[BOOK])
        client.receive()
    wait_for(simulator, "closed")
    found = lines(simulator)
    assert [line.event for line in found] == [
        *("opened", "answer", "snapshot", "subscribed", "delta", "delta", "answer", "unsubscribed", "closed")
    ]
    assert json.loads(found[1].detail)["success"]
    assert [line.sequence for line in found[4:6]] == deltas
    assert {(line.symbol, line.channel, line.events) for line in found[4:6]} == {(BTC, "book.50", 1)}
    assert {(line.exchange, line.connection, line.delivered) for line in found} == {("bybit", 1, True)}
    assert [line.at_ns for line in found] == sorted(line.at_ns for line in found)


def test_what_a_stalled_topic_withholds(simulator: Simulator, client: Client) -> None:
    simulator.faults.stall("bybit", BTC)
    simulator.publish(3)
    simulator.faults.unstall("bybit", BTC)
    simulator.publish(1)
    after = client.receive()["data"]["u"]
    withheld = of(simulator, "withheld")
    assert [line.sequence for line in withheld] == [after - 3, after - 2, after - 1]
    assert {(line.detail, line.delivered, line.connection) for line in withheld} == {("stalled", False, None)}
    assert [line.detail for line in of(simulator, "fault")] == ["stall", "unstall"]


def test_what_a_fault_loses(simulator: Simulator, client: Client) -> None:
    simulator.faults.drop_frame("bybit", BTC, count=2)
    simulator.publish(3)
    after = client.receive()["data"]["u"]
    assert [(line.sequence, line.detail) for line in of(simulator, "withheld")] == [
        (after - 2, "dropped"),
        (after - 1, "dropped"),
    ]


def test_what_is_put_on_no_open_socket_is_not_delivered(simulator: Simulator, client: Client) -> None:
    simulator.publish(1)
    simulator.faults.half_open("bybit")
    simulator.publish(2)
    assert [line.delivered for line in of(simulator, "delta")] == [True, False, False]
    assert client.receive()["type"] == "delta"


def test_what_was_on_its_way_at_a_reset_is_not_delivered(simulator: Simulator, client: Client) -> None:
    simulator.faults.latency("bybit", 60_000.0)
    feed, each = simulator._world.pairs()[0]

    async def step() -> None:
        simulator._world.publisher.step(feed, each)

    simulator._server.call(step())
    assert of(simulator, "delta") == []
    simulator.faults.reset("bybit")
    (delta,) = of(simulator, "delta")
    assert not delta.delivered
    assert wait_for(simulator, "closed").connection == delta.connection
    assert client.receive_message().type.name in {"CLOSED", "ERROR"}


def test_what_was_delivered_is_what_the_client_got(connect: type[Client]) -> None:
    """With distance, faults and a reset: all that was received is in it, and only the end may lack."""
    options = {"symbols": {"bybit": [BTC]}, "updates_per_s": 300.0, "seed": 3, "send_log": 100_000}
    got = []
    with (
        Simulator(profile="lively", **options) as simulator,
        connect(simulator, "/v5/public/linear") as client,
    ):
        client.send(op="subscribe", args=[BOOK, "publicTrade.BTCUSDT"])
        while len(got) < 600:
            if len(got) == 200:
                simulator.faults.drop_frame("bybit", BTC, count=3)
            if len(got) == 400:
                simulator.faults.stall("bybit", BTC, "trade")
            if len(got) == 500:
                simulator.faults.unstall("bybit", BTC, "trade")
            message = client.receive()
            if "topic" in message:
                got.append((message["topic"] == BOOK, len(message["data"]), message["data"]))
        simulator.faults.reset("bybit")
        while True:
            last = client.receive_message()
            if last.type.name != "TEXT":
                break
            message = json.loads(last.data)
            got.append((message["topic"] == BOOK, len(message["data"]), message["data"]))
        closed = wait_for(simulator, "closed")
        market = [line for line in lines(simulator) if line.event in {"snapshot", "delta", "trade"}]
    assert {line.connection for line in market} == {closed.connection}
    delivered = [line for line in market if line.delivered]
    assert market[: len(delivered)] == delivered
    assert len(got) <= len(delivered)
    for (is_book, rows, data), line in zip(got, delivered, strict=False):
        assert (line.channel == "book.50") == is_book
        assert data["u"] == line.sequence if is_book else rows == line.events
    withheld = Counter(line.detail for line in of(simulator, "withheld"))
    assert withheld["dropped"] == 3
    assert withheld["stalled"] > 0


def test_frames_made_ahead_are_in_it(simulator: Simulator, client: Client) -> None:
    simulator.prepare(5)
    assert of(simulator, "delta") == []
    simulator.release()
    sequences = [client.receive()["data"]["u"] for _ in range(5)]
    assert [line.sequence for line in of(simulator, "delta")] == sequences


def test_a_refusal_and_heartbeats_and_the_trades_of_one_frame(connect: type[Client]) -> None:
    with (
        Simulator(symbols={"kraken": ["BTC/USD"]}, updates_per_s=0.0, send_log=1000) as simulator,
        connect(simulator, "/kraken/v2") as client,
    ):
        client.send(method="subscribe", params={"channel": "trade", "symbol": ["BTC/USD", "NO/BODY"]})
        wait_for(simulator, "heartbeat")
        (trades,) = of(simulator, "trade")
        assert trades.events == 50
        refusals = [line for line in of(simulator, "answer") if "not supported" in line.detail]
        assert len(refusals) == 1


def test_memory_is_bounded_and_what_is_let_go_is_counted() -> None:
    log = SendLog(bound=3)
    for at_ns in range(5):
        log.note(Logged(at_ns, "delta"))
    assert [line.at_ns for line in log.lines()] == [2, 3, 4]
    assert log.dropped == 2


def test_a_file_holds_every_line(tmp_path: Path, connect: type[Client]) -> None:
    path = tmp_path / "sent.jsonl"
    with (
        Simulator(symbols={"bybit": [BTC]}, updates_per_s=0.0, send_log=path) as simulator,
        connect(simulator, "/v5/public/linear") as client,
    ):
        client.send(op="subscribe", args=[BOOK])
        for _ in range(2):
            client.receive()
        simulator.publish(500)
        true = [client.receive()["data"]["u"] for _ in range(500)]
        sent = simulator.truth.sent("bybit", BTC, "book.50")
    found = [line for line in read_log(path) if line.event in {"snapshot", "delta"}]
    assert [line.sequence for line in found[1:]] == true
    assert [(line.at_ns, line.sequence, line.connection) for line in found] == [
        (each.sent_ns, each.sequence, each.connection) for each in sent
    ]
    assert Counter(line.delivered for line in found) == {True: 501}


def test_without_one_nothing_is_kept() -> None:
    with Simulator(symbols={"bybit": [BTC]}, updates_per_s=0.0) as simulator:
        assert simulator.send_log is None


def test_what_nobody_listened_to(simulator: Simulator, client: Client) -> None:
    client.send(op="unsubscribe", args=[BOOK])
    client.receive()
    simulator.publish(2)
    client.send(op="subscribe", args=[BOOK])
    assert client.receive()["success"]
    again = client.receive()["data"]["u"]
    simulator.publish(1)
    unheard = of(simulator, "withheld")
    assert [line.sequence for line in unheard] == [again - 1, again]
    assert {(line.detail, line.channel, line.delivered) for line in unheard} == {
        ("unheard", "book.50", False)
    }
    assert client.receive()["data"]["u"] == again + 1


def test_what_a_batch_held_when_the_last_one_left(connect: type[Client]) -> None:
    symbols = {"binance": ["BTC/USDT"]}
    with Simulator(symbols=symbols, updates_per_s=0.0, send_log=1000) as simulator:
        simulator.faults.batch_diffs("binance", 60_000.0)
        with connect(simulator, "/stream/ws") as client:
            client.send(method="SUBSCRIBE", params=["btcusdt@depth@100ms"], id=1)
            client.receive()
            simulator.publish(3)
        wait_for(simulator, "closed")
        (topic,) = simulator._world.hub._batches

        async def end_batch() -> None:
            simulator._world.hub._end_batch(topic)

        simulator._server.call(end_batch())
        assert [line.detail for line in of(simulator, "withheld")] == ["unheard"] * 3


def test_krakens_updates_are_known_by_their_times(connect: type[Client]) -> None:
    with (
        Simulator(symbols={"kraken": ["BTC/USD"]}, updates_per_s=0.0, send_log=1000) as simulator,
        connect(simulator, "/kraken/v2") as client,
    ):
        client.send(method="subscribe", params={"channel": "book", "symbol": ["BTC/USD"], "depth": 10})
        wait_for(simulator, "snapshot")
        simulator.publish(2)
        simulator.faults.two_in_one_frame("kraken", "BTC/USD")
        *single, both = of(simulator, "delta")
        assert [len(line.times_us) for line in single] == [1, 1]
        assert (both.events, len(both.times_us)) == (2, 2)
        told = []
        while len(told) < 4:
            message = client.receive()
            if message.get("channel") == "book" and message["type"] == "update":
                told += [each["timestamp"] for each in message["data"]]
    times_us = [at_us for line in (*single, both) for at_us in line.times_us]
    assert len(set(times_us)) == 4
    assert [f"{at_us % 60_000_000 / 1e6:09.6f}Z" for at_us in times_us] == [each[-10:] for each in told]


def test_a_trade_that_is_none_counts_for_nothing(connect: type[Client]) -> None:
    symbols = {"binance": [BTC]}
    with (
        Simulator(symbols=symbols, updates_per_s=0.0, send_log=1000) as simulator,
        connect(simulator, "/fut/ws") as client,
    ):
        client.send(method="SUBSCRIBE", params=["btcusdt@trade"], id=1)
        client.receive()
        simulator.faults.placeholder_trade("binance", BTC)
        none = client.receive()
        (line,) = of(simulator, "trade")
        assert (line.sequence, line.events) == (none["t"], 0)
