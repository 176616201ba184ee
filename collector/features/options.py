"""Define which rows of a stream are stored, and which features of them. Without numpy: settings read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from collector.bounds import Levels, Milliseconds

Mode = Literal["every", "on_top_change", "interval"]
FeatureSet = Literal["practical", "deep"]

NANOSECONDS_A_MS = 1_000_000

# Raised whenever a stored number of the set would come out otherwise; a session says which it stored.
VERSIONS: Mapping[FeatureSet, int] = {"practical": 1, "deep": 1}


@dataclass(frozen=True, slots=True)
class Sampling:
    """What of one stream is stored."""

    mode: Mode = "every"
    interval_ms: Milliseconds = 1000

    @property
    def number(self) -> int:
        """Return the mode's place among the modes."""
        return get_args(Mode).index(self.mode)

    @property
    def window_ns(self) -> int:
        """Return the length of a window; windows begin at its multiples since the epoch."""
        return self.interval_ms * NANOSECONDS_A_MS


@dataclass(frozen=True, slots=True)
class StorageOptions:
    """What of a book is kept."""

    levels: Levels = 10
    features: FeatureSet = "practical"

    @property
    def versions(self) -> dict[str, int]:
        """Return the version of each set that is stored; the hot table's always is."""
        return {name: version for name, version in VERSIONS.items() if name in ("practical", self.features)}
