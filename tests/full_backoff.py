"""A backoff without chance, for tests that wait on what it says."""

from collector.retry import Backoff


class FullBackoff(Backoff):
    """A backoff whose jitter always draws the longest wait."""

    def wait_s(self, attempt: int, draw: float | None = None) -> float:
        del draw
        return super().wait_s(attempt, 1.0)
