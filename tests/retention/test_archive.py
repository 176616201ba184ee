"""Old rows move to files, and nobody who reads can tell."""

import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from collector import iter_features, load_features, symbols
from collector.errors import CollectorError, QueryError
from collector.query import loading
from collector.retention import day_archive as module
from collector.retention.move import Retention, archive_slices

sys.path.insert(0, str(Path(__file__).parent))
from archiving import DAY_NS, FIRST, MIDNIGHT_NS, NOW, TABLE, fill_days, left, work

sys.path.insert(0, str(Path(__file__).parents[1] / "query"))
from stored import SYMBOL, Row, Stored, write

sys.path.insert(0, str(Path(__file__).parents[1]))
from any_database import in_a_file

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
QUESTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"every": "1h"},
    {"every": "1h", "on_gap": "ignore"},
    {"start": MIDNIGHT_NS + DAY_NS // 2, "end": MIDNIGHT_NS + 3 * DAY_NS + DAY_NS // 3},
    {"start": MIDNIGHT_NS + 2 * DAY_NS, "end": MIDNIGHT_NS + 2 * DAY_NS + 5 * 10**9, "every": "1s"},
    {"start": MIDNIGHT_NS + 3 * DAY_NS, "every": "6h"},
    {"depth": 50, "data_source": ["simulator"]},
)


@pytest.fixture
def filled(any_database: str) -> str:
    return fill_days(any_database)


def answers(url: str) -> list[pd.DataFrame]:
    found = [load_features(url, SYMBOL, **question) for question in QUESTIONS]
    return [*found, *(pd.concat(list(iter_features(url, SYMBOL, **question))) for question in QUESTIONS)]


def same(found: list[pd.DataFrame], wanted: list[pd.DataFrame]) -> None:
    for one, other in zip(found, wanted, strict=True):
        pd.testing.assert_frame_equal(one, other, check_categorical=False)


@in_a_file
def test_loaders_read_across_both_as_if_it_were_one(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "PIECE_ROWS", 7)
    before, listed = answers(filled), symbols(filled)
    retention = Retention(2.0, tmp_path / "archive", slice_rows=10)
    moved = work(filled, archive_slices(filled, TABLE, retention, lambda: NOW))
    assert moved == 121 - left(filled) > 0
    assert left(filled) > 0
    same(answers(filled), before)
    pd.testing.assert_frame_equal(symbols(filled), listed)
    assert len(load_features(filled, "ETH/USDT")) == 1  # all of it was moved
    assert work(filled, archive_slices(filled, TABLE, retention, lambda: NOW)) == 0


@in_a_file
@pytest.mark.parametrize(
    "at_most", [1, *(pytest.param(count, marks=pytest.mark.proof) for count in (0, 2, 4))]
)
def test_a_stop_anywhere_loses_and_doubles_nothing(filled: str, tmp_path: Path, at_most: int) -> None:
    before = answers(filled)
    retention = Retention(1.0, tmp_path / "archive", slice_rows=10)
    work(filled, archive_slices(filled, TABLE, retention, lambda: NOW), at_most=at_most)
    same(answers(filled), before)
    work(filled, archive_slices(filled, TABLE, retention, lambda: NOW))
    same(answers(filled), before)
    assert left(filled) < 121


@in_a_file
def test_a_row_that_comes_late_stands_beside_the_file_and_moves_next_time(
    filled: str, tmp_path: Path
) -> None:
    retention = Retention(2.0, tmp_path / "archive")
    work(filled, archive_slices(filled, TABLE, retention, lambda: NOW))
    count = len(load_features(filled, SYMBOL))
    write(filled, Stored([Row(MIDNIGHT_NS + DAY_NS // 2, FIRST, -1.0)]))
    for _ in range(2):
        frame = load_features(filled, SYMBOL)
        assert len(frame) == count + 1
        assert frame.index.is_monotonic_increasing
        assert (frame["mid_price"] == -1.0).sum() == 1
        work(filled, archive_slices(filled, TABLE, retention, lambda: NOW))


@in_a_file
def test_nothing_is_deleted_for_a_file_that_differs(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_day = module.write_day

    def spoiled(connection: Any, table: Any, day: Any, path: Path, *rest: Any, **more: Any) -> None:
        write_day(connection, table, day, path, *rest, **more)
        frame = pd.read_parquet(path, partitioning=None)
        frame.loc[frame.index[-1], "mid_price"] += 1e-9
        schema = parquet.read_schema(path)
        parquet.write_table(pyarrow.Table.from_pandas(frame, schema=schema), path)

    monkeypatch.setattr(module, "write_day", spoiled)
    count = left(filled)
    with pytest.raises(CollectorError, match=r"is not what the table holds; nothing is deleted.*2 more"):
        work(filled, archive_slices(filled, TABLE, Retention(2.0, tmp_path / "archive"), lambda: NOW))
    assert left(filled) == count


@in_a_file
def test_a_file_that_is_gone_is_named(filled: str, tmp_path: Path) -> None:
    work(filled, archive_slices(filled, TABLE, Retention(2.0, tmp_path / "archive"), lambda: NOW))
    for path in (tmp_path / "archive").rglob("*.parquet"):
        path.unlink()
    with pytest.raises(QueryError, match=r"were moved to .* which is not there"):
        load_features(filled, SYMBOL)
    assert len(load_features(filled, SYMBOL, start=MIDNIGHT_NS + 3 * DAY_NS)) > 0
