"""What can never be stored holds nothing up, and is told."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from reading import fill, reading_stream
from stand_in_stream import StandInStream
from stream_histories import cell, history

from collector.sinks.avro import Form, records_of


@pytest.mark.parametrize(
    ("which", "form"),
    [
        *(("host", Form.BATCH), ("id", Form.SINGLE)),
        *(
            pytest.param(which, form, marks=pytest.mark.proof)
            for which, form in (("host", Form.SINGLE), ("id", Form.BATCH))
        ),
    ],
)
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


def test_why_a_segment_ended_is_stored_as_far_as_the_database_takes_it(
    postgres_url: str, tmp_path: Path
) -> None:
    """An exchange may say anything; here when no row is left to be taken out."""
    write_sets = history(1, batches=12)
    segments = tuple(replace(one, rows=0, end_cause="stale", detail="a\0b") for one in write_sets[5].segments)
    write_sets[5] = replace(write_sets[5], rows=(), accounting=(), segments=segments)
    stream = StandInStream()
    fill(stream, write_sets)
    with reading_stream(stream, postgres_url, tmp_path / "dead") as reading:
        reading.read_all()
        assert reading.counts.dead == reading.counts.poison == 0
    assert cell(postgres_url, "SELECT count(*) FROM collector_coverage WHERE detail = 'a\\0b'") > 0


def test_one_that_reads_what_is_there_and_ends_gives_up_old_parts_as_well(tmp_path: Path) -> None:
    """A second start, hours later: what is given up has its letter and is passed before the end."""
    url = f"sqlite:///{tmp_path / 'live.db'}"
    stream = StandInStream()
    for write_set in history(7, batches=12):
        for record in records_of(write_set, Form.SINGLE, coverage=False):
            stream.put(record.partition_key, record.data)
    with reading_stream(stream, url, tmp_path / "dead") as reading:
        reading.read_all()
        assert reading.counts.dead == 0
        assert reading.consumer.progress.waiting == len(stream.records("shardId-000000000000"))
    stream.now_ns += 3600 * 10**9
    for is_first in (True, False):
        with reading_stream(stream, url, tmp_path / "dead") as reading:
            reading.read_all()
            assert (reading.counts.dead > 0) == is_first
            assert reading.consumer.progress.waiting == 0
    lines = (tmp_path / "dead").read_text().splitlines()
    assert lines
    assert all("coverage: false" in json.loads(line)["reason"] for line in lines)
    last = stream.records("shardId-000000000000")[-1].sequence_number
    assert cell(url, "SELECT position FROM collector_stream_positions") == f"AFTER_SEQUENCE_NUMBER {last}"
