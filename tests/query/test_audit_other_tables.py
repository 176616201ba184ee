"""Of several tables of books in a database, the audit of each looks at its own."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collector.query.audit import run_audit
from collector.retention import Retention, archive_slices
from collector.sinks.sql.sink import SqlSink

sys.path.insert(0, str(Path(__file__).parent))
from audited import HOT, damage, write_sound

sys.path.insert(0, str(Path(__file__).parents[1] / "retention"))
from archiving import work

OTHER = "other_books"


@pytest.fixture
def moved(tmp_path: Path) -> Path:
    """Let the books of a sound database have been collected into another table."""
    sound = write_sound(tmp_path / "live.db")
    sink = SqlSink(str(sound), OTHER, auto_migrate=True)
    sink.open()
    sink.close()
    damage(sound, f"INSERT INTO {OTHER} SELECT * FROM {HOT}")
    damage(sound, f"DELETE FROM {HOT}")
    return sound


def test_what_was_collected_into_another_table_is_not_missed_here(moved: Path) -> None:
    for table in (HOT, OTHER):
        assert run_audit(moved, table_name=table).findings == ()


def test_what_another_table_has_moved_to_files_is_not_missed_here(moved: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    now = datetime(2023, 11, 20, tzinfo=UTC)
    work(str(moved), archive_slices(str(moved), OTHER, Retention(1.0, tmp_path / "archive"), lambda: now))
    for table in (HOT, OTHER):
        assert run_audit(moved, table_name=table).findings == ()


def test_a_row_that_is_gone_is_missed_in_its_table_and_one_that_all_lack_in_each(moved: Path) -> None:
    damage(moved, f"DELETE FROM {OTHER} WHERE id = 2")
    assert run_audit(moved, table_name=HOT).findings == ()
    assert "segment rows" in {one.check for one in run_audit(moved, table_name=OTHER).findings}
    damage(moved, f"DELETE FROM {OTHER}")
    for table in (HOT, OTHER):
        assert "segment rows" in {one.check for one in run_audit(moved, table_name=table).findings}
