"""The small parts that everything leans on: clock, backoff, ids."""

from hypothesis import given
from hypothesis import strategies as st

from collector.clock import Clock
from collector.ids import SegmentIds, new_id
from collector.retry import Backoff

SECOND_NS = 1_000_000_000


class Hands:
    """Two clocks that a test moves."""

    def __init__(self) -> None:
        self.wall_ns = 1_700_000_000 * SECOND_NS
        self.monotonic_ns = 5 * SECOND_NS

    def pass_time(self, by_ns: int) -> None:
        self.wall_ns += by_ns
        self.monotonic_ns += by_ns

    def clock(self) -> Clock:
        return Clock(lambda: self.wall_ns, lambda: self.monotonic_ns)


def test_receipt_times_follow_the_monotonic_clock() -> None:
    hands = Hands()
    clock = hands.clock()
    hands.pass_time(7)
    hands.wall_ns += 500_000_000  # below the threshold: nothing happens
    assert clock.check() is None
    assert clock.now_ns() == 1_700_000_000 * SECOND_NS + 7


def test_a_stepped_wall_clock_is_noticed_and_taken_over() -> None:
    hands = Hands()
    clock = hands.clock()
    hands.wall_ns += 3600 * SECOND_NS
    assert clock.check() == 3600 * SECOND_NS
    assert clock.now_ns() == hands.wall_ns
    assert clock.check() is None


@given(
    st.lists(
        st.tuples(st.integers(0, 3 * SECOND_NS), st.integers(-5 * SECOND_NS, 5 * SECOND_NS)), max_size=30
    )
)
def test_receipt_times_run_backwards_only_by_a_step(moves: list[tuple[int, int]]) -> None:
    hands = Hands()
    clock = hands.clock()
    last_ns = clock.now_ns()
    for passed_ns, step_ns in moves:
        hands.pass_time(passed_ns)
        hands.wall_ns += step_ns
        stepped_ns = clock.check()
        now_ns = clock.now_ns()
        if stepped_ns is None:
            assert now_ns > last_ns
        else:
            assert now_ns == hands.wall_ns
        last_ns = now_ns


def test_stamps_do_not_stand_still_after_a_step_back() -> None:
    hands = Hands()
    clock = hands.clock()
    clock.now_ns()
    hands.wall_ns -= 7200 * SECOND_NS
    assert clock.check() == -7200 * SECOND_NS
    first_ns = clock.now_ns()
    hands.pass_time(SECOND_NS)
    assert clock.now_ns() - first_ns == SECOND_NS


@given(st.integers(0, 2000), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_drawn_below_a_ceiling_that_doubles_up_to_the_most(attempt: int, draw: float) -> None:
    wait_s = Backoff(0.2, 60.0).wait_s(attempt, draw)
    assert 0 <= wait_s <= min(60.0, 0.2 * 2.0 ** min(attempt, 30))


def test_ids_grow_and_differ() -> None:
    ids = SegmentIds()
    some = [ids.next() for _ in range(5000)]
    assert some == sorted(set(some))
    assert some[-1] < 2**63
    texts = [new_id() for _ in range(1000)]
    assert len(set(texts)) == 1000
    assert texts[0][14] == "7"
