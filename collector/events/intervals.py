"""Read the name of an interval: 250ms, 1s, 15m, 4h, 1d, 1w; of bars of an exchange also 1M, a month."""

from collections.abc import Mapping
from types import MappingProxyType

UNIT_MS: Mapping[str, int] = MappingProxyType(
    {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
)
MONTH = "M"
SHORTEST_MONTH_MS, LONGEST_MONTH_MS = 28 * UNIT_MS["d"], 31 * UNIT_MS["d"]


def shortest_ms(interval: str) -> int:
    """Return how long a bar lasts at least."""
    unit = interval[-1]
    return int(interval[:-1]) * (SHORTEST_MONTH_MS if unit == MONTH else UNIT_MS[unit])


def longest_ms(interval: str) -> int:
    """Return how long a bar lasts at most."""
    return int(interval[:-1]) * LONGEST_MONTH_MS if interval.endswith(MONTH) else shortest_ms(interval)


def length_s(interval: str) -> int | None:
    """Return how long a bar lasts; None of a month, of which each has its own length."""
    return None if interval.endswith(MONTH) else shortest_ms(interval) // 1000
