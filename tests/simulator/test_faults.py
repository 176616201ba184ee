"""Each fault of connections and frames, seen on the wire by somebody who connects to Bybit."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import aiohttp
import aiohttp.web
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


def test_reset(simulator: Simulator) -> None:
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=10) as peer:
        peer.sendall(
            b"GET /v5/public/linear HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert peer.recv(65536).startswith(b"HTTP/1.1 101 ")
        assert simulator.faults.reset("bybit") == 1
        with pytest.raises(ConnectionResetError):
            peer.recv(65536)


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


def test_half_open_hears_and_says_nothing(simulator: Simulator, client: Client) -> None:
    simulator.faults.half_open("bybit")
    client.send(op="ping")
    simulator.publish(3)
    with pytest.raises(TimeoutError):
        client.receive_message(timeout_s=0.2)
    assert len(simulator.connections("bybit")) == 1


def test_accept_silently(simulator: Simulator, connect: type[Client]) -> None:
    simulator.faults.accept_silently("bybit")
    with connect(simulator, "/v5/public/linear") as mute, connect(simulator, "/v5/public/linear") as heard:
        for client in (mute, heard):
            client.send(op="ping")
        assert heard.receive()["ret_msg"] == "pong"
        with pytest.raises(TimeoutError):
            mute.receive_message(timeout_s=0.2)


@pytest.mark.parametrize("status", [403, 429, 503])
def test_refused_with_a_status(simulator: Simulator, connect: type[Client], status: int) -> None:
    simulator.faults.refuse("bybit", status)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused, connect(simulator, "/v5/public/linear"):
        pass
    assert refused.value.status == status
    with connect(simulator, "/v5/public/linear"):
        pass


def test_refused_without_a_word(simulator: Simulator, connect: type[Client]) -> None:
    simulator.faults.refuse("bybit", 0, count=9)  # aiohttp tries again by itself
    with pytest.raises(aiohttp.ClientError), connect(simulator, "/v5/public/linear"):
        pass


def test_stall_of_one_channel_while_the_rest_goes_on(simulator: Simulator, client: Client) -> None:
    client.send(op="subscribe", args=["orderbook.200.BTCUSDT"])
    assert [client.receive().get("type") for _ in range(2)] == [None, "snapshot"]
    simulator.faults.stall("bybit", BTC, "book.50")
    simulator.publish(2)
    client.send(op="ping")
    heard = [client.receive() for _ in range(3)]
    assert [message.get("topic") for message in heard] == ["orderbook.200.BTCUSDT"] * 2 + [None]
    simulator.faults.unstall("bybit", BTC, "book.50")
    simulator.publish(1)
    assert {client.receive()["topic"] for _ in range(2)} == {"orderbook.50.BTCUSDT", "orderbook.200.BTCUSDT"}


def test_restart_is_a_snapshot_numbered_one(simulator: Simulator, client: Client) -> None:
    simulator.publish(2)
    updates(client, 2)
    simulator.faults.restart("bybit", BTC)
    simulator.publish(3)
    messages = [client.receive() for _ in range(3)]
    assert [(message["type"], message["data"]["u"]) for message in messages] == [
        ("snapshot", 1),
        ("delta", 2),
        ("delta", 3),
    ]
    assert [state.sequence for state in simulator.truth.books("bybit", BTC, "book.50")[-3:]] == [1, 2, 3]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e400", "-1", "0", "abc", ""])
@pytest.mark.parametrize("part", ["price", "size"])
def test_bad_number(simulator: Simulator, client: Client, part: str, value: str) -> None:
    simulator.faults.bad_number("bybit", BTC, value=value, part=part)
    simulator.publish(2)
    bad, good = client.receive()["data"], client.receive()["data"]
    assert (bad["b"] + bad["a"])[0][0 if part == "price" else 1] == value
    assert "abc" not in str(good)


def test_corrupt_level_under_right_numbers(simulator: Simulator, client: Client) -> None:
    before = dict(simulator.truth.books("bybit", BTC, "book.50")[0].bids)
    assert before
    simulator.faults.corrupt_level("bybit", BTC)
    simulator.publish(1)
    data = client.receive()["data"]
    state = simulator.truth.books("bybit", BTC, "book.50")[1]
    told = {float(price): float(size) for price, size in data["b"] + data["a"]}
    true = dict(state.bids + state.asks)
    assert data["u"] == state.sequence
    stays = {price: size for price, size in told.items() if price in true}
    assert stays
    assert all(size != true[price] for price, size in stays.items())
    assert all(not size for price, size in told.items() if price not in true)  # what goes, goes


def test_crossed_book_for_one_step(simulator: Simulator, client: Client) -> None:
    simulator.faults.crossed_book("bybit", BTC)
    simulator.publish(2)
    _, crossed, mended = simulator.truth.books("bybit", BTC, "book.50")
    assert crossed.bids[0][0] > crossed.asks[0][0]
    assert mended.bids[0][0] < mended.asks[0][0]
    assert float(client.receive()["data"]["b"][0][0]) == crossed.bids[0][0]
    assert client.receive()["data"]["b"][0] == [f"{crossed.bids[0][0]:.2f}", "0"]


def test_malformed_huge_and_deep_frames(simulator: Simulator, client: Client) -> None:
    simulator.faults.malformed_frame("bybit")
    simulator.faults.huge_frame("bybit", size_bytes=3_000_000)
    simulator.faults.deep_frame("bybit", depth=2000)
    assert client.receive_text().endswith('"type":"del')
    assert len(client.receive_text()) == 3_000_000
    assert client.receive_text() == "[" * 2000 + "]" * 2000


def test_bomb_goes_only_to_who_agreed_to_compression(simulator: Simulator, connect: type[Client]) -> None:
    with connect(simulator, "/v5/public/linear"):
        assert simulator.faults.bomb("bybit", size_bytes=1_000_000) == 0
        with connect(simulator, "/v5/public/linear", compress=15) as compressed:
            assert simulator.faults.bomb("bybit", size_bytes=5_000_000) == 1
            assert compressed.receive_text() == "[" * 5_000_000


def test_subscription_rejected_and_ignored(simulator: Simulator, connect: type[Client]) -> None:
    with connect(simulator, "/v5/public/linear") as client:
        simulator.faults.reject_subscription("bybit")
        client.send(op="subscribe", args=["orderbook.50.BTCUSDT"])
        assert client.receive()["success"] is False
        simulator.faults.ignore_subscription("bybit")
        client.send(op="subscribe", args=["orderbook.50.BTCUSDT"])
        client.send(op="ping")
        assert client.receive()["ret_msg"] == "pong"
        client.send(op="subscribe", args=["orderbook.50.BTCUSDT"])
        assert client.receive()["success"] is True


@pytest.mark.parametrize("offset_s", [3600.0, -3600.0])
def test_clock_ahead_and_behind(simulator: Simulator, client: Client, offset_s: float) -> None:
    simulator.publish(1)
    before = client.receive()["cts"]
    simulator.faults.clock(offset_s)
    simulator.publish(1)
    assert client.receive()["cts"] - before == pytest.approx(offset_s * 1000, abs=60_000)


def test_delisted(simulator: Simulator, client: Client) -> None:
    simulator.faults.delist("bybit", BTC)
    simulator.publish(2)
    client.send(op="subscribe", args=["publicTrade.BTCUSDT"])
    assert client.receive()["ret_msg"] == "error:handler not found,topic:publicTrade.BTCUSDT"
    _, _, body = client.get("/v5/market/instruments-info?category=linear")
    assert '"list":[]' in body


def test_sweep_moves_the_price_past_whole_levels(simulator: Simulator, client: Client) -> None:
    before = simulator.truth.books("bybit", BTC, "book.50")[0]
    simulator.faults.sweep("bybit", BTC, levels=30)
    simulator.publish(1)
    after = simulator.truth.books("bybit", BTC, "book.50")[1]
    assert after.bids[0][0] <= before.bids[30][0]
    removed = [float(price) for price, size in client.receive()["data"]["b"] if size == "0"]
    assert len(removed) >= 29
    trades = simulator.truth.trades("bybit", BTC)
    assert [trade.price for trade in trades] == [price for price, _ in before.bids[:30]]


def test_a_client_that_is_gone_before_its_handshake_is_no_error(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def gone(*_: object) -> None:
        raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")

    monkeypatch.setattr(aiohttp.web.WebSocketResponse, "prepare", gone)
    with socket.create_connection(("127.0.0.1", simulator.port), 10.0) as client:
        client.sendall(
            b"GET /v5/public/linear HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: close\r\n\r\n"
        )
        while client.recv(1000):
            pass
    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == []
    assert simulator.connections("bybit") == []
