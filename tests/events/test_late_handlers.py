"""A handler that does not return, or that loses events, is told: once, and again when it happens again."""

import threading
from typing import Any

import pytest

from collector.events.bus import EventBus
from collector.events.lateness import SPELL_S, LateWatch
from collector.events.notices import ClockStep
from collector.events.subscriber import Delivery, HandlerFailure, HandlerLate


def delivery(*, busy_s: float = 0.0, dropped: int = 0) -> Delivery:
    return Delivery("bot", 0, 0, dropped, 7, busy_s)


def told_by(*looks: Delivery) -> list[HandlerLate]:
    told: list[HandlerLate] = []
    watch = LateWatch(list, told.append, late_after_s=10.0)
    for look in looks:
        watch.check([look])
    return told


def test_a_call_that_takes_long_is_told_once_and_the_next_one_again() -> None:
    late, quick = delivery(busy_s=12.0), delivery(busy_s=0.5)
    assert told_by(quick, late, late, quick, late) == [HandlerLate("bot", 12.0, 7, 0)] * 2


def test_losses_that_follow_each_other_are_told_once() -> None:
    calm = [delivery(dropped=3)] * int(SPELL_S)
    told = told_by(delivery(), delivery(dropped=1), delivery(dropped=3), *calm, delivery(dropped=4))
    assert told == [HandlerLate("bot", 0.0, 7, 1), HandlerLate("bot", 0.0, 7, 4)]


def test_the_bus_publishes_that_a_handler_does_not_return() -> None:
    go, heard = threading.Event(), threading.Event()
    told: list[Any] = []

    def hear(late: HandlerLate) -> None:
        told.append(late)
        heard.set()

    bus = EventBus(late_after_s=0.04)
    bus.attach(HandlerLate, hear)
    bus.subscribe(ClockStep, lambda _: go.wait(60.0), name="stuck")
    bus.start()
    try:
        bus.publish(ClockStep(1, 0.0))
        assert heard.wait(60.0)
    finally:
        go.set()
        assert bus.stop() == []
    assert (told[0].subscriber, told[0].for_s >= 0.04) == ("stuck", True)
    assert not [one for one in threading.enumerate() if one.name.startswith("events ")]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_a_handler_that_would_end_its_thread_goes_on_and_is_told(error: BaseException) -> None:
    failures: list[HandlerFailure] = []
    seen: list[object] = []

    def exits(event: object) -> None:
        seen.append(event)
        raise error

    bus = EventBus(failures.append)
    bus.subscribe(ClockStep, exits, name="exits")
    bus.start()
    bus.publish(ClockStep(1, 0.0))
    bus.publish(ClockStep(2, 0.0))
    bus.stop()
    assert len(seen) == len(failures) == 2
    assert failures[0].error is error
    (one,) = bus.deliveries()
    assert (one.failed, one.dropped, one.asked_to_exit) == (2, 0, 2 * isinstance(error, SystemExit))
