"""Prove Binance's books by their update ids.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams, "How to manage a local order
book correctly", and the page of the same name of USD-M futures.
"""

from collector.book import Verdict, WholeBooks
from collector.events import BBO, Delta, Snapshot


class _Continuity:
    """What the two kinds of market share: a book begins with a snapshot of REST, joined by `bridge`."""

    verification = "sequence"

    def judge_snapshot(self, last_sequence: int | None, snapshot: Snapshot) -> Verdict:
        """Judge a snapshot in mid-stream: not newer, it says nothing new; newer, it was not joined."""
        sequence = snapshot.sequence
        if last_sequence is None or sequence is None or sequence > last_sequence:
            return Verdict.RESTARTS
        return Verdict.REPEATS


class SpotContinuity(_Continuity):
    """`U` is one more than the `u` before."""

    def judge_delta(self, last_sequence: int | None, delta: Delta) -> Verdict:
        """Judge a delta by the `u` before it."""
        if last_sequence is not None and delta.first_sequence == last_sequence + 1:
            return Verdict.CONTINUES
        return _repeats_or_breaks(last_sequence, delta)

    def bridge(self, snapshot_sequence: int, delta: Delta) -> Verdict:
        """Judge whether a delta can be the first after a snapshot.

        REPEATS: the snapshot holds it already, drop it. CONTINUES: it joins. BREAKS: something between was
        not seen, the snapshot is too old, fetch another.
        """
        first, last = delta.first_sequence, delta.sequence
        if first is None or last is None:
            return Verdict.BREAKS
        if last <= snapshot_sequence:
            return Verdict.REPEATS
        return Verdict.CONTINUES if first <= snapshot_sequence + 1 else Verdict.BREAKS


class UsdmContinuity(_Continuity):
    """`pu` is the `u` before; `U` tells nothing, since ids of other markets lie between two messages."""

    def judge_delta(self, last_sequence: int | None, delta: Delta) -> Verdict:
        """Judge a delta by the `u` before it."""
        if last_sequence is not None and delta.previous_sequence == last_sequence:
            return Verdict.CONTINUES
        return _repeats_or_breaks(last_sequence, delta)

    def bridge(self, snapshot_sequence: int, delta: Delta) -> Verdict:
        """Judge whether a delta can be the first after a snapshot; verdicts as on spot.

        The one that ends where the snapshot ends joins: it changes nothing, and its `u` carries on.
        """
        first, last = delta.first_sequence, delta.sequence
        if first is None or last is None:
            return Verdict.BREAKS
        if last < snapshot_sequence:
            return Verdict.REPEATS
        joins = first <= snapshot_sequence or delta.previous_sequence == snapshot_sequence
        return Verdict.CONTINUES if joins else Verdict.BREAKS


def rule_of(kind: str, channel: str, _market: object) -> SpotContinuity | UsdmContinuity | WholeBooks:
    """Make the rule of a book. Every depth has the same: the diffs are of the whole book."""
    if channel == BBO:
        return WholeBooks()
    return SpotContinuity() if kind == "spot" else UsdmContinuity()


def _repeats_or_breaks(last_sequence: int | None, delta: Delta) -> Verdict:
    """Distinguish the last message, sent again, from a gap.

    Ids that fall further are a gap too: taken for repeats, numbers that began again would freeze the book.
    """
    repeats = last_sequence is not None and delta.sequence == last_sequence
    return Verdict.REPEATS if repeats else Verdict.BREAKS
