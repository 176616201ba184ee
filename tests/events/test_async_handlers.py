"""Handlers that are `async def` run, one event after the other, and count as any other."""

import asyncio
import functools
import threading
import time
from asyncio import CancelledError
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from collector.errors import UserError
from collector.events.bus import EventBus
from collector.events.notices import ClockStep
from collector.events.subscriber import Delivery, HandlerFailure

DEADLINE_S = 60.0
EVENTS = [ClockStep(number, 0.0) for number in range(100)]


def eventually(condition: Callable[[], object]) -> None:
    until_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.002)


async def soon(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110  (what other threads do is awaited)
            await asyncio.sleep(0.002)


def left() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("events ")]


@pytest.fixture
def failures() -> list[HandlerFailure]:
    return []


@pytest.fixture
def bus(failures: list[HandlerFailure]) -> Iterator[EventBus]:
    bus = EventBus(failures.append)
    bus.start()
    yield bus
    bus.stop()
    assert not left()


class Called:
    """An object whose call is a coroutine."""

    def __init__(self, seen: list[object]) -> None:
        self.seen = seen

    async def __call__(self, event: object) -> None:
        await asyncio.sleep(0)
        self.seen.append(event)


def forms(seen: list[object]) -> list[Callable[[Any], object]]:
    called = Called(seen)

    async def plain(event: object) -> None:
        await called(event)

    async def more(_number: int, event: object) -> None:
        await called(event)

    return [plain, functools.partial(more, 1), called, lambda event: called(event)]  # noqa: PLW0108


@pytest.mark.parametrize("number", range(4))
def test_each_form_of_a_coroutine_runs_in_order(bus: EventBus, number: int) -> None:
    seen: list[object] = []
    bus.subscribe(ClockStep, forms(seen)[number], name="async")
    for event in EVENTS:
        bus.publish(event)
    bus.stop()
    assert seen == EVENTS
    assert bus.deliveries() == [Delivery("async", 100, 0, 0, 0)]


def test_it_counts_as_handled_when_it_is_done_and_what_has_no_room_is_dropped(bus: EventBus) -> None:
    entered, go = threading.Event(), threading.Event()
    seen: list[object] = []

    async def slow(event: object) -> None:
        entered.set()
        await asyncio.to_thread(go.wait, DEADLINE_S)
        seen.append(event)

    bus.subscribe(ClockStep, slow, name="slow", most_waiting=2)
    bus.publish(EVENTS[0])
    assert entered.wait(DEADLINE_S)
    for event in EVENTS[1:5]:
        bus.publish(event)
    (one,) = bus.deliveries()
    assert (one.handled, one.dropped, one.waiting) == (0, 2, 2)
    assert one.busy_s > 0
    go.set()
    bus.stop()
    assert seen == [EVENTS[0], EVENTS[3], EVENTS[4]]
    assert bus.deliveries() == [Delivery("slow", 3, 0, 2, 0)]


@pytest.mark.parametrize("error", [ValueError("mine"), TimeoutError(), SystemExit(1), CancelledError()])
def test_what_it_raises_is_counted_and_told_and_it_goes_on(
    bus: EventBus, failures: list[HandlerFailure], error: BaseException
) -> None:
    async def broken(_event: object) -> None:
        await asyncio.sleep(0)
        raise error

    bus.subscribe(ClockStep, broken, name="broken")
    bus.publish(EVENTS[0])
    bus.publish(EVENTS[1])
    eventually(lambda: len(failures) == 2)
    assert [(one.event, one.count) for one in failures] == [(EVENTS[0], 1), (EVENTS[1], 2)]
    if not isinstance(error, CancelledError):
        assert failures[0].error is error
    assert bus.deliveries()[0].failed == 2


def test_what_it_began_goes_on_between_two_events_on_a_loop_of_its_own(bus: EventBus) -> None:
    ticked, loops = threading.Event(), list[Any]()

    async def begin(_event: object) -> None:
        async def later() -> None:
            await asyncio.sleep(0.01)
            ticked.set()

        loops.append((asyncio.get_running_loop(), asyncio.create_task(later())))

    bus.subscribe(ClockStep, begin)
    bus.publish(EVENTS[0])
    assert ticked.wait(DEADLINE_S)
    bus.stop()
    assert loops[0][0].is_closed()


def test_it_runs_on_the_loop_that_runs_where_it_is_subscribed(bus: EventBus) -> None:
    seen: list[object] = []

    async def on_mine(_event: object) -> None:
        seen.append(asyncio.get_running_loop())

    async def main() -> None:
        mine = asyncio.get_running_loop()
        end = bus.subscribe(ClockStep, on_mine)
        bus.publish(EVENTS[0])
        await soon(lambda: seen)
        assert seen == [mine]
        end()  # in the loop that runs it: returns at once
        await asyncio.to_thread(eventually, lambda: not left())

    asyncio.run(main())


def test_it_runs_on_the_loop_that_is_given_and_on_its_own_once_that_has_ended(bus: EventBus) -> None:
    seen: list[object] = []

    async def note(_event: object) -> None:
        seen.append(asyncio.get_running_loop())

    async def main() -> asyncio.AbstractEventLoop:
        mine = asyncio.get_running_loop()
        await asyncio.to_thread(lambda: bus.subscribe(ClockStep, note, loop=mine))
        bus.publish(EVENTS[0])
        await soon(lambda: seen)
        return mine

    assert asyncio.run(main()) is seen[0]
    bus.publish(EVENTS[1])
    eventually(lambda: len(seen) == 2)
    assert seen[1] is not seen[0]


def test_one_under_way_when_its_loop_ends_has_failed(bus: EventBus, failures: list[HandlerFailure]) -> None:
    async def for_ever(_event: object) -> None:
        entered.set()
        await asyncio.Event().wait()

    entered = threading.Event()

    async def main() -> None:
        bus.subscribe(ClockStep, for_ever, name="mine")
        bus.publish(EVENTS[0])
        await soon(entered.is_set)

    asyncio.run(main())
    eventually(lambda: failures)
    assert "it was cancelled before its end" in str(failures[0].error)


def test_a_loop_that_stops_without_a_word_holds_up_nothing(
    bus: EventBus, failures: list[HandlerFailure]
) -> None:
    entered = threading.Event()

    async def for_ever(_event: object) -> None:
        entered.set()
        await asyncio.Event().wait()

    loop = asyncio.new_event_loop()
    loop.call_soon(lambda: (bus.subscribe(ClockStep, for_ever), bus.publish(EVENTS[0])))

    def stop_once_entered() -> None:
        loop.stop() if entered.is_set() else loop.call_later(0.002, stop_once_entered)

    loop.call_soon(stop_once_entered)
    loop.run_forever()
    eventually(lambda: failures)
    assert "its event loop ended before it did" in str(failures[0].error)
    loop.run_until_complete(asyncio.sleep(0.01))  # the cancelled call ends
    loop.close()


def test_stop_waits_for_one_under_way_within_its_bound_and_then_cancels_it(
    bus: EventBus, failures: list[HandlerFailure]
) -> None:
    ended: list[str] = []

    async def note_the_end(_event: object) -> None:
        entered.set()
        try:
            await asyncio.sleep(DEADLINE_S * 10)
        finally:
            ended.append("cancelled")

    entered = threading.Event()
    bus.subscribe(ClockStep, note_the_end, name="slow")
    bus.publish(EVENTS[0])
    bus.publish(EVENTS[1])
    assert entered.wait(DEADLINE_S)
    began_s = time.monotonic()
    bus.stop(timeout_s=0.05)
    assert time.monotonic() - began_s < 30.0
    eventually(lambda: ended == ["cancelled"] and not left())
    assert [one.event for one in failures] == [EVENTS[0]]
    (one,) = bus.deliveries()
    assert (one.handled, one.failed, one.dropped, one.waiting) == (0, 1, 1, 0)


def test_one_that_blocks_its_own_loop_holds_up_no_other_and_no_stop(bus: EventBus) -> None:
    go, seen = threading.Event(), list[object]()

    async def blocks(_event: object) -> None:
        go.wait(DEADLINE_S)

    async def quick(event: object) -> None:
        seen.append(event)

    bus.subscribe(ClockStep, blocks, name="blocks")
    bus.subscribe(ClockStep, quick, name="quick")
    for event in EVENTS:
        bus.publish(event)
    eventually(lambda: len(seen) == 100)
    assert bus.stop(timeout_s=0.05) == ["blocks"]
    go.set()
    eventually(lambda: not left())


def test_it_may_end_its_own_subscription_and_stop_the_bus(bus: EventBus) -> None:
    done: list[str] = []

    async def once(_event: object) -> None:
        end()
        done.append("ended")

    async def stops(_event: object) -> None:
        assert await asyncio.to_thread(bus.stop) == []
        done.append("stopped")

    end = bus.subscribe(ClockStep, once)
    bus.publish(EVENTS[0])
    eventually(lambda: done == ["ended"])
    bus.subscribe(ClockStep, stops)
    bus.publish(EVENTS[1])
    eventually(lambda: done == ["ended", "stopped"])
    eventually(lambda: not left())


def test_what_would_never_run_is_refused(bus: EventBus) -> None:
    async def coroutine(_event: object) -> None: ...

    with pytest.raises(UserError, match="is async and would never run here; use subscribe"):
        bus.attach(ClockStep, coroutine)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="the handler is None; expected a function, plain or async"):
        bus.subscribe(ClockStep, None)  # type: ignore[call-overload]


def test_nothing_of_the_old_thread_is_left_after_a_start_again(bus: EventBus) -> None:
    seen: list[str] = []

    async def note(_event: object) -> None:
        seen.append(threading.current_thread().name)

    bus.subscribe(ClockStep, note, name="one")
    for _ in range(3):
        bus.publish(EVENTS[0])
        bus.stop()
        assert not left()
        bus.start()
    assert seen == ["events one loop"] * 3
