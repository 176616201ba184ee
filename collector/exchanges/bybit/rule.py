"""Prove Bybit's books by their update ids.

https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook.
"""

from collector.book import Verdict, WholeBooks
from collector.events import Channel, Delta, Snapshot
from collector.exchanges.bybit.topics import TOP_OF_BOOK_DEPTH


class Continuity:
    """`u` grows by one from message to message; a snapshot begins again."""

    verification = "sequence"

    def judge_delta(self, last_sequence: int | None, delta: Delta) -> Verdict:
        """Judge a delta by its `u`."""
        sequence = delta.sequence
        if last_sequence is None or sequence is None:
            return Verdict.BREAKS
        if sequence == last_sequence + 1:
            return Verdict.CONTINUES
        return Verdict.REPEATS if sequence == last_sequence else Verdict.BREAKS

    def judge_snapshot(self, last_sequence: int | None, snapshot: Snapshot) -> Verdict:
        """Judge a snapshot in mid-stream: joined only where its `u` follows."""
        sequence = snapshot.sequence
        if last_sequence is None or sequence is None:
            return Verdict.RESTARTS
        if sequence == last_sequence:
            return Verdict.REPEATS
        return Verdict.CONTINUES if sequence == last_sequence + 1 else Verdict.RESTARTS


class TopContinuity(Continuity):
    """One level: whole messages, under numbers that grow by any amount and so show nothing that was lost."""

    verification = "connection"

    def judge_snapshot(self, last_sequence: int | None, snapshot: Snapshot) -> Verdict:
        """Judge a snapshot by its `u`, which must not fall."""
        return WholeBooks().judge_snapshot(last_sequence, snapshot)


def rule_of(_kind: str, channel: str, _market: object) -> Continuity:
    """Make the rule of a book."""
    return TopContinuity() if Channel.of(channel).depth == TOP_OF_BOOK_DEPTH else Continuity()
