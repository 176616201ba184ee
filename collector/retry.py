"""Compute how long to wait before the next try."""

import random
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter: a wait drawn from [0, min(most, base * 2^attempt)]."""

    base_s: float
    most_s: float

    def wait_s(self, attempt: int, draw: float | None = None) -> float:
        """Return the wait before try number `attempt` (the first retry is 0); `draw` is in [0, 1)."""
        ceiling = min(self.most_s, self.base_s * 2.0 ** min(attempt, 60))
        return ceiling * (random.random() if draw is None else draw)  # noqa: S311  (spreads load, guards nothing)


class Rest(NamedTuple):
    """What follows so many failures in a row, and as many again: a long wait, or the end."""

    after: int | None = None  # None: never
    for_s: float | None = None  # None: for good


NO_REST = Rest()
