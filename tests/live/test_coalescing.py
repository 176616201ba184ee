"""Where frames come fast, the loop sleeps between turns and reads many at once; else each wakes it."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable

import pytest

from collector.live.coalescing import FRAMES_A_NAP, LOOK_S, STAYS_AT, Coalescing, is_fast_enough

NAP_S = 0.02
DEADLINE_S = 60.0
FAST = FRAMES_A_NAP / NAP_S  # a second


@pytest.mark.parametrize(
    ("a_second", "is_napping", "expected"),
    [
        (FAST, False, True),
        (FAST * 0.99, False, False),
        (FAST * 0.99, True, True),
        (FAST * STAYS_AT, True, True),
        (FAST * STAYS_AT * 0.99, True, False),
        (-FAST, True, False),  # a connection has gone with its count
    ],
)
def test_naps_begin_at_a_rate_and_end_at_half_of_it(
    a_second: float, is_napping: bool, expected: bool
) -> None:
    assert is_fast_enough(a_second, NAP_S, is_napping) == expected


def test_none_is_fast_enough_where_naps_are_off() -> None:
    assert not is_fast_enough(1e9, 0.0, is_napping=False)


class Counting(asyncio.Protocol):
    """Counts frames of one byte, and the reads that brought them."""

    def __init__(self) -> None:
        self.frames = self.reads = 0

    def data_received(self, data: bytes) -> None:
        self.frames += len(data)
        self.reads += 1


async def until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.01)


def test_fast_frames_are_read_together_until_somebody_waits_for_each() -> None:
    """A thread sends a byte about every millisecond, whatever this loop does; none is lost."""
    ending = threading.Event()
    sent = 0

    def send(pipe: socket.socket) -> None:
        nonlocal sent
        while not ending.wait(0.0005):
            pipe.send(b"x")
            sent += 1
        pipe.close()

    async def scene() -> None:
        ours, theirs = socket.socketpair()
        sender = threading.Thread(target=send, args=(theirs,))
        stopped = asyncio.Event()
        listeners: list[str] = []
        transport, counting = await asyncio.get_running_loop().create_connection(Counting, sock=ours)
        coalescing = Coalescing(NAP_S, lambda: counting.frames, lambda: bool(listeners), stopped)
        running = asyncio.create_task(coalescing.run())
        sender.start()
        await until(lambda: coalescing.is_napping)
        frames, reads = counting.frames, counting.reads
        await until(lambda: counting.frames - frames > 1000)
        # The sender may come to its turn seldom as well; on a quiet machine it is thirty a read.
        assert counting.frames - frames > 4 * (counting.reads - reads)
        listeners.append("a bot")
        await until(lambda: not coalescing.is_napping)
        await asyncio.sleep(2 * LOOK_S)
        assert not coalescing.is_napping
        listeners.clear()
        await until(lambda: coalescing.is_napping)
        ending.set()
        await until(lambda: not sender.is_alive() and counting.frames == sent and not coalescing.is_napping)
        stopped.set()
        await running
        transport.close()

    asyncio.run(scene())


def test_a_stop_ends_the_naps() -> None:
    async def scene() -> None:
        stopped = asyncio.Event()
        frames = iter(range(0, 10**9, 10**6))
        coalescing = Coalescing(NAP_S, lambda: next(frames), lambda: False, stopped)
        running = asyncio.create_task(coalescing.run())
        await until(lambda: coalescing.is_napping)
        stopped.set()
        await running
        begun_s = time.monotonic()
        for _ in range(100):
            await asyncio.sleep(0)
        assert time.monotonic() - begun_s < 100 * NAP_S  # as many naps would take longer

    asyncio.run(scene())
