"""What cannot be read is kept aside with its reason, coverage shows the hole, and the shard goes on."""

import base64
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collector.consume.dead_letters import DeadLetters
from collector.consume.stream import StreamRecord
from collector.errors import UserError
from collector.sinks.avro import Form, Record, records_of
from collector.sinks.contract import WriteSet
from collector.sinks.sql.sink import SqlSink
from collector.sinks.sql.stream_store import StreamStore

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from any_database import in_a_file
from reading import FAST, fill, reading_stream
from ready_tables import lay_tables
from stand_in_stream import StandInStream
from stream_histories import BEGAN_NS, MARKETS, cell, history, stored_in, write_directly

BTC = ":".join(MARKETS[0])
SHARD = "shardId-000000000000"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'live.db'}"


@pytest.fixture
def direct(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'direct.db'}"


def letters(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def without_market(found: dict[str, list[dict[str, Any]]], market: tuple[str, str]) -> dict[str, Any]:
    return {
        table: [row for row in rows if (row.get("exchange"), row.get("symbol")) != market]
        for table, rows in found.items()
    }


def rows_of(url: str, symbol: str) -> int:
    return int(cell(url, f"SELECT count(*) FROM l2_training_data_practical WHERE symbol = '{symbol}'"))


@in_a_file
def test_a_broken_record_ends_the_segments_of_its_market_alone(
    any_database: str, direct: str, tmp_path: Path
) -> None:
    write_sets = history(1)
    write_directly(direct, write_sets)
    stream = StandInStream()
    broken = ""
    for number, write_set in enumerate(write_sets):
        for record in records_of(write_set, Form.BATCH):
            is_broken = record.partition_key == BTC and number > 3 and not broken
            data = record.data[:-20] + b"garbage" if is_broken else record.data
            sequence_number = stream.put(record.partition_key, data)
            broken = sequence_number if is_broken else broken
    with reading_stream(stream, any_database, tmp_path / "dead") as reading:
        reading.read_all()
        assert (reading.counts.dead, reading.counts.losses) == (1, 1)
    found, truth = stored_in(any_database), stored_in(direct)
    assert without_market(found, MARKETS[0]) == without_market(truth, MARKETS[0])
    assert 0 < rows_of(any_database, MARKETS[0][1]) < rows_of(direct, MARKETS[0][1])
    (line,) = letters(tmp_path / "dead")
    assert (line["shard"], line["sequence_number"], line["partition_key"]) == (SHARD, broken, BTC)
    assert "container" in line["reason"]
    assert base64.b64decode(line["data"]).endswith(b"garbage")
    segments = [row for row in found["collector_coverage"] if row["symbol"] == MARKETS[0][1]]
    ended = [row for row in segments if row["end_cause"] == "damaged"]
    assert len(ended) > 0
    assert all("unreadable" in row["detail"] for row in ended)
    for row in ended:  # what comes after the hole is in a segment that begins after it
        later = [one for one in segments if one["start_ns"] > row["start_ns"] and one is not row]
        assert all(one["start_ns"] > row["end_ns"] for one in later if one["channel"] == row["channel"])


def test_killed_behind_a_loss_nothing_else_is_lost(url: str, direct: str, tmp_path: Path) -> None:
    """What comes behind an unreadable record is not in the transaction that says so, nor is it passed."""
    write_sets = history(11, batches=4)
    write_directly(direct, write_sets)
    stream = StandInStream()
    for write_set in write_sets:
        for record in records_of(write_set, Form.BATCH):
            stream.put("nobody:at all", b"garbage")
            stream.put(record.partition_key, record.data)
    kills = 0
    while True:
        try:
            with reading_stream(stream, url, tmp_path / "dead", wrap=KilledAfterWrite) as reading:
                reading.read_all()
            break
        except KeyboardInterrupt:
            kills += 1
    assert kills > 4
    assert stored_in(url) == stored_in(direct)


class KilledAfterWrite:
    """A store whose process ends behind each commit that stores something."""

    def __init__(self, store: StreamStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def write(self, write_sets: Any, positions: Any, heard_ns: Any, losses: Any = ()) -> Any:
        receipts = self._store.write(write_sets, positions, heard_ns, losses)
        if losses:
            raise KeyboardInterrupt
        return receipts


def test_a_letter_is_written_once_however_often_its_record_is_read(url: str, tmp_path: Path) -> None:
    stream = StandInStream()
    fill(stream, history(2, batches=2, is_ended=False))
    stream.put("what", b"no such thing")
    for _ in range(2):
        with reading_stream(stream, url, tmp_path / "dead") as reading:
            stream.before_fetch = _raise_at(stream, 6)
            try:
                reading.read_all()
            except RuntimeError:
                continue
    assert [line["partition_key"] for line in letters(tmp_path / "dead")] == ["what"]
    assert cell(url, "SELECT count(*) FROM collector_coverage WHERE end_cause = 'damaged'") == 0


def _raise_at(stream: StandInStream, count: int) -> Callable[[str], None]:
    until = len(stream.asked) + count

    def fail(_shard: str) -> None:
        if len(stream.asked) == until:
            raise RuntimeError("killed")

    return fail


def test_a_line_that_was_broken_off_harms_no_other(url: str, tmp_path: Path) -> None:
    (tmp_path / "dead").write_text('{"source": "kinesis')
    stream = StandInStream()
    stream.put("what", b"\xc3\x01nonsense")
    with reading_stream(stream, url, tmp_path / "dead") as reading:
        reading.read_all()
    lines = (tmp_path / "dead").read_text().splitlines()
    assert len(lines) == 2
    assert "fingerprint" in json.loads(lines[1])["reason"]


def test_letters_that_have_no_place_end_the_reading_before_the_record_is_passed(
    url: str, tmp_path: Path
) -> None:
    stream = StandInStream()
    stream.put("what", b"no such thing")
    with reading_stream(stream, url, tmp_path / "dead") as reading:
        (tmp_path / "dead").unlink()
        (tmp_path / "dead").mkdir()
        with pytest.raises(UserError, match=r"dead letters .* cannot be written"):
            reading.read_all()
    position = cell(url, "SELECT position FROM collector_stream_positions")
    assert position == "TRIM_HORIZON"
    with pytest.raises(UserError, match="cannot be used"), reading_stream(stream, url, tmp_path / "dead"):
        pass


def test_a_part_that_is_missing_is_a_hole(url: str, tmp_path: Path) -> None:
    """Of one write set with more rows than a part holds: the second of three does not come."""
    with_books = (one for one in history(3, batches=60) if any(rows.table == "book" for rows in one.rows))
    stream = StandInStream()
    records = records_of(many_rows(next(with_books)), Form.BATCH)
    kept = [record for number, record in enumerate(records) if number != 1]
    for record in kept:
        stream.put(record.partition_key, record.data)
    with reading_stream(stream, url, tmp_path / "dead") as reading:
        reading.read_all()
        assert reading.counts.losses == 1
    assert len(records) == 3
    ends = cell(url, "SELECT count(*) FROM collector_coverage WHERE end_cause = 'damaged'")
    assert ends == 1
    assert cell(url, "SELECT count(*) FROM collector_coverage") == 2


def many_rows(write_set: WriteSet) -> WriteSet:
    """Return a write set of one book of 2,500 rows."""
    book = next(rows for rows in write_set.rows if rows.table == "book")
    segment_id = book.columns["segment_id"][0]
    segment = next(one for one in write_set.segments if one.segment_id == segment_id)
    account = next(one for one in write_set.accounting if one.key == segment.key)
    columns = {name: [values[0]] * 2500 for name, values in book.columns.items()}
    columns["received_at_ns"] = [BEGAN_NS + number for number in range(2500)]
    columns["sequence"] = list(range(2500))
    return replace(
        write_set,
        rows=(replace(book, columns=columns),),
        segments=(replace(segment, rows=2500, end_ns=BEGAN_NS + 2499, alive_until_ns=BEGAN_NS + 2499),),
        accounting=(replace(account, received=2500, written=2500, sampled_out=0, rejected={}),),
    )


def test_a_position_that_the_stream_has_forgotten_is_a_known_loss(url: str, tmp_path: Path) -> None:
    write_sets = history(4, batches=20)
    stream = StandInStream()
    fill(stream, write_sets[:8])
    with reading_stream(stream, url, tmp_path / "dead") as reading:
        reading.read_all()
    fill(stream, write_sets[8:])
    stream.trim(SHARD, len(stream.records(SHARD)) - 10)
    with reading_stream(stream, url, tmp_path / "dead") as reading:
        reading.read_all()
        assert reading.counts.losses == 1
        assert reading.counts.parts == 10
    assert cell(url, "SELECT count(*) FROM collector_coverage WHERE end_cause = 'damaged'") > 0


def test_a_shard_that_is_gone_before_it_was_read_is_a_known_loss(url: str, tmp_path: Path) -> None:
    write_sets = history(5, batches=6)
    stream = StandInStream()
    fill(stream, write_sets[:3])
    with reading_stream(stream, url, tmp_path / "dead") as reading:
        reading.read_all()
    fill(stream, write_sets[3:5])
    stream.split(SHARD)
    fill(stream, write_sets[5:])
    stream.forget(SHARD)
    for losses in (1, 0):
        with reading_stream(stream, url, tmp_path / "dead") as reading:
            for _ in range(2):
                reading.consumer._shards.list_due_s = 0.0  # they are listed again
                reading.read_all()
            assert reading.counts.losses == losses
    assert cell(url, "SELECT count(*) FROM collector_coverage WHERE end_cause = 'damaged'") > 0
    assert cell(url, "SELECT min(finished) FROM collector_stream_positions WHERE shard LIKE '%00000'") == 1


def test_a_stream_made_anew_under_its_name_is_read_from_its_own_beginning(url: str, tmp_path: Path) -> None:
    for number, name in enumerate("ab"):
        stream = StandInStream(created=f"2026-01-0{number + 1}T00:00:00Z")
        fill(stream, history(6, name=name, batches=3))
        with reading_stream(stream, url, tmp_path / "dead") as reading:
            reading.read_all()
            assert reading.counts.parts > 3
    assert cell(url, "SELECT count(DISTINCT source) FROM collector_stream_positions") == 2


def large_parts(seed: int) -> list[tuple[list[Record], str]]:
    """Return the records of parts of more than ten events in single form, and whose they are."""
    parts = []
    for write_set in history(seed, batches=30):
        records = records_of(write_set, Form.SINGLE)
        for key in dict.fromkeys(one.partition_key for one in records):
            of_key = [one for one in records if one.partition_key == key]
            if len(of_key) > 11:
                parts.append((of_key, key))
    return parts


def test_a_part_that_is_never_complete_is_given_up_and_holds_nothing_up(url: str, tmp_path: Path) -> None:
    """Its end does not come: who wrote it was killed, and what took its place sent something else."""
    stream = StandInStream()
    (cut_off, *_), *others = large_parts(7)
    for record in cut_off[:5]:
        stream.put(record.partition_key, record.data)
    for records, _ in others:
        for record in records:
            stream.put(record.partition_key, record.data)
    now = [0.0]

    def wait(seconds: float) -> bool:
        now[0] += seconds + 1.0
        return False

    with reading_stream(stream, url, tmp_path / "dead", wait=wait, now_s=lambda: now[0]) as reading:
        reading.read_all()
        assert cell(url, "SELECT position FROM collector_stream_positions") == "TRIM_HORIZON"
        stream.now_ns += 601 * 10**9
        now[0] += 601
        reading.read_all()
        reading.read_all()
        assert (reading.counts.dead, reading.counts.losses) == (1, 1)
    last = stream.records(SHARD)[-1].sequence_number
    assert cell(url, "SELECT position FROM collector_stream_positions") == f"AFTER_SEQUENCE_NUMBER {last}"
    (line,) = letters(tmp_path / "dead")
    assert "never complete: 5 events without their end (coverage: false" in line["reason"]


def test_reading_that_begins_within_parts_that_are_stored_is_not_held_up(url: str, tmp_path: Path) -> None:
    """Two parts side by side in single form: the position is within one that is stored."""
    one, other = [records for records, _ in large_parts(8)][:2]
    stream = StandInStream()
    for record in (one[0], other[0], *one[1:]):
        stream.put(record.partition_key, record.data)
    for _ in range(3):
        with reading_stream(stream, url, tmp_path / "dead", limits=FAST) as reading:
            reading.read_all()
    assert cell(url, "SELECT count(*) FROM collector_batches") == 1
    for record in other[1:]:
        stream.put(record.partition_key, record.data)
    with reading_stream(stream, url, tmp_path / "dead", limits=FAST) as reading:
        reading.read_all()
        reading.read_all()
        assert reading.counts.losses == 0
    last = stream.records(SHARD)[-1].sequence_number
    assert cell(url, "SELECT position FROM collector_stream_positions") == f"AFTER_SEQUENCE_NUMBER {last}"


def test_rows_that_the_database_refuses_are_taken_out(postgres_url: str, tmp_path: Path) -> None:
    """A character that PostgreSQL has no place for."""
    write_sets = history(9, batches=4)
    trades = next(rows for one in write_sets for rows in one.rows if rows.table == "trades")
    trades.columns["side"][0] = "a\0b"  # type: ignore[index]
    stream = StandInStream()
    fill(stream, write_sets)
    with reading_stream(stream, postgres_url, tmp_path / "dead") as reading:
        reading.read_all()
        assert reading.counts.poison == 1
        assert reading.counts.is_something_missing
    assert cell(postgres_url, "SELECT count(*) FROM collector_rejected WHERE reason = 'poison'") == 1
    query = (
        "SELECT sum(received - written - merged - sampled_out - rejected - dropped) FROM collector_accounting"
    )
    assert cell(postgres_url, query) == 0


def test_what_a_session_has_written_itself_is_not_read_into_the_same_database(
    url: str, tmp_path: Path
) -> None:
    write_sets = history(10, batches=3)
    sink = SqlSink(lay_tables(url))
    sink.open()
    for one in write_sets:
        sink.write(one)
    sink.close()
    stream = StandInStream()
    fill(stream, write_sets)
    with (
        reading_stream(stream, url, tmp_path / "dead") as reading,
        pytest.raises(UserError, match="would be there twice; read the stream into another database"),
    ):
        reading.read_all()


def test_the_names_of_ever_so_many_letters_take_no_more_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.consume.dead_letters.MOST_KNOWN", 10)
    record = StreamRecord("0", "key", b"x", 1)
    for letters in (DeadLetters(tmp_path / "letters"), DeadLetters(tmp_path / "letters")):
        letters.open()
        added = [
            letters.add("s", "shard", replace(record, sequence_number=str(number)), "odd")
            for number in range(30)
        ]
        letters.flush()
        assert all(added[:20]), "those of long ago are not known any more"
        assert len(letters._known) == 10
    assert not letters.add("s", "shard", replace(record, sequence_number="29"), "odd")
