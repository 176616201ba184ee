"""Take what ccxt says of an exchange that nobody wrote a folder for: there is no proof of it."""

from collector.book.verified import Verdict
from collector.events.messages import Delta, Snapshot


class Unproven:
    """Each state of the book follows the one before because ccxt says so."""

    verification = "none"

    def judge_delta(self, last_sequence: int | None, delta: Delta) -> Verdict:
        """Refuse: ccxt's books come whole."""
        del last_sequence, delta
        return Verdict.BREAKS

    def judge_snapshot(self, last_sequence: int | None, snapshot: Snapshot) -> Verdict:
        """Take what comes."""
        del last_sequence, snapshot
        return Verdict.CONTINUES


def rule_of(_kind: str, _channel: str, _market: object) -> Unproven:
    """Make the rule of a book."""
    return Unproven()
