"""Accept the books that ccxt keeps of an exchange without a folder of its own: nothing proves them."""

from collector.book.verified import Verdict
from collector.events.messages import Delta, Snapshot


class UnverifiedRule:
    """Each state of the book follows the one before because ccxt says so."""

    verification = "none"

    def judge_delta(self, last_sequence: int | None, delta: Delta) -> Verdict:
        """Refuse the delta: ccxt's books come whole."""
        del last_sequence, delta
        return Verdict.BREAKS

    def judge_snapshot(self, last_sequence: int | None, snapshot: Snapshot) -> Verdict:
        """Accept every book."""
        del last_sequence, snapshot
        return Verdict.CONTINUES


def rule_of(_kind: str, _channel: str, _market: object) -> UnverifiedRule:
    """Return the rule of a book."""
    return UnverifiedRule()
