"""Prove OKX's books: each message names the one before it.

https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel, "Sequence ID".
"""

from collector.book.verified import Verdict, WholeBooks
from collector.events.messages import Delta, Snapshot
from collector.exchanges.okx.topics import BOOK, BOOKS


class PreviousSequence:
    """`prevSeqId` is the `seqId` of the message before; ids grow by any amount."""

    verification = "sequence"

    def judge_delta(self, last_sequence: int | None, delta: Delta) -> Verdict:
        """Judge a delta by the message it names: itself where nothing changed for a minute.

        A `seqId` below its `prevSeqId` follows as well, but the ids begin again: maintenance.
        """
        sequence, previous = delta.sequence, delta.previous_sequence
        if last_sequence is None or sequence is None or previous is None:
            return Verdict.BREAKS
        if sequence == last_sequence:
            return Verdict.REPEATS
        if previous != last_sequence:
            return Verdict.BREAKS
        return Verdict.CONTINUES if sequence > previous else Verdict.RESTARTS

    def judge_snapshot(self, last_sequence: int | None, snapshot: Snapshot) -> Verdict:
        """Judge a snapshot in mid-stream: what lies between is not known, unless nothing does."""
        repeats = last_sequence is not None and snapshot.sequence == last_sequence
        return Verdict.REPEATS if repeats else Verdict.RESTARTS


def rule_of(_kind: str, channel: str, _market: object) -> PreviousSequence | WholeBooks:
    """Make the rule of a book; the short ones come whole each time."""
    return PreviousSequence() if BOOKS[channel] == BOOK else WholeBooks()
