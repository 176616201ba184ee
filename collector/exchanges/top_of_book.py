"""Judge channels that send the best bid and ask as a whole each time: nothing can be missed but news."""

from collector.book.verified import Verdict
from collector.events.messages import Delta, Snapshot


class TopOfBookOnly:
    """Each message replaces the one before; where there are update ids, they must not fall."""

    verification = "connection"

    def judge_delta(self, last_sequence: int | None, delta: Delta) -> Verdict:
        """Refuse: such a channel has no deltas."""
        del last_sequence, delta
        return Verdict.BREAKS

    def judge_snapshot(self, last_sequence: int | None, snapshot: Snapshot) -> Verdict:
        """Judge by the update ids; where there are none, only the levels tell whether anything is new."""
        sequence = snapshot.sequence
        if sequence is None:
            return Verdict.UNNUMBERED
        if last_sequence is None or sequence > last_sequence:
            return Verdict.CONTINUES
        return Verdict.REPEATS if sequence == last_sequence else Verdict.RESTARTS
