"""How fast markets move: their own rhythm from a seed, and what a fault says for a while."""

import random
import time
from typing import Literal

RhythmKind = Literal["steady", "bursts", "lively"]

# How a market's pace changes, about once a second, to the same mean.
_CHANGES_PER_S = 1.0
_PACES = (0.1, 0.4, 0.5, 1.0, 3.0)
# Of a lively market: silences of minutes, some six an hour.
_SILENCES_PER_S = 1 / 600
_SILENCE_S = (60.0, 240.0)


class Rhythm:
    """One market's own pace, 1.0 on the mean."""

    def __init__(self, seed: str, kind: RhythmKind, *, may_fall_silent: bool) -> None:
        self._draws = random.Random(seed)  # noqa: S311  (a repeatable rhythm)
        self._kind = kind
        self._may_fall_silent = may_fall_silent and kind == "lively"
        self._pace = 1.0
        self._silent_s = 0.0

    def advance(self, elapsed_s: float) -> float:
        """Let time pass; returns the pace now."""
        if self._kind == "steady":
            return 1.0
        self._silent_s = max(0.0, self._silent_s - elapsed_s)
        if self._draws.random() < _CHANGES_PER_S * elapsed_s:
            self._pace = self._draws.choice(_PACES)
        if self._may_fall_silent and self._draws.random() < _SILENCES_PER_S * elapsed_s:
            self._silent_s = self._draws.uniform(*_SILENCE_S)
        return 0.0 if self._silent_s else self._pace


class Tempos:
    """Paces that faults set for a while."""

    def __init__(self) -> None:
        self._set: dict[tuple[str, str], tuple[float, float]] = {}

    def set(self, exchange: str, symbol: str, factor: float, seconds: float) -> None:
        """Multiply a market's pace for so many seconds."""
        self._set[exchange, symbol] = factor, time.monotonic() + seconds

    def factor(self, exchange: str, symbol: str) -> float:
        """Return what a market's pace is multiplied with."""
        if not self._set:
            return 1.0
        factor, until_s = self._set.get((exchange, symbol), (1.0, 0.0))
        if time.monotonic() < until_s:
            return factor
        self._set.pop((exchange, symbol), None)
        return 1.0

    def forget(self) -> None:
        """Let every market move at its own pace."""
        self._set.clear()
