"""Which books are asked for again, and when."""

from dataclasses import dataclass, field
from types import SimpleNamespace

from collector.live.resync import Resyncs, longest_stall_s
from collector.network.allowance import Need
from collector.retry import Backoff

TOPIC = "orderbook.50.BTCUSDT"


@dataclass
class Stream:
    topic: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(name=TOPIC))
    verified: bool = True
    last_update_at_ns: int = 0
    near_the_edge: bool = False


class LongestDraw(Backoff):
    """Jitter that always draws the longest wait."""

    def wait_s(self, attempt: int, draw: float | None = None) -> float:
        del draw
        return super().wait_s(attempt, 1.0)


def make() -> Resyncs:
    return Resyncs(
        backoff=LongestDraw(1.0, 60.0),
        snapshot_timeout_s=30.0,
        stale_after_s=10.0,
        max_mismatches=3,
        mismatch_window_s=60.0,
    )


def due(resyncs: Resyncs, stream: Stream, now_s: float) -> bool:
    return resyncs.due([stream], int(now_s * 1e9), now_s) == [TOPIC]  # type: ignore[list-item]


def test_the_first_break_is_mended_at_once_and_the_next_ones_wait() -> None:
    resyncs, stream = make(), Stream(verified=False)
    resyncs.asked([TOPIC], 0.0)
    resyncs.broke(TOPIC, 1.0)
    assert due(resyncs, stream, 1.0)
    resyncs.asked([TOPIC], 1.0)
    assert not due(resyncs, stream, 1.1)


def test_a_book_that_keeps_breaking_waits_twice_as_long_each_time() -> None:
    resyncs = make()
    waits = []
    for _ in range(4):
        resyncs.broke(TOPIC, 2.0)
        waits.append(resyncs._topics[TOPIC].due_s - 2.0)
    assert waits == [0.0, 1.0, 2.0, 4.0]


def test_snapshots_that_fail_are_asked_for_ever_more_rarely() -> None:
    resyncs = make()
    resyncs.asked([TOPIC], 0.0)
    waits = []
    for _ in range(4):
        resyncs.failed(TOPIC, 2.0)
        waits.append(resyncs._topics[TOPIC].due_s - 2.0)
    assert waits == [1.0, 2.0, 4.0, 8.0]


def test_a_book_that_was_verified_meanwhile_is_mended_at_once_again() -> None:
    resyncs, stream = make(), Stream(last_update_at_ns=int(10e9))
    resyncs.asked([TOPIC], 0.0)
    for at_s in (1.0, 2.0):
        resyncs.broke(TOPIC, at_s)
    resyncs.asked([TOPIC], 3.0)
    assert not due(resyncs, stream, 10.0)  # verified
    resyncs.broke(TOPIC, 11.0)
    stream.verified = False
    assert due(resyncs, stream, 11.0)


def test_a_book_near_its_edge_is_fetched_again_after_a_second() -> None:
    resyncs, stream = make(), Stream(near_the_edge=True)
    resyncs.asked([TOPIC], 0.0)
    assert not due(resyncs, stream, 1.0)
    assert due(resyncs, stream, 1.1)


def test_the_one_too_many_within_the_window_is_told_once() -> None:
    resyncs = make()
    assert [resyncs.broke(TOPIC, at_s) for at_s in (0.0, 1.0, 2.0, 3.0)] == [False, False, True, False]
    assert [resyncs.broke(TOPIC, at_s) for at_s in (100.0, 101.0, 102.0)] == [False, False, True]


def test_a_snapshot_that_never_comes_is_asked_for_again() -> None:
    resyncs, stream = make(), Stream(verified=False)
    resyncs.asked([TOPIC], 0.0)
    assert not due(resyncs, stream, 29.0)
    assert due(resyncs, stream, 31.0)


def test_a_silent_topic_is_questioned_ever_more_rarely() -> None:
    resyncs, stream = make(), Stream(last_update_at_ns=0)
    resyncs.asked([TOPIC], 0.0)
    asked = []
    for now in range(1, 1300):
        if due(resyncs, stream, float(now)):
            asked.append(now)
            resyncs.answered(TOPIC, float(now), quiet=True)
    assert asked == [11, 32, 73, 154, 315, 616, 917, 1218]


def test_a_message_of_a_quiet_market_does_not_make_it_lively() -> None:
    """A message each fifteen seconds: a question of each silence would be one each fifteen seconds."""
    resyncs, stream = make(), Stream(last_update_at_ns=0)
    resyncs.asked([TOPIC], 0.0)
    asked = 0
    for now in range(1, 3600):
        stream.last_update_at_ns = int(now // 15 * 15 * 1e9)
        if due(resyncs, stream, float(now)):
            asked += 1
            resyncs.answered(TOPIC, float(now), quiet=True)
    assert asked == 1


def test_a_market_that_was_lively_for_long_is_questioned_early_again() -> None:
    resyncs, stream = make(), Stream(last_update_at_ns=0)
    resyncs.asked([TOPIC], 0.0)
    for _ in range(4):
        resyncs.answered(TOPIC, 20.0, quiet=True)
    for now in range(21, 325):
        stream.last_update_at_ns = int(now * 1e9)
        assert not due(resyncs, stream, float(now))
    assert not due(resyncs, stream, 333.0)
    assert due(resyncs, stream, 335.0)


def test_a_stall_that_was_found_makes_its_topic_suspicious_early_again() -> None:
    resyncs, stream = make(), Stream(last_update_at_ns=0)
    resyncs.asked([TOPIC], 0.0)
    for _ in range(4):
        resyncs.answered(TOPIC, 20.0, quiet=True)
    resyncs.answered(TOPIC, 20.0, quiet=False)
    assert due(resyncs, stream, 31.0)


def test_a_question_that_nobody_took_waits_ever_longer_and_an_answer_ends_that() -> None:
    resyncs, stream = make(), Stream(last_update_at_ns=0)
    resyncs.asked([TOPIC], 0.0)
    assert due(resyncs, stream, 11.0)
    for wait_s in (1.0, 2.0, 4.0):
        resyncs.failed(TOPIC, 100.0)
        assert not due(resyncs, stream, 100.0 + wait_s - 0.1)
        assert due(resyncs, stream, 100.0 + wait_s)
    resyncs.answered(TOPIC, 100.0, quiet=False)
    resyncs.failed(TOPIC, 200.0)
    assert due(resyncs, stream, 201.0)


def test_what_is_needed_most_comes_first() -> None:
    def named(name: str, **state: bool) -> Stream:
        return Stream(SimpleNamespace(name=name), last_update_at_ns=0, **state)  # type: ignore[arg-type]

    resyncs = make()
    silent, edge = named("silent"), named("edge", near_the_edge=True)
    first, broken = named("first", verified=False), named("broken", verified=False)
    resyncs.asked(["silent", "edge", "first", "broken"], 0.0)
    resyncs.wanted(["first"], 0.0)
    resyncs.broke("broken", 0.0)
    needs = resyncs.needs([silent, edge, first, broken], int(20e9), 20.0)  # type: ignore[list-item]
    assert needs == [
        (Need.BROKEN, broken),
        (Need.FIRST, first),
        (Need.EDGE, edge),
        (Need.QUESTION, silent),
    ]


def test_a_book_that_was_verified_by_itself_is_not_asked_for() -> None:
    resyncs, stream = make(), Stream(last_update_at_ns=int(10e9))
    resyncs.asked([TOPIC], 9.0)
    resyncs.broke(TOPIC, 10.0)
    assert not due(resyncs, stream, 10.0)


def test_how_long_a_stall_can_hide_is_known() -> None:
    both = longest_stall_s(10.0, rest_timeout_s=20.0, stream_timeout_s=40.0)
    assert both == 300.0 + 20.0 + 5.0 + 40.0 + 1.0
    assert longest_stall_s(900.0, rest_timeout_s=20.0, stream_timeout_s=None) == 900.0 + 20.0 + 5.0 + 1.0
    assert longest_stall_s(10.0, rest_timeout_s=None, stream_timeout_s=40.0) == 300.0 + 40.0 + 1.0
