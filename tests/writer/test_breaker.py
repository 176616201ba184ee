"""Closed, open, half open: when a database that refuses is tried again."""

from collector.retry import Backoff
from collector.writer.breaker import Breaker, BreakerState

CLOSED, OPEN, HALF_OPEN = BreakerState


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Longest(Backoff):
    """A backoff that draws the longest wait."""

    def wait_s(self, attempt: int, draw: float | None = None) -> float:
        del draw
        return super().wait_s(attempt, 1.0)


def make() -> tuple[Breaker, Clock, list[tuple[str, str]]]:
    clock, told = Clock(), list[tuple[str, str]]()
    breaker = Breaker(
        3,
        Longest(0.1, 1.0),
        Longest(0.5, 4.0),
        now_s=clock,
        on_change=lambda state, cause: told.append((state.value, cause)),
    )
    return breaker, clock, told


def fail(breaker: Breaker, clock: Clock, times: int) -> list[float]:
    waits = []
    for _ in range(times):
        assert breaker.ready()
        breaker.failed("away")
        waits.append(round(breaker.wait_s, 6))
        assert not breaker.ready()
        clock.now_s += breaker.wait_s
    return waits


def test_a_few_failures_are_tried_again_soon_and_then_it_opens() -> None:
    breaker, clock, told = make()
    assert fail(breaker, clock, 3) == [0.1, 0.2, 0.5]
    assert told == [("open", "away")]


def test_an_open_one_lets_one_try_through_and_waits_longer_each_time() -> None:
    breaker, clock, told = make()
    assert fail(breaker, clock, 8) == [0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
    assert [state for state, _ in told] == ["open", *["half_open", "open"] * 5]
    assert breaker.openings == 1


def test_a_success_closes_it_and_all_begins_anew() -> None:
    breaker, clock, told = make()
    fail(breaker, clock, 4)
    assert breaker.ready()
    breaker.succeeded()
    assert breaker.state is CLOSED
    assert told[-1] == ("closed", "")
    assert fail(breaker, clock, 3) == [0.1, 0.2, 0.5]
    assert breaker.openings == 2


def test_a_success_while_closed_is_nothing_to_tell() -> None:
    breaker, clock, told = make()
    fail(breaker, clock, 2)
    breaker.succeeded()
    assert (breaker.wait_s, told) == (0.0, [])
    assert HALF_OPEN
    assert OPEN
