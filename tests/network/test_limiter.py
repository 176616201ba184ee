"""The limiter for programs of the user's own: every window is kept, in order, in tasks and threads alike."""

import asyncio
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "live"))
from virtual_loop import run

from collector.network.limiter import RateLimiter

ROUNDING_S = 1e-6
Asked = tuple[float, int]  # after which pause, with which weight


def most_weight_within(began: list[tuple[float, int]], span_s: float) -> int:
    return max(
        sum(weight for at_s, weight in began if from_s <= at_s < from_s + span_s - ROUNDING_S)
        for from_s, _ in began
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.0, 3.0), st.integers(1, 3)), min_size=1, max_size=40),
    st.lists(st.tuples(st.integers(3, 20), st.sampled_from([0.5, 1.0, 10.0])), min_size=1, max_size=3),
)
def test_every_window_is_kept_and_the_order_of_asking(
    asked: list[Asked], limits: list[tuple[int, float]]
) -> None:
    async def scene() -> list[tuple[float, int, int]]:
        now_s = asyncio.get_running_loop().time
        limiter, began = RateLimiter(*limits, monotonic_s=now_s), list[tuple[float, int, int]]()

        async def one(number: int, weight: int) -> None:
            async with limiter.turn(weight):
                began.append((now_s(), weight, number))

        tasks = []
        for number, (pause_s, weight) in enumerate(asked):
            await asyncio.sleep(pause_s)
            tasks.append(asyncio.create_task(one(number, weight)))
        await asyncio.gather(*tasks)
        assert limiter.waiting == 0
        return began

    began = run(scene())
    assert [number for _, _, number in began] == list(range(len(asked)))
    for most, span_s in limits:
        assert most_weight_within([one[:2] for one in began], span_s) <= most


def test_two_windows_at_once() -> None:
    async def scene() -> list[float]:
        now_s = asyncio.get_running_loop().time
        limiter, began = RateLimiter((2, 1.0), (3, 10.0), monotonic_s=now_s), []
        for _ in range(7):
            async with limiter:
                began.append(now_s())
        return began

    assert run(scene()) == pytest.approx([0.0, 0.0, 1.0, 10.0, 10.0, 11.0, 20.0])


def test_who_is_cancelled_gives_his_place_to_the_next() -> None:
    async def scene() -> tuple[list[str], float]:
        now_s = asyncio.get_running_loop().time
        limiter, began = RateLimiter((1, 10.0), monotonic_s=now_s), list[str]()

        async def one(name: str) -> None:
            async with limiter:
                began.append(name)

        tasks = [asyncio.create_task(one(name)) for name in ("first", "given up", "last")]
        await asyncio.sleep(9.0)
        tasks[1].cancel()
        await asyncio.wait(tasks)
        return began, now_s()

    assert run(scene()) == (["first", "last"], pytest.approx(10.0))


def test_threads_and_loops_share_one() -> None:
    limiter, lock, began = RateLimiter((20, 0.2)), threading.Lock(), list[float]()

    def note() -> None:
        with lock:
            began.append(time.monotonic())

    def plainly() -> None:
        for _ in range(15):
            with limiter:
                note()

    async def in_a_loop() -> None:
        async def one() -> None:
            async with limiter:
                note()

        await asyncio.gather(*(one() for _ in range(15)))

    threads = [
        threading.Thread(target=plainly),
        threading.Thread(target=plainly),
        threading.Thread(target=lambda: asyncio.run(in_a_loop())),
        threading.Thread(target=lambda: asyncio.run(in_a_loop())),
    ]
    began_s = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
    assert not any(thread.is_alive() for thread in threads)
    assert len(began) == 60
    assert max(began) - began_s >= 0.4  # 20 at once, 20 after 0.2 s, 20 after 0.4 s


@pytest.mark.parametrize(
    "limits", [(), ((0, 1.0),), ((5, 0.0),), ((5, 1.0), (0.5, 2.0)), ((10, "s"),), (5,), ("5/s",)]
)
def test_limits_that_let_nothing_through_are_refused(limits: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="limits of"):
        RateLimiter(*limits)


@pytest.mark.parametrize("weight", [0.0, -1.0, 4.0])
def test_a_weight_that_never_fits_is_refused_at_once(weight: float) -> None:
    with pytest.raises(ValueError, match="of at most 3 expected"):
        RateLimiter((10, 1.0), (3, 60.0)).turn(weight)
