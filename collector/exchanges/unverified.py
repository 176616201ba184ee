"""Collect from any exchange that nobody wrote a file for: what ccxt.pro says, and no proof of it."""

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


def topic(market_id: str, symbol: str, channel: str) -> str:
    """Name a stream; every channel of a market is read off the one book that ccxt keeps of it."""
    del market_id
    return f"{symbol} {channel}"
