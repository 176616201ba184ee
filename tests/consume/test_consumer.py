"""A stream is read into a database that equals one that was written directly, whatever happens meanwhile."""

import sys
from pathlib import Path

import pytest

from collector.sinks.avro import Form

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from histories import history, stored_in, write_directly
from reading import fill, reading_stream
from stand_in_stream import StandInStream


@pytest.fixture
def direct(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'direct.db'}"


@pytest.mark.parametrize("form", list(Form))
def test_what_is_read_equals_what_is_written_directly(
    any_database: str, direct: str, tmp_path: Path, form: Form
) -> None:
    write_sets = history(1)
    write_directly(direct, write_sets)
    stream = StandInStream(shards=3)
    fill(stream, write_sets, form)
    with reading_stream(stream, any_database, tmp_path / "dead") as reading:
        reading.read_all()
        assert reading.counts.rows == sum(one.row_count for one in write_sets)
    assert stored_in(any_database) == stored_in(direct)
