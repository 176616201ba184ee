"""Old hours move to files as they age, become a file of their day, and nobody who reads can tell."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from collector import iter_features, load_features, symbols
from collector.query import loading
from collector.retention import merging
from collector.retention.move import Retention, archive_slices

sys.path.insert(0, str(Path(__file__).parent))
from archiving import DAY_NS, MIDNIGHT_NS, TABLE, ask, fill_days, left, work

sys.path.insert(0, str(Path(__file__).parents[1] / "query"))
from stored import SYMBOL

sys.path.insert(0, str(Path(__file__).parents[1]))
from any_database import in_a_file

pytest.importorskip("pyarrow")
HOUR_NS = DAY_NS // 24
QUESTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"every": "1h"},
    {"start": MIDNIGHT_NS + DAY_NS // 2, "end": MIDNIGHT_NS + 3 * DAY_NS + DAY_NS // 3},
    {"start": MIDNIGHT_NS + 3 * DAY_NS + 7 * HOUR_NS, "every": "20min", "on_gap": "ignore"},
)


@pytest.fixture
def filled(any_database: str) -> str:
    return fill_days(any_database)


def at_hour(hours: float) -> datetime:
    return datetime.fromtimestamp((MIDNIGHT_NS + int(hours * HOUR_NS)) / 1e9, UTC)


def hours_moved(url: str, folder: Path, hours: float, *, hot_hours: int = 1) -> Iterator[Any]:
    """Return the slices of a run, so many hours after the first midnight."""
    retention = Retention(None, folder, slice_rows=10, hot_hours=hot_hours)
    return archive_slices(url, TABLE, retention, lambda: at_hour(hours))


def read_all(url: str) -> list[pd.DataFrame]:
    found = [load_features(url, SYMBOL, **question) for question in QUESTIONS]
    return [*found, *(pd.concat(list(iter_features(url, SYMBOL, **question))) for question in QUESTIONS)]


def alike(found: list[pd.DataFrame], wanted: list[pd.DataFrame]) -> None:
    for one, other in zip(found, wanted, strict=True):
        pd.testing.assert_frame_equal(one, other, check_categorical=False)


def periods(url: str, folder: Path) -> list[str]:
    """Return what is listed, and see that the folder has these files and shows no other."""
    count = ask(url, "SELECT count(*) FROM collector_archive WHERE kind = 'features'")
    assert len(list(folder.rglob("*.parquet"))) == count
    query = "SELECT date FROM collector_archive WHERE kind = 'features' ORDER BY date, path LIMIT 1 OFFSET"
    return [ask(url, f"{query} {place}") for place in range(count)]


@in_a_file
def test_hours_move_as_they_age_and_a_day_becomes_one_file(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "PIECE_ROWS", 7)
    before, listed = read_all(filled), symbols(filled)
    for hours in (72.5, 78.2, 79.9, 84.0, 90.5):
        work(filled, hours_moved(filled, tmp_path, hours))
        alike(read_all(filled), before)
        pd.testing.assert_frame_equal(symbols(filled), listed)
        newest = ask(filled, f"SELECT min(timestamp) FROM {TABLE}")
        assert datetime.fromisoformat(str(newest)) >= at_hour(int(hours) - 1)
    found = periods(filled, tmp_path)
    assert {len(one) for one in found} == {10, 13}
    assert max(found) < f"{at_hour(89.5):%Y-%m-%dT%H}"
    work(filled, hours_moved(filled, tmp_path, 97))
    alike(read_all(filled), before)
    assert {len(one) for one in periods(filled, tmp_path)} == {10}
    assert left(filled) == 0
    assert ask(filled, "SELECT count(*) FROM collector_archive WHERE kind = 'merged'") > 1
    monkeypatch.setattr(merging, "KEPT_S", 0.0)
    work(filled, hours_moved(filled, tmp_path, 97))
    assert not [one for one in tmp_path.rglob("*") if one.parent.name == ".aside"]
    assert ask(filled, "SELECT count(*) FROM collector_archive WHERE kind = 'merged'") == 0
    alike(read_all(filled), before)
