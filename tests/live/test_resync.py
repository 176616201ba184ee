"""Which books are asked for again, and when."""

from dataclasses import dataclass, field
from types import SimpleNamespace

from collector.live.resync import Resyncs
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
    for now in range(1, 700):
        if due(resyncs, stream, float(now)):
            asked.append(now)
            resyncs.asked([TOPIC], float(now))
    assert asked == [11, 32, 73, 154, 315, 616]


def test_news_make_a_topic_lively_again() -> None:
    resyncs, stream = make(), Stream(last_update_at_ns=0)
    resyncs.asked([TOPIC], 0.0)
    assert due(resyncs, stream, 11.0)
    resyncs.asked([TOPIC], 11.0)
    stream.last_update_at_ns = int(12e9)
    assert not due(resyncs, stream, 13.0)
    assert due(resyncs, stream, 23.0)
