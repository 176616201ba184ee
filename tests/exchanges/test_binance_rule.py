"""Binance's update ids: what follows what, and how a snapshot joins a stream."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.book.verified import Verdict
from collector.events.messages import Delta, Snapshot
from collector.exchanges.binance.rule import SpotContinuity, UsdmContinuity, rule_of

CONTINUES, REPEATS, RESTARTS, BREAKS = (
    Verdict.CONTINUES,
    Verdict.REPEATS,
    Verdict.RESTARTS,
    Verdict.BREAKS,
)


def delta(first: int | None, last: int | None, previous: int | None = None) -> Delta:
    return Delta("x@depth", last, 0, [], [], first, previous)


def test_each_kind_of_market_has_its_rule() -> None:
    assert isinstance(rule_of("spot", "book.10", {}), SpotContinuity)
    assert isinstance(rule_of("linear", "book.10", {}), UsdmContinuity)
    assert (
        rule_of("spot", "book.10", {}).verification
        == rule_of("linear", "book.10", {}).verification
        == "sequence"
    )


@pytest.mark.parametrize(
    ("last", "message", "verdict"),
    [
        (100, delta(101, 101), CONTINUES),
        (100, delta(101, 150), CONTINUES),
        (100, delta(102, 150), BREAKS),
        (100, delta(95, 100), REPEATS),
        (100, delta(95, 150), BREAKS),
        (100, delta(80, 94), BREAKS),
        (100, delta(None, 101), BREAKS),
        (100, delta(101, 150, previous=7), CONTINUES),
        (None, delta(101, 150), BREAKS),
        (None, delta(None, None), BREAKS),
    ],
)
def test_spot_continues_where_the_first_id_follows(
    last: int | None, message: Delta, verdict: Verdict
) -> None:
    assert SpotContinuity().judge_delta(last, message) is verdict


@pytest.mark.parametrize(
    ("last", "message", "verdict"),
    [
        (100, delta(101, 150, previous=100), CONTINUES),
        (100, delta(130, 150, previous=100), CONTINUES),
        (100, delta(130, 150, previous=120), BREAKS),
        (100, delta(101, 150, previous=99), BREAKS),
        (100, delta(101, 150), BREAKS),
        (100, delta(95, 100, previous=90), REPEATS),
        (100, delta(80, 94, previous=79), BREAKS),
        (None, delta(101, 150, previous=100), BREAKS),
        (None, delta(101, None), BREAKS),
    ],
)
def test_usdm_continues_where_the_previous_id_is_the_last(
    last: int | None, message: Delta, verdict: Verdict
) -> None:
    assert UsdmContinuity().judge_delta(last, message) is verdict


@pytest.mark.parametrize("rule", [SpotContinuity(), UsdmContinuity()])
@pytest.mark.parametrize(
    ("last", "sequence", "verdict"),
    [
        (100, 99, REPEATS),
        (100, 100, REPEATS),
        (100, 101, RESTARTS),
        (None, 100, RESTARTS),
        (100, None, RESTARTS),
    ],
)
def test_a_snapshot_in_mid_stream_is_news_only_if_it_is_newer(
    rule: SpotContinuity | UsdmContinuity, last: int | None, sequence: int | None, verdict: Verdict
) -> None:
    assert rule.judge_snapshot(last, Snapshot("x@depth", sequence, None, [], [])) is verdict


@pytest.mark.parametrize(
    ("message", "verdict"),
    [
        (delta(90, 99), REPEATS),
        (delta(90, 100), REPEATS),
        (delta(90, 101), CONTINUES),
        (delta(100, 120), CONTINUES),
        (delta(101, 101), CONTINUES),
        (delta(101, 120), CONTINUES),
        (delta(102, 120), BREAKS),
        (delta(None, 120), BREAKS),
        (delta(90, None), BREAKS),
    ],
)
def test_spot_joins_the_snapshot_100(message: Delta, verdict: Verdict) -> None:
    assert SpotContinuity().bridge(100, message) is verdict


@pytest.mark.parametrize(
    ("message", "verdict"),
    [
        (delta(90, 99, previous=80), REPEATS),
        (delta(90, 100, previous=80), CONTINUES),
        (delta(90, 120, previous=80), CONTINUES),
        (delta(100, 120, previous=80), CONTINUES),
        (delta(110, 120, previous=100), CONTINUES),
        (delta(101, 120, previous=101), BREAKS),
        (delta(110, 120, previous=99), BREAKS),
        (delta(110, 120), BREAKS),
        (delta(None, 120, previous=100), BREAKS),
    ],
)
def test_usdm_joins_the_snapshot_100(message: Delta, verdict: Verdict) -> None:
    assert UsdmContinuity().bridge(100, message) is verdict


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=30), st.data())
def test_any_snapshot_within_a_stream_joins_it_at_exactly_one_place(
    steps: list[tuple[int, int]], data: st.DataObject
) -> None:
    """A snapshot as of a message's end: all before is in it, one joins, the rest continues."""
    kind = data.draw(st.sampled_from(["spot", "linear"]))
    rule = rule_of(kind, "book.10", {})
    messages, last = [], 1000
    for skipped, more in steps:  # ids of other markets are skipped on USD-M only
        first = last + 1 + (skipped if kind == "linear" else 0)
        messages.append(delta(first, first + more, last))
        last = first + more
    snapshot = data.draw(st.sampled_from([1000, *(message.sequence for message in messages)]))
    verdicts = [rule.bridge(snapshot, message) for message in messages]
    dropped = verdicts.count(REPEATS)
    assert verdicts[:dropped] == [REPEATS] * dropped
    if dropped < len(messages):
        assert verdicts[dropped] is CONTINUES
    for before, after in pairwise(messages):
        assert rule.judge_delta(before.sequence, after) is CONTINUES
    for before, after in zip(messages, messages[2:], strict=False):
        assert rule.judge_delta(before.sequence, after) is BREAKS
    if snapshot == 1000:  # a stream that begins two messages later shows that one is missing
        assert all(verdict is BREAKS for verdict in [rule.bridge(snapshot, each) for each in messages[1:]])
