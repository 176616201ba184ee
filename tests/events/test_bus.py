"""Publishing never blocks and never raises; a subscriber's troubles are its own."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from collector.errors import UserError
from collector.events.bus import EventBus
from collector.events.notices import ClockStep, SnapshotFailed
from collector.events.subscriber import Delivery, HandlerFailure

DEADLINE_S = 60.0
FIRST, SECOND, THIRD = (ClockStep(number, 0.0) for number in range(3))


def wait_until(condition: Callable[[], object]) -> None:
    until_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.002)


class Gate:
    """A handler that waits until it is let go."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.entered = threading.Event()
        self.seen: list[object] = []

    def __call__(self, event: object) -> None:
        self.entered.set()
        assert self.opened.wait(DEADLINE_S)
        self.seen.append(event)


@pytest.fixture
def failures() -> list[HandlerFailure]:
    return []


@pytest.fixture
def bus(failures: list[HandlerFailure]) -> Iterator[EventBus]:
    bus = EventBus(failures.append)
    bus.start()
    yield bus
    bus.stop()
    assert not [one for one in threading.enumerate() if one.name.startswith("events ")]


def broken(_event: object) -> None:
    raise ValueError("mine")


def test_an_event_goes_to_those_who_asked_for_its_type_in_a_thread_of_their_own(bus: EventBus) -> None:
    seen: list[tuple[object, str]] = []
    bus.subscribe(ClockStep, lambda event: seen.append((event, threading.current_thread().name)), name="one")
    bus.subscribe(SnapshotFailed, lambda event: seen.append((event, "")))
    bus.publish(FIRST)
    wait_until(lambda: seen)
    assert seen == [(FIRST, "events one")]


def test_one_handler_hears_several_types_in_the_order_they_were_published(bus: EventBus) -> None:
    seen: list[object] = []
    bus.subscribe((ClockStep, SnapshotFailed), seen.append)
    failed = SnapshotFailed("bybit", "BTC/USDT", 1, "")
    for event in (FIRST, failed, SECOND):
        bus.publish(event)
    wait_until(lambda: len(seen) == 3)
    assert seen == [FIRST, failed, SECOND]


def test_wanted_says_whether_anybody_listens(bus: EventBus) -> None:
    assert not bus.wanted(ClockStep)
    detach, unsubscribe = bus.attach(ClockStep, lambda _: None), bus.subscribe(ClockStep, lambda _: None)
    detach()
    assert bus.wanted(ClockStep)
    unsubscribe()
    assert not bus.wanted(ClockStep)


def test_a_slow_subscriber_loses_its_own_oldest_and_holds_up_nobody(bus: EventBus) -> None:
    slow, quick = Gate(), list[object]()
    bus.subscribe(ClockStep, slow, name="slow", most_waiting=2)
    bus.subscribe(ClockStep, quick.append, name="quick")
    events = [ClockStep(number, 0.0) for number in range(100)]
    bus.publish(events[0])
    assert slow.entered.wait(DEADLINE_S)
    for event in events[1:]:
        bus.publish(event)
    wait_until(lambda: len(quick) == 100)
    slow.opened.set()
    wait_until(lambda: len(slow.seen) == 3)
    assert slow.seen == [events[0], events[98], events[99]]
    wait_until(lambda: bus.deliveries()[0].handled == 3)
    assert bus.deliveries() == [Delivery("slow", 3, 0, 97, 0), Delivery("quick", 100, 0, 0, 0)]


def test_one_that_raises_is_counted_reported_and_harms_nobody(
    bus: EventBus, failures: list[HandlerFailure]
) -> None:
    seen: list[object] = []
    bus.subscribe(ClockStep, broken, name="broken")
    bus.subscribe(ClockStep, seen.append)
    bus.publish(FIRST)
    bus.publish(SECOND)
    wait_until(lambda: len(seen) == len(failures) == 2)
    assert [(one.subscriber, one.event, str(one.error), one.count) for one in failures] == [
        ("broken", FIRST, "mine", 1),
        ("broken", SECOND, "mine", 2),
    ]
    assert bus.deliveries()[0] == Delivery("broken", 0, 2, 0, 0)


def test_what_is_attached_is_called_by_the_publisher_and_may_raise(failures: list[HandlerFailure]) -> None:
    bus, seen = EventBus(failures.append), list[object]()
    bus.attach(ClockStep, broken)
    detach = bus.attach(ClockStep, seen.append)
    bus.publish(FIRST)
    assert seen == [FIRST]
    assert [one.subscriber for one in failures] == ["broken"]
    detach()
    bus.publish(SECOND)
    assert seen == [FIRST]


def test_stop_hands_over_what_waits_and_start_goes_on(bus: EventBus) -> None:
    seen: list[object] = []
    bus.subscribe(ClockStep, seen.append)
    bus.publish(FIRST)
    assert bus.stop() == []
    assert seen == [FIRST]
    bus.publish(SECOND)
    bus.start()
    bus.publish(THIRD)
    assert bus.stop() == []
    assert bus.stop() == []
    assert seen == [FIRST, THIRD]


def test_what_was_published_before_the_start_waits_for_it() -> None:
    bus, seen = EventBus(), list[object]()
    bus.subscribe(ClockStep, seen.append)
    bus.publish(FIRST)
    assert seen == []
    bus.start()
    bus.stop()
    assert seen == [FIRST]


def test_a_handler_that_does_not_return_is_named_and_loses_what_waited(bus: EventBus) -> None:
    gate = Gate()
    bus.subscribe(ClockStep, gate, name="stuck")
    for event in (FIRST, SECOND, THIRD):
        bus.publish(event)
    assert gate.entered.wait(DEADLINE_S)
    assert bus.stop(timeout_s=0.0) == ["stuck"]
    gate.opened.set()
    wait_until(lambda: gate.seen)
    assert gate.seen == [FIRST]
    assert bus.deliveries()[0].dropped == 2
    wait_until(lambda: not [one for one in threading.enumerate() if one.name == "events stuck"])


def test_a_handler_may_unsubscribe_itself(bus: EventBus) -> None:
    seen: list[object] = []

    def once(event: ClockStep) -> None:
        seen.append(event)
        unsubscribe()

    unsubscribe = bus.subscribe(ClockStep, once)
    bus.publish(FIRST)
    wait_until(lambda: not bus.wanted(ClockStep))
    bus.publish(SECOND)
    wait_until(lambda: not [one for one in threading.enumerate() if one.name.startswith("events ")])
    assert seen == [FIRST]


def test_a_handler_may_stop_the_bus(bus: EventBus) -> None:
    done = threading.Event()

    def stop(_event: ClockStep) -> None:
        assert bus.stop() == []
        done.set()

    bus.subscribe(ClockStep, stop)
    bus.publish(FIRST)
    assert done.wait(DEADLINE_S)


def test_subscribers_of_one_name_are_told_apart(bus: EventBus) -> None:
    for _ in range(3):
        bus.subscribe(ClockStep, broken, name="bot")
    assert [one.subscriber for one in bus.deliveries()] == ["bot", "bot #2", "bot #3"]


def test_nothing_is_lost_or_doubled_between_threads(bus: EventBus) -> None:
    def handle(_event: ClockStep) -> None:
        pass

    bus.subscribe(ClockStep, handle, name="counted", most_waiting=3)

    def publish() -> None:
        for number in range(5000):
            bus.publish(ClockStep(number, 0.0))

    threads = [threading.Thread(target=publish) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bus.stop()
    (one,) = bus.deliveries()
    assert one.handled + one.dropped == 15_000
    assert one.waiting == one.failed == 0


def test_what_an_attached_handler_raised_is_told_with_its_event_and_its_count() -> None:
    failures: list[HandlerFailure] = []
    told = EventBus(failures.append)
    error = ValueError("mine")

    def fails(_event: ClockStep) -> None:
        raise error

    told.attach(ClockStep, fails)
    told.publish(FIRST)
    told.publish(SECOND)
    name = (
        f"{test_what_an_attached_handler_raised_is_told_with_its_event_and_its_count.__name__}.<locals>.fails"
    )
    assert failures == [HandlerFailure(name, FIRST, error, 1), HandlerFailure(name, SECOND, error, 2)]


@pytest.mark.parametrize("kinds", ["ClockStep", [ClockStep], (ClockStep, "SnapshotFailed"), None, ()])
def test_what_is_no_type_of_event_is_refused(kinds: Any) -> None:
    """It would be in silence, for ever: no event is of it."""
    bus = EventBus()
    with pytest.raises(UserError, match=r"expected a type of event, such as L2Update, or a tuple of some"):
        bus.subscribe(kinds, print)
    assert bus.deliveries() == []


@pytest.mark.parametrize("most", [0, -1, "10", 2.5, None, True])
def test_a_queue_that_holds_nothing_is_refused_before_it_can_harm_who_publishes(most: Any) -> None:
    bus = EventBus()
    with pytest.raises(UserError, match=r"most_waiting is .*; expected a whole number from 1"):
        bus.subscribe(ClockStep, print, most_waiting=most)
    with pytest.raises(UserError, match=r"loop is 5; expected an event loop of asyncio, or None"):
        bus.subscribe(ClockStep, print, loop=5)  # type: ignore[call-overload]
    bus.start()
    bus.publish(FIRST)
    bus.stop()
    assert bus.deliveries() == []
