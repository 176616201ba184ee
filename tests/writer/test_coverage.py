"""What a segment says of itself, from its beginning over its rows to its end."""

import pytest

from collector.events.batch import Liveness, SegmentClosed, SegmentOpened, StreamKey, Witnessed
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
