"""Faults that belong to Binance, to Kraken and to REST, each seen by a client."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from zlib import crc32

import aiohttp
import pytest

from collector.simulator import Simulator
from collector.simulator.exchanges.registry import EXCHANGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulator.conftest import Client

ETH, BTC, USD = "ETH/USDT", "BTC/USDT:USDT", "BTC/USD"
DEPTH = "/api/v3/depth?symbol=ETHUSDT&limit=100"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(symbols={"binance": [ETH, BTC], "kraken": [USD]}, updates_per_s=0.0) as running:
        yield running


@pytest.fixture
def spot(simulator: Simulator, connect: type[Client]) -> Iterator[Client]:
    """A client with the diffs of spot."""
    with connect(simulator, "/stream/ws/0") as client:
        client.send(method="SUBSCRIBE", params=["ethusdt@depth@100ms"], id=1)
        assert client.receive() == {"result": None, "id": 1}
        yield client


@pytest.fixture
def linear(simulator: Simulator, connect: type[Client]) -> Iterator[Client]:
    """A client with the diffs of the futures."""
    with connect(simulator, "/fut/public/ws/0") as client:
        client.send(method="SUBSCRIBE", params=["btcusdt@depth@0ms"], id=1)
        assert client.receive() == {"result": None, "id": 1}
        yield client


@pytest.fixture
def kraken(simulator: Simulator, connect: type[Client]) -> Iterator[Client]:
    """A client with the 10-level book and its snapshot read."""
    with connect(simulator, "/kraken/v2") as client:
        assert client.receive()["data"][0]["system"] == "online"
        client.send(method="subscribe", params={"channel": "book", "symbol": [USD], "depth": 10})
        assert client.receive()["success"]
        assert client.receive()["type"] == "snapshot"
        yield client


def test_gap_on_spot(simulator: Simulator, spot: Client) -> None:
    simulator.publish(1, exchange="binance")
    simulator.faults.gap("binance", ETH, "book.10")
    simulator.publish(2, exchange="binance")
    first, second, third = (spot.receive() for _ in range(3))
    assert (second["U"] - first["u"], third["U"] - second["u"]) == (2, 1)
    assert [state.sequence for state in simulator.truth.books("binance", ETH, "book.10")[1:]] == [
        message["u"] for message in (first, second, third)
    ]


def test_gap_on_futures(simulator: Simulator, linear: Client) -> None:
    simulator.publish(1, exchange="binance")
    simulator.faults.gap("binance", BTC, "book.10", count=8)
    simulator.publish(2, exchange="binance")
    first, second, third = (linear.receive() for _ in range(3))
    assert (second["pu"] - first["u"], third["pu"] - second["u"]) == (8, 0)


def test_kraken_has_no_numbers_to_skip(simulator: Simulator) -> None:
    with pytest.raises(ValueError, match="no sequence numbers"):
        simulator.faults.gap("kraken", USD, "book.10")


def test_expired_connection(simulator: Simulator, spot: Client) -> None:
    simulator.faults.expire("binance")
    message = spot.receive_message()
    assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)


def test_a_day_on_the_clock_ends_a_connection(simulator: Simulator, spot: Client, kraken: Client) -> None:
    simulator.faults.clock(86_401.0)
    message = spot.receive_message()
    while message.type is aiohttp.WSMsgType.PING:
        message = spot.receive_message()
    assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)
    assert simulator.truth.faults()[-1].name == "expired"
    assert kraken.receive() == {"channel": "heartbeat"}


def test_wrong_checksum_under_right_levels(simulator: Simulator, kraken: Client) -> None:
    simulator.publish(1, USD)
    sound = book_checksum(simulator)
    assert kraken.receive()["data"][0]["checksum"] == sound
    simulator.faults.corrupt_checksum("kraken", USD)
    simulator.publish(1, USD)
    assert kraken.receive()["data"][0]["checksum"] == book_checksum(simulator) ^ 1


def test_wrong_level_under_right_checksum(simulator: Simulator, kraken: Client) -> None:
    simulator.faults.corrupt_level("kraken", USD, "book.10")
    simulator.publish(1, USD)
    data = kraken.receive()["data"][0]
    assert data["checksum"] == book_checksum(simulator)
    state = simulator.truth.books("kraken", USD, "book.10")[-1]
    true = dict(state.bids + state.asks)
    staying = [level for level in data["bids"] + data["asks"] if level["qty"]]
    assert staying
    assert all(level["qty"] != true[level["price"]] for level in staying)


def test_checksum_changes_without_data(simulator: Simulator, kraken: Client) -> None:
    simulator.faults.checksum_without_data("kraken", USD)
    simulator.publish(1, USD)
    data = kraken.receive()["data"][0]
    assert (data["bids"], data["asks"]) == ([], [])
    assert data["checksum"] == book_checksum(simulator)


def test_crossed_book_with_a_right_checksum(simulator: Simulator, kraken: Client) -> None:
    simulator.faults.crossed_book("kraken", USD)
    simulator.publish(1, USD)
    state = simulator.truth.books("kraken", USD, "book.10")[-1]
    assert state.bids[0][0] > state.asks[0][0]
    assert kraken.receive()["data"][0]["checksum"] == book_checksum(simulator)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e400", "-1", "0"])
def test_bad_number_without_quotes(simulator: Simulator, kraken: Client, value: str) -> None:
    simulator.faults.bad_number("kraken", USD, "book.10", value=value, part="size")
    simulator.publish(1, USD)
    assert f'"qty":{value}}}' in kraken.receive_text()


@pytest.mark.parametrize("system", ["maintenance", "cancel_only", "online"])
def test_status(simulator: Simulator, kraken: Client, system: str) -> None:
    simulator.faults.status("kraken", system)
    message = kraken.receive()
    assert (message["channel"], message["data"][0]["system"]) == ("status", system)


def test_rejected_symbol_by_symbol(simulator: Simulator, kraken: Client) -> None:
    simulator.faults.reject_subscription("kraken")
    kraken.send(method="subscribe", params={"channel": "trade", "symbol": [USD]}, req_id=5)
    answer = kraken.receive()
    assert (answer["success"], answer["symbol"], answer["req_id"]) == (False, USD, 5)


@pytest.mark.parametrize("status", [403, 418, 429, 500, 503])
def test_rest_status_with_a_time_to_wait(simulator: Simulator, spot: Client, status: int) -> None:
    simulator.faults.rest_status("binance", status, path="depth", retry_after_s=7)
    found, headers, _ = spot.get(DEPTH)
    assert (found, headers["Retry-After"]) == (status, "7")
    assert spot.get(DEPTH)[0] == 200


def test_rest_html(simulator: Simulator, spot: Client) -> None:
    simulator.faults.rest_html("binance")
    status, headers, body = spot.get(DEPTH)
    assert (status, headers["Content-Type"].split(";")[0]) == (502, "text/html")
    assert body.startswith("<html>")


def test_rest_truncated(simulator: Simulator, spot: Client) -> None:
    whole = spot.get(DEPTH)[2]
    simulator.faults.rest_truncated("binance")
    assert spot.get(DEPTH)[2] == whole[: len(whole) // 2]


def test_rest_slow(simulator: Simulator, spot: Client) -> None:
    simulator.faults.rest_slow("binance", delay_s=30.0)
    with pytest.raises(TimeoutError):
        spot.get(DEPTH, timeout_s=0.3)


def test_allowance_used_up_then_banned(simulator: Simulator, spot: Client) -> None:
    simulator.faults.rest_allowance("binance", 12)
    answers = [spot.get(DEPTH) for _ in range(14)]
    assert [status for status, _, _ in answers] == [200, 200] + [429] * 10 + [418, 418]
    assert [headers["X-MBX-USED-WEIGHT-1M"] for _, headers, _ in answers[:3]] == ["5", "10", "15"]
    assert all(0 < int(headers["Retry-After"]) <= 120 for _, headers, _ in answers[2:])


def test_stale_snapshot(simulator: Simulator, spot: Client) -> None:
    simulator.publish(20, ETH)
    books = simulator.truth.books("binance", ETH, "book.100")
    simulator.faults.stale_snapshot("binance", ETH, steps=8)
    assert json.loads(spot.get(DEPTH)[2])["lastUpdateId"] == books[12].sequence
    simulator.faults.stale_snapshot("binance", ETH, steps=0)
    assert json.loads(spot.get(DEPTH)[2])["lastUpdateId"] == books[20].sequence


def test_a_level_beyond_the_snapshots_edge_becomes_best_untold(simulator: Simulator, spot: Client) -> None:
    simulator.faults.snapshot_edge("binance", ETH, levels=20)
    snapshot = json.loads(spot.get(DEPTH)[2])
    told = {float(price) for price, _ in snapshot["bids"]}
    assert len(told) == 20
    simulator.faults.sweep("binance", ETH, levels=25)
    simulator.publish(1, ETH)
    told |= {float(price) for price, size in spot.receive()["b"] if float(size)}
    best = simulator.truth.books("binance", ETH, "book.1")[-1].bids[0][0]
    assert best not in told


def test_faults_of_rest_are_on_record(simulator: Simulator, spot: Client) -> None:
    simulator.faults.rest_html("binance")
    spot.get(DEPTH)
    assert [fault.name for fault in simulator.truth.faults()] == ["rest_html", "rest_html applied"]


def book_checksum(simulator: Simulator) -> int:
    """Compute the checksum from the truth alone, as Kraken describes it."""
    state = simulator.truth.books("kraken", USD, "book.10")[-1]
    texts = [text for price, size in state.asks + state.bids for text in (f"{price:.1f}", f"{size:.8f}")]
    return crc32("".join(re.sub(r"^0+", "", text.replace(".", "")) for text in texts).encode())


@pytest.mark.parametrize(
    ("exchange", "path"),
    [
        ("bybit", "/v5/public/linear"),
        ("binance", "/fut/ws"),
        ("kraken", "/kraken/v2"),
        ("okx", "/okx/ws/v5/public"),
    ],
)
def test_each_exchange_sends_frames_about_nothing_that_was_asked_for(
    connect: type[Client], exchange: str, path: str
) -> None:
    with Simulator(symbols={exchange: ["BTC/USDT"]}, updates_per_s=0.0) as one, connect(one, path) as client:
        if exchange == "kraken":
            client.receive()
        heard = []
        for number in range(3):
            assert one.faults.stray_frame(exchange, number) == 1
            heard.append(client.receive_text())
        assert set(heard) == set(EXCHANGES[exchange].stray_frames)
        assert all(isinstance(json.loads(text), dict) for text in heard)
        assert one.truth.sent(exchange, "BTC/USDT", "trade") == []
