"""Sessions whose rows come of a stream are alive as long as something comes of them."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from collector.errors import DatabaseInUse
from collector.query.session_state import sessions_now
from collector.sinks.contract import WriteSet
from collector.sinks.sql.sink import SqlSink

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from any_database import in_a_file
from reading import Reading, fill, reading_stream
from stand_in_stream import StandInStream
from stream_histories import cell, history, stored_in, write_directly

MINUTE_NS = 60 * 10**9


@pytest.fixture
def direct(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'direct.db'}"


def session_of(url: str) -> tuple[Any, Any]:
    (session,) = stored_in(url)["collector_sessions"]
    return session["ended_ns"], session["end_cause"]


def ends_of(url: str) -> set[Any]:
    return {row["end_cause"] for row in stored_in(url)["collector_coverage"]}


def open_and_close(url: str) -> None:
    sink = SqlSink(url)
    sink.open()
    sink.close()


def test_whoever_opens_the_database_does_not_take_them_for_dead(
    any_database: str, direct: str, tmp_path: Path
) -> None:
    write_sets = history(1)
    write_directly(direct, write_sets)
    stream = StandInStream()
    fill(stream, write_sets[:6])
    with reading_stream(stream, any_database, tmp_path / "dead") as reading:
        reading.read_all()
        if any_database.startswith("postgresql"):
            open_and_close(any_database)
    open_and_close(any_database)
    assert session_of(any_database) == (None, None)
    assert None in ends_of(any_database)
    (state,) = [one for one in sessions_now(any_database) if "consume" not in one["wanted"]]
    assert state["state"] in ("writing", "stale")
    fill(stream, write_sets[6:])
    with reading_stream(stream, any_database, tmp_path / "dead") as reading:
        reading.read_all()
    assert stored_in(any_database) == stored_in(direct)


def read_later(reading: Reading, stream: StandInStream, minutes: float) -> None:
    """Let time pass in the stream, and read what there is."""
    stream.now_ns += int(minutes * MINUTE_NS)
    reading.consumer._look_for_silent_s = 0.0
    reading.read_all()


@in_a_file
def test_one_of_which_nothing_comes_has_crashed_and_may_come_back(
    any_database: str, direct: str, tmp_path: Path
) -> None:
    write_sets = history(2)
    write_directly(direct, write_sets)
    stream = StandInStream()
    fill(stream, write_sets[:6])
    with reading_stream(stream, any_database, tmp_path / "dead") as reading:
        reading.read_all()
        read_later(reading, stream, 9.9)
        assert session_of(any_database) == (None, None)
        read_later(reading, stream, 0.2)
        last_alive_ns = max(row["alive_until_ns"] for row in stored_in(any_database)["collector_coverage"])
        assert session_of(any_database) == (last_alive_ns, "crash")
        assert ends_of(any_database) == {"disconnect", "crash"}
        fill(stream, write_sets[6:8])
        reading.read_all()
        assert session_of(any_database) == (None, None)
        assert ends_of(any_database) == {"disconnect", None}
        fill(stream, write_sets[8:])
        reading.read_all()
    assert stored_in(any_database) == stored_in(direct)


@in_a_file
def test_what_was_not_read_yet_is_no_silence(any_database: str, tmp_path: Path) -> None:
    """A reader that was away for an hour has not heard anything for an hour."""
    write_sets = history(3, batches=12)
    stream = StandInStream()
    fill(stream, write_sets[:6])
    with reading_stream(stream, any_database, tmp_path / "dead") as reading:
        reading.read_all()
    for write_set in write_sets[6:12]:
        stream.now_ns += 9 * MINUTE_NS
        fill(stream, [write_set])
    with capture_logs() as logs, reading_stream(stream, any_database, tmp_path / "dead") as reading:
        reading.read_all()
    assert session_of(any_database) == (None, None)
    assert not {"consume.sessions_silent", "session.heard_again"} & {one["event"] for one in logs}


@in_a_file
def test_one_that_died_ends_as_in_a_database_that_was_written_directly(
    any_database: str, direct: str, tmp_path: Path
) -> None:
    write_sets = history(4, is_ended=False)
    write_directly(direct, write_sets)
    open_and_close(direct)
    stream = StandInStream()
    fill(stream, write_sets)
    with reading_stream(stream, any_database, tmp_path / "dead") as reading:
        reading.read_all()
        read_later(reading, stream, 11)
    assert session_of(any_database)[1] == "crash"
    assert stored_in(any_database) == stored_in(direct)


def adopted_by_another(write_set: WriteSet) -> WriteSet:
    """Return a write set as the next session brings it in out of the spool."""
    last_ns = max(one.alive_until_ns for one in write_set.segments)
    return replace(
        write_set,
        session=replace(write_set.session, ended_ns=last_ns, end_cause="crash"),
        segments=tuple(replace(one, end_cause=one.end_cause or "crash") for one in write_set.segments),
        by="session-b",
    )


@pytest.mark.parametrize("is_late", [False, True], ids=["in order", "before what other shards still hold"])
@in_a_file
def test_what_the_next_session_brings_in_ends_it(
    any_database: str, direct: str, tmp_path: Path, is_late: bool
) -> None:
    write_sets = history(5, is_ended=False)
    last = adopted_by_another(write_sets[-1])
    write_directly(direct, write_sets[:-1])
    sink = SqlSink(direct)
    sink.open()
    sink.write(last)
    sink.close()
    stream = StandInStream()
    before = write_sets[-4:-1] if is_late else []
    fill(stream, [*write_sets[: len(write_sets) - 1 - len(before)], last, *before])
    with reading_stream(stream, any_database, tmp_path / "dead") as reading:
        reading.read_all()
        if not is_late:
            assert stored_in(any_database) == stored_in(direct)
        assert session_of(any_database) == session_of(direct)
        assert None not in ends_of(any_database)
        read_later(reading, stream, 11)
    assert session_of(any_database) == session_of(direct)


def test_a_second_reader_of_a_stream_is_refused(any_database: str, tmp_path: Path) -> None:
    stream, other = StandInStream(), StandInStream(created="2026-02-02T00:00:00Z")
    fill(stream, history(6))
    fill(other, history(7, name="c"))
    with reading_stream(stream, any_database, tmp_path / "dead") as reading:
        with (
            pytest.raises(DatabaseInUse, match=r"by another (process already|collector)"),
            reading_stream(stream, any_database, tmp_path / "dead"),
        ):
            pass
        if any_database.startswith("postgresql"):  # of another stream it is no matter
            with reading_stream(other, any_database, tmp_path / "dead other") as beside:
                beside.read_all()
        reading.read_all()
    with reading_stream(stream, any_database, tmp_path / "dead") as reading:
        reading.read_all()
        assert reading.counts.records == 0


@in_a_file
def test_batch_ids_go_when_their_session_was_heard_long_after(any_database: str, tmp_path: Path) -> None:
    """What came again of it then would have come before what was heard."""
    stream = StandInStream()
    write_sets = history(8)
    fill(stream, write_sets[:6])
    with reading_stream(stream, any_database, tmp_path / "dead") as reading:
        reading.read_all()
        committed_ns = int(cell(any_database, "SELECT max(committed_ns) FROM collector_batches"))
        count = cell(any_database, "SELECT count(*) FROM collector_batches")
        stream.now_ns = committed_ns + 8 * 24 * 60 * MINUTE_NS
        reading.consumer._prune_s = 0.0
        reading.read_all()
        assert cell(any_database, "SELECT count(*) FROM collector_batches") == count
        fill(stream, write_sets[6:8])
        reading.read_all()
        reading.consumer._prune_s = 0.0
        reading.read_all()
        old = f"SELECT count(*) FROM collector_batches WHERE committed_ns <= {committed_ns}"
        assert cell(any_database, old) == 0


def test_one_that_crashed_ends_no_earlier_than_its_last_sign_of_life(tmp_path: Path) -> None:
    """What the next session brings in of it may tell of an earlier one."""
    url = f"sqlite:///{tmp_path / 'live.db'}"
    write_sets = history(9, is_ended=False)
    dead = replace(write_sets[0].session, ended_ns=write_sets[0].session.started_ns, end_cause="crash")
    stream = StandInStream()
    fill(stream, [*write_sets, WriteSet("last", dead, by="session-b")])
    with reading_stream(stream, url, tmp_path / "dead") as reading:
        reading.read_all()
    last_alive_ns = max(row["alive_until_ns"] for row in stored_in(url)["collector_coverage"])
    assert session_of(url) == (last_alive_ns, "crash")
