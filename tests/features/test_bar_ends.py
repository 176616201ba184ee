"""When bars end."""

from datetime import UTC, datetime

import numpy as np
import pytest

from collector.features.bar_ends import ends_ms


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("interval", "opened", "end"),
    [
        ("1s", "2026-01-31T23:59:59", "2026-02-01"),
        ("1m", "2026-01-31T23:59:00", "2026-02-01"),
        ("15m", "2026-01-31T23:45:00", "2026-02-01"),
        ("4h", "2026-01-31T20:00:00", "2026-02-01"),
        ("1d", "2026-01-31", "2026-02-01"),
        ("3d", "2026-01-30", "2026-02-02"),
        ("1w", "2026-01-26", "2026-02-02"),
        ("1M", "2024-02-01", "2024-03-01"),
        ("3M", "2025-12-01", "2026-03-01"),
    ],
)
def test_a_bar_ends_where_the_next_begins(interval: str, opened: str, end: str) -> None:
    first = np.array([ms("1970-01-01"), ms(opened)], dtype=np.int64)
    assert ends_ms(first, interval).tolist()[1] == ms(end)


def test_an_interval_that_nobody_knows_is_said() -> None:
    with pytest.raises(ValueError, match="'tick'"):
        ends_ms(np.zeros(1, dtype=np.int64), "tick")
