"""Join write sets into one: small ones that go out together, and those for which there was no room."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain

from collector.database import GIVEN_UP, NO_ROOM
from collector.sinks import AccountingState, SegmentState, WriteSet, without_rows

_TERMS = ("received", "carried_in", "written", "merged", "sampled_out", "dropped", "pending")


def may_join(first: WriteSet, second: WriteSet) -> bool:
    """Return whether the second may go out as a part of the first, which it follows.

    Both are of one session, and nothing is missing between them or within them: a segment that ends before
    a hole and what comes after the hole have one number until they are stored, each in its turn.
    """
    return (
        first.session.session_id == second.session.session_id
        and first.by == second.by
        and not second.is_after_loss
        and not any(one.end_cause in GIVEN_UP for one in chain(first.segments, second.segments))
    )


def joined(write_sets: Sequence[WriteSet]) -> WriteSet:
    """Return one write set that says what these say one after the other, with the first one's id."""
    first, last = write_sets[0], write_sets[-1]
    if first is last:
        return first
    return replace(
        first,
        session=last.session,
        rows=tuple(chain.from_iterable(one.rows for one in write_sets)),
        segments=_segments(chain.from_iterable(one.segments for one in write_sets)),
        accounting=_accounting(chain.from_iterable(one.accounting for one in write_sets)),
    )


def hole(dropped: Sequence[WriteSet]) -> WriteSet:
    """Return what is to be told in the place of write sets for which there was no room.

    It has no rows. The segments that had some end before them, and accounting says how many they were.
    """
    return joined(
        [without_rows(one, NO_ROOM, "no room was left in memory and in the spool") for one in dropped]
    )


def _segments(states: Iterable[SegmentState]) -> tuple[SegmentState, ...]:
    found: dict[int, SegmentState] = {}
    for one in states:
        before = found.get(one.segment_id)
        found[one.segment_id] = one if before is None else _later(before, one)
    return tuple(found.values())


def _later(before: SegmentState, one: SegmentState) -> SegmentState:
    """Return a segment's state after both; where it ends before a hole, what comes after is not its own."""
    if before.end_cause in GIVEN_UP:
        return before
    if one.end_cause in GIVEN_UP and not one.rows:
        return one
    return replace(
        one, start_ns=before.start_ns, first_sequence=before.first_sequence, rows=before.rows + one.rows
    )


def _accounting(increments: Iterable[AccountingState]) -> tuple[AccountingState, ...]:
    found: dict[tuple[str, ...], AccountingState] = {}
    for one in increments:
        key = one.session_id, *one.key
        found[key] = _sum(found[key], one) if key in found else one
    return tuple(found.values())


def _sum(first: AccountingState, second: AccountingState) -> AccountingState:
    sums = {name: getattr(first, name) + getattr(second, name) for name in _TERMS}
    return replace(first, **sums, rejected=dict(Counter(first.rejected) + Counter(second.rejected)))
