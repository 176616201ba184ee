"""The faults that every exchange has, seen on OKX's wire."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from collector.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.simulator.conftest import Client

SWAP = "BTC/USDT:USDT"
PUBLIC = "/okx/ws/v5/public"
SUBSCRIBE = {"op": "subscribe", "args": [{"channel": "books", "instId": "BTC-USDT-SWAP"}]}
BOOKS = "/api/v5/market/books?instId=BTC-USDT-SWAP&sz=50"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(symbols={"okx": [SWAP]}, updates_per_s=0.0) as running:
        yield running


@pytest.fixture
def books(simulator: Simulator, connect: type[Client]) -> Iterator[Client]:
    """A client with the book and its snapshot read."""
    with connect(simulator, PUBLIC) as client:
        client.send(**SUBSCRIBE)
        assert client.receive()["event"] == "subscribe"
        assert client.receive()["action"] == "snapshot"
        yield client


def row(client: Client) -> Any:
    return client.receive()["data"][0]


@pytest.mark.parametrize(
    ("fault", "order"),
    [("drop_frame", [1, 2]), ("duplicate_frame", [0, 0, 1, 2]), ("reorder", [1, 0, 2])],
)
def test_frames_lost_sent_twice_and_out_of_order(
    simulator: Simulator, books: Client, fault: str, order: list[int]
) -> None:
    getattr(simulator.faults, fault)("okx", SWAP)
    simulator.publish(3)
    numbers = [state.sequence for state in simulator.truth.books("okx", SWAP, "book.400")][1:]
    assert [row(books)["seqId"] for _ in order] == [numbers[at] for at in order]


def test_a_stalled_channel_misses_what_came_meanwhile(simulator: Simulator, books: Client) -> None:
    simulator.faults.stall("okx", SWAP)
    simulator.publish(2)
    books.send_text("ping")
    assert books.receive_text() == "pong"
    simulator.faults.unstall("okx", SWAP)
    simulator.publish(1)
    states = simulator.truth.books("okx", SWAP, "book.400")
    assert row(books)["prevSeqId"] == states[-2].sequence


def test_damaged_frames(simulator: Simulator, books: Client) -> None:
    simulator.faults.malformed_frame("okx")
    simulator.faults.huge_frame("okx", size_bytes=2_000_000)
    simulator.faults.deep_frame("okx", depth=1000)
    simulator.faults.raw_frame("okx", b"\x00")
    with pytest.raises(json.JSONDecodeError):
        books.receive()
    assert [len(books.receive_text()) for _ in range(2)] == [2_000_000, 2000]
    assert books.receive_message().data == b"\x00"


def test_a_crossed_book_and_a_sweep(simulator: Simulator, books: Client) -> None:
    simulator.faults.crossed_book("okx", SWAP)
    simulator.publish(2)
    crossed, sound = simulator.truth.books("okx", SWAP, "book.400")[-2:]
    assert crossed.bids[0][0] > crossed.asks[0][0]
    assert sound.bids[0][0] < sound.asks[0][0]
    (added,), (removed,) = row(books)["bids"], row(books)["bids"]
    assert (float(added[0]), removed[0], removed[1:]) == (crossed.bids[0][0], added[0], ["0", "0", "0"])
    simulator.faults.sweep("okx", SWAP, levels=30)
    simulator.publish(1)
    assert [level[1] for level in row(books)["bids"]].count("0") >= 29


def test_no_levels_under_right_ids(simulator: Simulator, books: Client) -> None:
    simulator.faults.checksum_without_data("okx", SWAP, "book.400")
    simulator.faults.corrupt_checksum("okx", SWAP, "book.400")
    simulator.publish(1)
    data = row(books)
    state = simulator.truth.books("okx", SWAP, "book.400")[-1]
    assert (data["asks"], data["bids"], data["seqId"], data["checksum"]) == ([], [], state.sequence, 1)


@pytest.mark.parametrize(
    "act", [lambda faults: faults.close("okx", 4006), lambda faults: faults.expire("okx")]
)
def test_closed_connections(simulator: Simulator, books: Client, act: Callable[[Any], int]) -> None:
    assert act(simulator.faults) == 1
    assert books.receive_message().type is aiohttp.WSMsgType.CLOSE


def test_half_open_silent_and_ignored(simulator: Simulator, books: Client, connect: type[Client]) -> None:
    simulator.faults.half_open("okx")
    simulator.faults.accept_silently("okx")
    simulator.faults.ignore_subscription("okx")
    with connect(simulator, PUBLIC) as silent, connect(simulator, PUBLIC) as ignored:
        for client in (books, silent):
            client.send_text("ping")
        ignored.send(**SUBSCRIBE)
        ignored.send_text("ping")
        assert ignored.receive_text() == "pong"
        for client in (books, silent):
            with pytest.raises(TimeoutError):
                client.receive_message(timeout_s=0.2)


def test_rest_answers_go_wrong(simulator: Simulator, books: Client) -> None:
    whole = books.get(BOOKS)[2]
    simulator.faults.rest_status("okx", 503, path="books")
    simulator.faults.rest_html("okx", path="books")
    simulator.faults.rest_truncated("okx", path="books")
    assert books.get(BOOKS)[0] == 503
    assert books.get(BOOKS)[2].startswith("<html>")
    assert books.get(BOOKS)[2] == whole[: len(whole) // 2]
    simulator.faults.snapshot_edge("okx", SWAP, levels=7)
    assert len(json.loads(books.get(BOOKS)[2])["data"][0]["asks"]) == 7
    simulator.faults.rest_slow("okx", delay_s=30.0)
    with pytest.raises(TimeoutError):
        books.get(BOOKS, timeout_s=0.3)
