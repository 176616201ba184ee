"""What a part says of itself may hold what the database has no place for: that holds nothing up."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from reading import fill, reading_stream
from stand_in_stream import StandInStream
from stream_histories import cell, history

from collector.sinks.avro import Form


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("which", ["host", "id"])
def test_a_part_whose_own_words_the_database_refuses_holds_nothing_up(
    postgres_url: str, tmp_path: Path, which: str, form: Form
) -> None:
    """PostgreSQL has no place for a NUL, be it in the name of a machine, a part, or a key."""
    write_sets = history(1, batches=12)
    session = replace(write_sets[5].session, session_id="other", host="a\0b")
    odd = {"host": {"session": session}, "id": {"batch_id": "a\0b"}}[which]
    write_sets[5] = replace(write_sets[5], **odd)
    stream = StandInStream()
    fill(stream, write_sets, form)
    stream.put("a:b\0", b"garbage")
    with reading_stream(stream, postgres_url, tmp_path / "dead") as reading:
        reading.read_all()
        assert reading.counts.losses > 0
    reasons = [json.loads(line)["reason"] for line in (tmp_path / "dead").read_text().splitlines()]
    assert {"host": "a NUL in host", "id": "a NUL in the id of its part"}[which] in reasons
    assert cell(postgres_url, "SELECT count(*) FROM collector_sessions WHERE session_id = 'other'") == 0
    if form is Form.BATCH:
        last = stream.records("shardId-000000000000")[-1].sequence_number
        query = "SELECT position FROM collector_stream_positions"
        assert cell(postgres_url, query) == f"AFTER_SEQUENCE_NUMBER {last}"
