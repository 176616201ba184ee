"""What a segment says of itself, from its beginning over its rows to its end."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.events.batch import NO_INT, Liveness, SegmentClosed, SegmentOpened, StreamKey, Witnessed
from collector.events.settled import HELD, SAMPLED_OUT, STORED, Settled
from collector.sinks.contract import SegmentState
from collector.writer.coverage import Coverage

KEY = StreamKey("bybit", "BTC/USDT", "trade")


def coverage(*, covers_silence: bool = True) -> Coverage:
    one = Coverage("session", lambda _: KEY)
    one.open(SegmentOpened(7, 0, 100, "sequence", Liveness(), covers_silence))
    return one


def taken(one: Coverage) -> SegmentState:
    (state,) = one.take_changed()
    return state


def test_a_segment_that_covers_silence_is_told_from_its_beginning() -> None:
    one = coverage()
    state = taken(one)
    assert (state.segment_id, state.session_id, state.verification) == (7, "session", "sequence")
    assert (state.exchange, state.symbol, state.channel) == KEY
    assert (state.start_ns, state.end_ns, state.alive_until_ns, state.rows) == (100, 100, 100, 0)
    assert (state.end_cause, state.detail) == (None, None)
    assert one.take_changed() == ()


def test_a_segment_that_must_be_seen_is_not_told_without_a_row() -> None:
    one = coverage(covers_silence=False)
    one.alive({7: 150}, ())
    one.close(SegmentClosed(7, "stop", "", 200))
    assert one.take_changed() == ()


@pytest.mark.parametrize(
    ("detail", "until_ns", "told", "alive_until_ns"),
    [("why", None, "why", 100), ("", None, None, 100), ("why", 170, "why", 170), ("why", 90, "why", 100)],
)
def test_an_end_has_its_cause_and_doubt_pulls_it_back(
    detail: str, until_ns: int | None, told: str | None, alive_until_ns: int
) -> None:
    one = coverage()
    one.alive({7: 150}, ())
    assert taken(one).alive_until_ns == 150
    one.close(SegmentClosed(7, "sequence_gap", detail, until_ns))
    state = taken(one)
    assert (state.end_cause, state.detail, state.alive_until_ns) == ("sequence_gap", told, alive_until_ns)


def test_a_segment_is_alive_as_far_as_its_connection_was_and_never_less() -> None:
    one = coverage()
    assert taken(one).alive_until_ns == 100
    one.alive({7: 90}, ())
    assert one.take_changed() == ()
    one.alive({7: 120}, (7,))  # an update is held: it says more than the connection does
    assert one.take_changed() == ()
    one.alive({7: 120}, ())
    assert taken(one).alive_until_ns == 120


def test_comparisons_are_added_up_and_those_of_a_segment_that_ended_are_let_go() -> None:
    one = coverage()
    one.witnessed({7: Witnessed(3, 1), 8: Witnessed(9, 9)})
    one.witnessed({7: Witnessed(2, 0)})
    state = taken(one)
    assert (state.witnessed, state.disagreed) == (5, 1)


UPDATES = st.lists(
    st.tuples(
        st.sampled_from([3, 7, 8]), st.sampled_from([STORED, STORED, SAMPLED_OUT, HELD]), st.booleans()
    ),
    max_size=9,
)


def settled(updates: list[tuple[int, int, int, int]]) -> Settled:
    """Make what features hand on of (segment, fate, time, sequence)."""
    segments, fates, at_ns, sequences = np.array(updates, dtype=np.int64).reshape(-1, 4).T
    return Settled("book", {}, segments, segments, at_ns, sequences, fates=fates.astype(np.int8))


@settings(max_examples=25, deadline=None)
@given(st.lists(UPDATES, min_size=1, max_size=4), st.sets(st.integers(0, 3)))
def test_many_segments_at_once_are_extended_as_each_update_would(
    batches: list[list[tuple[int, int, bool]]], told_after: set[int]
) -> None:
    at_once, one_by_one = (Coverage("session", lambda _: KEY) for _ in range(2))
    for each in (at_once, one_by_one):
        for segment in (3, 7, 8):
            each.open(SegmentOpened(segment, 0, 100, "sequence", Liveness()))
    now = 1000
    for number, batch in enumerate(batches):
        updates = []
        for segment, fate, has_sequence in batch:
            now += 1
            updates.append((segment, fate, now, now if has_sequence else NO_INT))
        at_once.extend(settled(updates))
        for update in updates:
            one_by_one.extend(settled([update]))
        if number in told_after:
            assert by_segment(at_once) == by_segment(one_by_one)
    assert by_segment(at_once) == by_segment(one_by_one)


def by_segment(one: Coverage) -> list[SegmentState]:
    return sorted(one.take_changed(), key=lambda state: state.segment_id)


def test_what_was_sampled_away_before_the_first_row_belongs_to_the_segment() -> None:
    one = coverage(covers_silence=False)
    one.extend(settled([(7, SAMPLED_OUT, 110, 1)]))
    assert one.take_changed() == ()
    one.extend(settled([(7, STORED, 120, 2), (7, SAMPLED_OUT, 130, 3)]))
    state = taken(one)
    assert (state.first_sequence, state.last_sequence, state.end_ns, state.rows) == (1, 3, 130, 1)
    one.extend(settled([(7, STORED, 140, NO_INT)]))
    state = taken(one)
    assert (state.start_ns, state.first_sequence, state.last_sequence, state.rows) == (140, None, None, 1)
