"""Old hours move to files as they age, become a file of their day, and nobody who reads can tell."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from collector import iter_features, load_features, symbols
from collector.errors import UserError
from collector.query import Tail, Wanted, loading
from collector.retention import merging
from collector.retention.move import Retention, archive_slices

sys.path.insert(0, str(Path(__file__).parent))
from archiving import DAY_NS, FIRST, MIDNIGHT_NS, TABLE, ask, fill_days, left, work

sys.path.insert(0, str(Path(__file__).parents[1] / "query"))
from stored import SYMBOL, Row, Stored, write

sys.path.insert(0, str(Path(__file__).parents[1]))
from any_database import in_a_file

pytest.importorskip("pyarrow")
HOUR_NS = DAY_NS // 24
ROWS = 30
QUESTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"start": MIDNIGHT_NS + DAY_NS // 2, "end": MIDNIGHT_NS + 3 * DAY_NS + DAY_NS // 3},
    {"start": MIDNIGHT_NS + 3 * DAY_NS + 7 * HOUR_NS, "every": "20min", "on_gap": "ignore"},
)


@pytest.fixture
def filled(any_database: str) -> str:
    return fill_days(any_database, ROWS)


def at_hour(hours: float) -> datetime:
    return datetime.fromtimestamp((MIDNIGHT_NS + int(hours * HOUR_NS)) / 1e9, UTC)


def hours_moved(url: str, folder: Path, hours: float, *, hot_hours: int = 1) -> Iterator[Any]:
    """Return the slices of a run, so many hours after the first midnight."""
    retention = Retention(None, folder, slice_rows=5, hot_hours=hot_hours)
    return archive_slices(url, TABLE, retention, lambda: at_hour(hours))


def read_all(url: str) -> list[pd.DataFrame]:
    found = [load_features(url, SYMBOL, **question) for question in QUESTIONS]
    return [*found, *(pd.concat(iter_features(url, SYMBOL, **question)) for question in QUESTIONS[1:])]


def alike(found: list[pd.DataFrame], wanted: list[pd.DataFrame]) -> None:
    for one, other in zip(found, wanted, strict=True):
        pd.testing.assert_frame_equal(one, other, check_categorical=False)


def periods(url: str, folder: Path, *, missing: int = 0) -> list[str]:
    """Return what is listed, and see that the folder has these files and shows no other."""
    count = ask(url, "SELECT count(*) FROM collector_archive WHERE kind = 'features'")
    assert len(list(folder.rglob("*.parquet"))) == count - missing
    query = "SELECT date FROM collector_archive WHERE kind = 'features' ORDER BY date, path LIMIT 1 OFFSET"
    return [ask(url, f"{query} {place}") for place in range(count)]


@in_a_file
def test_hours_move_as_they_age_and_a_day_becomes_one_file(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "PIECE_ROWS", 9)
    before, listed = read_all(filled), symbols(filled)
    work(filled, hours_moved(filled, tmp_path, 90.5))
    alike(read_all(filled), before)
    pd.testing.assert_frame_equal(symbols(filled), listed)
    newest = ask(filled, f"SELECT min(timestamp) FROM {TABLE}")
    assert datetime.fromisoformat(str(newest)) >= at_hour(89)
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


def test_on_a_server_rows_are_read_once_while_hours_move(postgres_url: str, tmp_path: Path) -> None:
    url = fill_days(postgres_url, ROWS)
    before = load_features(url, SYMBOL)
    for hours, at_most in ((90, 16), (97, 10**6)):  # the first run ends before a deletion
        work(url, hours_moved(url, tmp_path, hours), at_most=at_most)
        alike([load_features(url, SYMBOL)], [before])
    assert left(url) == 0
    assert {len(one) for one in periods(url, tmp_path)} == {10}


@in_a_file
def test_tail_goes_on_behind_the_table_in_the_order_of_ids(filled: str, tmp_path: Path) -> None:
    def last(count: int, **wanted: str) -> list[dict[str, Any]]:
        tail = Tail(filled, Wanted(**wanted), last=count)
        try:
            return list(tail.more())
        finally:
            tail.close()

    before = {count: last(count) for count in (1, 12, 500)}
    of_one = last(9, symbol=SYMBOL)
    for hours, at_most in ((84.0, 3), (84.0, 10**6), (97.0, 10**6)):  # the first run ends among its deletions
        work(filled, hours_moved(filled, tmp_path, hours), at_most=at_most)
        for count, rows in before.items():
            assert [_plain(one) for one in last(count)] == [_plain(one) for one in rows]
        assert [_plain(one) for one in last(9, symbol=SYMBOL)] == [_plain(one) for one in of_one]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"created_at": str(row["created_at"])}


@in_a_file
def test_rows_that_come_late_to_an_hour_or_a_day_that_was_moved_are_read_once(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = {88: -1.0, 90: -2.0, 40: -3.0}  # two to hours of today, one to a day that is over
    work(filled, hours_moved(filled, tmp_path, 93))
    count = len(load_features(filled, SYMBOL))
    for number in range(2):
        came = [Row(MIDNIGHT_NS + hour * HOUR_NS + number, FIRST, mid) for hour, mid in late.items()]
        write(filled, Stored(came))
        for is_moved in (False, True):
            frame = load_features(filled, SYMBOL)
            assert len(frame) == count + 3 * (number + 1)
            assert frame.index.is_monotonic_increasing
            assert [int((frame["mid_price"] == mid).sum()) for mid in late.values()] == [number + 1] * 3
            if not is_moved:
                work(filled, hours_moved(filled, tmp_path, 93))
        assert ask(filled, f"SELECT count(*) FROM {TABLE} WHERE mid_price < 0") == 0
    work(filled, hours_moved(filled, tmp_path, 97))
    assert len(load_features(filled, SYMBOL)) == count + 6
    # Those of a day that is over stay beside its file, until they are many.
    day = f"{at_hour(40):%Y-%m-%d}"
    assert periods(filled, tmp_path).count(day) == 3
    monkeypatch.setattr(merging, "MANY_FILES", 4)
    write(filled, Stored([Row(MIDNIGHT_NS + 40 * HOUR_NS + 2, FIRST, -3.0)]))
    work(filled, hours_moved(filled, tmp_path, 97))
    assert periods(filled, tmp_path).count(day) == 1
    assert int((load_features(filled, SYMBOL)["mid_price"] == -3.0).sum()) == 3


@in_a_file
def test_an_hour_whose_file_is_gone_stays_and_the_others_move(filled: str, tmp_path: Path) -> None:
    """It was recorded, and a row of it is deleted: its day cannot become one file until it is back."""
    work(filled, hours_moved(filled, tmp_path, 80))
    work(filled, hours_moved(filled, tmp_path, 90), at_most=1)
    recorded = ask(filled, "SELECT path FROM collector_archive WHERE deleted_ns IS NULL")
    own = "(SELECT max(last_id) FROM collector_archive WHERE deleted_ns IS NULL)"
    ask(filled, f"DELETE FROM {TABLE} WHERE id = {own}")
    Path(recorded).rename(f"{recorded}.away")
    with pytest.raises(UserError, match="put the file back"):
        work(filled, hours_moved(filled, tmp_path, 97))
    assert left(filled) > 0
    assert ask(filled, "SELECT count(*) FROM collector_archive WHERE deleted_ns IS NULL") == 1
    whole = {one for one in periods(filled, tmp_path, missing=1) if len(one) == len("2026-01-31")}
    assert f"{at_hour(80):%Y-%m-%d}" not in whole
    Path(f"{recorded}.away").rename(recorded)
    work(filled, hours_moved(filled, tmp_path, 97))
    assert left(filled) == 0
    assert {len(one) for one in periods(filled, tmp_path)} == {10}
    assert len(load_features(filled, SYMBOL)) == ROWS
