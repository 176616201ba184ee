"""One websocket: who takes its frames, what becomes of its last words, and when it is found silent."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain, count

import ccxt
import pytest

from collector.errors import StreamError
from collector.exchanges.addresses import Endpoints, dialled
from collector.exchanges.exchange import Rate
from collector.network.failures import Failure, gone
from collector.network.markets import Markets, Source
from collector.network.pacing import Pacer
from collector.network.socket import Heart, Pushes, Socket
from collector.simulator import Simulator

BTC = "BTC/USDT:USDT"
DEADLINE_S = 60.0
FRAME = '{"topic":"x"}'


@dataclass
class WritingReader:
    """A reader that writes down what comes."""

    frames: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def on_text(self, text: str) -> bool:
        self.frames.append(text)
        return True

    def on_unread(self, text: str, error: Exception) -> None:
        self.failures.append(f"{text}: {error!r}")

    def on_sign_of_life(self) -> None:
        pass

    def on_gone(self, failure: Failure) -> None:
        self.failures.append(str(failure))


def socket_to(simulator: Simulator) -> Socket:
    addresses = Endpoints(**simulator.endpoints("bybit"))
    none_yet = ccxt.bybit()
    none_yet.set_markets([])
    (url,) = (one for one in dialled("bybit", "live", addresses, ("linear",)) if one.startswith("ws"))
    source = Source("bybit", "live", addresses, ("linear",))
    return Socket(source, Markets(none_yet, ("linear",)), url, 5.0, Pacer([Rate(1000, 1.0)]))


async def until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.005)


def test_frames_go_straight_to_the_reader_and_last_words_to_nobody() -> None:
    first, second = WritingReader(), WritingReader()

    async def scene(simulator: Simulator) -> None:
        socket = socket_to(simulator)
        try:
            await socket.open(first)
            client = socket._client
            assert client.take_text == first.on_text
            await asyncio.to_thread(simulator.faults.raw_frame, "bybit", FRAME)
            await until(lambda: first.frames == [FRAME])
            await socket.disconnect()
            client.handle_text_or_binary_message(FRAME)
            assert first.frames == [FRAME]
            await socket.open(second)
            await asyncio.to_thread(simulator.faults.raw_frame, "bybit", FRAME)
            await until(lambda: second.frames == [FRAME])
            assert first.frames == [FRAME]
            await socket.disconnect()
        finally:
            await socket.close()

    with Simulator(symbols={"bybit": [BTC]}, updates_per_s=0.0) as simulator:
        asyncio.run(scene(simulator))


def test_a_socket_is_given_up_once_and_sends_nothing_more() -> None:
    reader = WritingReader()

    async def scene(simulator: Simulator) -> None:
        socket = socket_to(simulator)
        try:
            await socket.open(reader)
            socket.give_up(gone("silent", "first"))
            socket.give_up(gone("lost", "second"))
            assert reader.failures == ["silent: first"]
            with pytest.raises(StreamError, match="silent: first"):
                await socket.send({"op": "ping"})
            await socket.disconnect()
        finally:
            await socket.close()

    with Simulator(symbols={"bybit": [BTC]}, updates_per_s=0.0) as simulator:
        asyncio.run(scene(simulator))


def test_a_socket_that_was_never_dialled_can_be_given_up() -> None:
    async def scene() -> None:
        socket = Socket(None, None, "", 5.0, Pacer([Rate(1000, 1.0)]))  # type: ignore[arg-type]
        socket.give_up(gone("stopped", ""))
        await socket.disconnect()
        await socket.close()
        assert str(socket.failure) == "stopped"

    asyncio.run(scene())


@pytest.mark.parametrize("answer_expected", [True, False])
def test_silence_counts_only_where_somebody_could_answer(answer_expected: bool) -> None:
    """The clock goes on by a heartbeat at each look, and nothing is heard."""
    beats: list[None] = []
    failures: list[Failure] = []

    async def beat() -> bool:
        beats.append(None)
        return answer_expected

    async def scene() -> None:
        seconds = count()
        watching = asyncio.create_task(
            Heart(0.001, beat, lambda: next(seconds) * 0.001).watch(failures.append)
        )
        await until(lambda: failures or len(beats) >= 10)
        watching.cancel()

    asyncio.run(scene())
    assert [one.cause for one in failures] == (["silent"] if answer_expected else [])


def test_a_time_in_which_the_machine_stood_still_is_not_the_peers_silence() -> None:
    """What came meanwhile lies in the socket and is not read yet."""
    times_s = chain([0.0, 0.001, 100.0, 100.001], (100.002 + number * 0.001 for number in count()))
    looks_s: list[float] = []
    failures: list[Failure] = []

    def now_s() -> float:
        looks_s.append(next(times_s))
        return looks_s[-1]

    async def beat() -> bool:
        return True

    async def scene() -> None:
        await Heart(0.01, beat, now_s).watch(failures.append)

    asyncio.run(scene())
    assert looks_s[-1] > 100.005  # not at once
    assert [one.detail for one in failures] == ["neither data nor heartbeat for 0.0 s"]


@pytest.mark.parametrize(
    ("more", "is_due", "causes"),
    [(None, True, ["silent"]), ("before", True, []), (None, False, [])],
    ids=["pongs alone", "data beside pongs", "nothing subscribed"],
)
def test_pongs_alone_are_no_life_where_the_exchange_pushes(
    more: str | None, is_due: bool, causes: list[str]
) -> None:
    """The clock goes on by a second at each look, and a pong comes at each."""
    beats: list[None] = []
    failures: list[Failure] = []
    since: list[float] = []

    async def beat() -> bool:
        beats.append(None)
        if more is not None:
            heart.heard()
        heart.ponged()
        heart.heard()  # as for every frame, once it was read
        return True

    async def scene() -> None:
        watching = asyncio.create_task(heart.watch(failures.append))
        await until(lambda: failures or len(beats) >= 20)
        watching.cancel()

    seconds = count()
    heart = Heart(0.001, beat, lambda: float(next(seconds)), Pushes(10.0, lambda: is_due, since.append))
    asyncio.run(scene())
    assert [one.cause for one in failures] == causes
    assert len(since) == len(causes)
    assert all(one > 10.0 for one in since)
