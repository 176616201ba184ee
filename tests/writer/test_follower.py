"""A follower gets what the store has committed, and whatever becomes of it, the store does not notice."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from follower_rig import Rig, ask, wait_until, write_set
from held_file import held
from line_sink import LineSink, lines_of
from ready_tables import lay_tables

from collector.database.engine import make_engine
from collector.database.tables import DEFAULT_TABLE_NAME, make_tables
from collector.database.url import database_url
from collector.errors import SinkError
from collector.query.audit import run_audit
from collector.sinks.contract import Sink
from collector.sinks.put_counts import PutCounts
from collector.sinks.sql.sink import SqlSink
from collector.spool.file import SpoolFile

StartRig = Callable[..., Rig]


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[LineSink]:
    sink = LineSink(tmp_path / "lines")
    yield sink
    sink.goes_on.set()  # no thread is left hanging


@pytest.fixture
def start(tmp_path: Path, lines: LineSink) -> Iterator[StartRig]:
    started: list[Rig] = []

    def start_one(sink: Sink = lines, **options: object) -> Rig:
        started.append(Rig(tmp_path, sink, **options).start())  # type: ignore[arg-type]
        return started[-1]

    yield start_one
    lines.goes_on.set()
    for rig in started:
        rig.stop()


def ids(sink: LineSink) -> list[str]:
    return [line["batch_id"] for line in lines_of(sink.path)]


def names(numbers: range) -> list[str]:
    return [f"batch-{number:04}" for number in numbers]


def contents(url: str) -> dict[str, list[dict[str, object]]]:
    """Return the rows of every table, but for what tells the time of day."""
    engine = make_engine(database_url(url), read_only=True)
    with engine.connect() as connection:
        found = {
            table.name: [
                {name: value for name, value in row.items() if name not in ("created_at", "updated_ns")}
                for row in connection.execute(
                    sa.select(table).order_by(*table.primary_key.columns)
                ).mappings()
            ]
            for table in make_tables(DEFAULT_TABLE_NAME).hot.metadata.sorted_tables
        }
    engine.dispose()
    del found["collector_database"]  # each says its own of itself
    for row in found["collector_batches"]:
        del row["committed_ns"]
    return found


def test_a_second_database_holds_the_same(any_database: str, start: StartRig, tmp_path: Path) -> None:
    rig = start(SqlSink(any_database, auto_migrate=True))
    rig.give(range(25))
    wait_until(lambda: rig.follower.state().rows == 100, "all rows in the second database")
    rig.stop()
    assert contents(any_database) == contents(str(rig.path))
    assert rig.sequences() == list(range(100))
    state = rig.follower.state()
    assert (state.batches, state.in_memory, state.spooled, state.dropped) == (25, 0, 0, 0)
    assert [path.name for path in tmp_path.iterdir() if "spool" in path.name] == []


class CountingSink(LineSink):
    """Counts what it puts, as a sink of a stream does."""

    put_counts = PutCounts(records=3)


def test_its_state_has_the_counts_of_a_sink_that_counts(start: StartRig, tmp_path: Path) -> None:
    counting = CountingSink(tmp_path / "counted")
    rig = start(counting)
    before = rig.follower.state().puts
    counting.put_counts = PutCounts(records=4)
    assert (before, rig.follower.state().puts) == (PutCounts(records=3), PutCounts(records=4))


def test_a_sink_that_counts_nothing_has_none(start: StartRig) -> None:
    assert start().follower.state().puts is None


def test_another_collector_at_its_database_does_not_take_it_for_dead(
    postgres_url: str, start: StartRig
) -> None:
    rig = start(SqlSink(postgres_url, auto_migrate=True))
    rig.give(range(2))
    wait_until(lambda: rig.follower.state().rows == 8, "followed")
    other = SqlSink(postgres_url)
    other.open()  # which ends the sessions that nobody holds any more
    other.close()
    (session,) = contents(postgres_url)["collector_sessions"]
    assert (session["session_id"], session["end_cause"]) == ("session-1", None)


def test_what_the_store_has_not_committed_does_not_reach_a_follower(start: StartRig, lines: LineSink) -> None:
    rig = start()
    rig.give(range(2))
    wait_until(lambda: ids(lines) == names(range(2)), "followed")
    other = sqlite3.connect(rig.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    rig.inbox.offer(write_set(2))
    wait_until(lambda: rig.writer.committed.retries >= 3, "refused by the store")
    assert ids(lines) == names(range(2))
    assert rig.follower.state().in_memory == 0
    other.execute("ROLLBACK")
    other.close()
    wait_until(lambda: ids(lines) == names(range(3)), "followed")


def test_a_hanging_follower_holds_up_nothing_and_gets_all_in_order(start: StartRig, lines: LineSink) -> None:
    rig = start()
    lines.goes_on.clear()
    rig.give(range(60))
    assert rig.sequences() == list(range(240))
    assert rig.writer.stop(20.0)  # of the store
    assert (rig.balance.totals().written, rig.balance.totals().dropped, rig.writer.lost) == (240, 0, 0)
    state = rig.follower.state()
    assert (state.rows, state.in_memory + state.spooled, state.dropped) == (0, 240, 0)
    wait_until(lambda: rig.follower.state().in_memory == 0, "in the spool")
    assert rig.follower.state().spilling
    assert rig.follower._inbox._behind_at_rows == rig.follower._inbox._most_rows // 2
    lines.goes_on.set()
    wait_until(lambda: rig.follower.state().rows == 240, "brought in")
    assert ids(lines) == names(range(60))
    wait_until(lambda: not rig.follower.state().spilling, "no more spilling")


def test_with_its_spool_full_a_follower_drops_its_own_and_counts(start: StartRig, lines: LineSink) -> None:
    rig = start(spool_max_bytes=65_536, most_rows=40)
    lines.error = SinkError("away", transient=True)
    filler = os.urandom(4_000).hex()
    with capture_logs() as logs:
        rig.give(range(80), filler=filler)
        told = [one["event"] for one in logs if one["event"].startswith("follower.")]
    # A line when it begins, not one for each; while the spool fills, it may take some in between.
    assert told[::2] == ["follower.dropping"] * len(told[::2])
    assert told[1::2] == ["follower.takes_again"] * len(told[1::2])
    assert 1 <= len(told) < 20
    assert rig.sequences() == list(range(320))
    wait_until(lambda: "full" in (rig.follower.state().last_error or ""), "full")
    state = rig.follower.state()
    assert state.dropped > 100
    assert state.spooled > 0
    assert state.rows + state.in_memory + state.spooled + state.dropped == 320
    lines.error = None
    wait_until(lambda: rig.follower.state().rows == 320 - state.dropped, "the rest brought in")
    found = ids(lines)
    assert found == sorted(set(found))
    assert set(found) < set(names(range(80)))
    assert sum(line["written"] for line in lines_of(lines.path)) == 320 - state.dropped
    with capture_logs() as logs:
        rig.give(range(80, 82))
    assert ("follower.takes_again", state.dropped) in [(one["event"], one.get("dropped")) for one in logs]
    wait_until(lambda: ids(lines)[-2:] == names(range(80, 82)), "it follows again")


def test_what_a_follower_dropped_is_a_hole_there_and_counted(start: StartRig, tmp_path: Path) -> None:
    second = tmp_path / "second.db"
    sink = SqlSink(lay_tables(str(second)), auto_migrate=True, busy_timeout_s=0.05, synchronous="OFF")
    rig = start(sink, spool_max_bytes=65_536, most_rows=40)
    rig.give(range(2))
    wait_until(lambda: rig.follower.state().rows == 8, "followed")
    filler = os.urandom(4_000).hex()
    with held(second):
        rig.give(range(2, 60), filler=filler)
        wait_until(lambda: rig.follower.state().dropped > 80, "dropped")
    waiting = lambda: (rig.follower.state().in_memory, rig.follower.state().spooled)  # noqa: E731
    wait_until(lambda: waiting() == (0, 0), "the rest brought in")
    rig.give(range(60, 62))
    rig.stop()
    state, found = rig.follower.state(), run_audit(str(second))
    assert {one.check for one in found.findings} <= {"timestamp"}, found.findings  # made up by the rig
    assert (state.in_memory, state.spooled, state.rows) == (0, 0, 248 - state.dropped)
    (written, rejected, reasons) = ask(
        second, "SELECT written, rejected, rejected_reasons FROM collector_accounting"
    )[0]
    assert (written, rejected, json.loads(reasons)) == (state.rows, state.dropped, {"no_room": state.dropped})
    segments = ask(
        second,
        "SELECT segment_id, first_sequence, last_sequence, rows, end_cause FROM collector_coverage "
        "WHERE rows > 0 ORDER BY start_ns",
    )
    assert len(segments) > 1
    assert {one[4] for one in segments[:-1]} == {"no_room"}
    for number, first, last, rows, _ in segments:
        question = f"SELECT sequence FROM {DEFAULT_TABLE_NAME} WHERE segment_id = {number} ORDER BY id"
        assert [one for (one,) in ask(second, question)] == list(range(first, last + 1))
        assert rows == last - first + 1


def test_refusals_open_its_breaker_and_are_tried_again(start: StartRig, lines: LineSink) -> None:
    rig = start()
    lines.error = SinkError("away", transient=True)
    rig.give(range(5))
    wait_until(lambda: rig.follower.state().breaker == "open", "left alone")
    assert rig.follower.state().last_error == "away"
    assert rig.writer.breaker.state == "closed"
    lines.error = None
    wait_until(lambda: ids(lines) == names(range(5)), "brought in")
    wait_until(lambda: rig.follower.state().last_error is None, "no error")
    assert rig.follower.state().breaker == "closed"


def test_any_error_is_a_refusal_and_ends_no_thread(start: StartRig, lines: LineSink) -> None:
    rig = start()
    lines.error = ZeroDivisionError("a bug of the sink")
    rig.give(range(3))
    wait_until(lambda: lines.writes >= 3, "tried again")
    assert "a bug of the sink" in str(rig.follower.state().last_error)
    lines.error = None
    wait_until(lambda: ids(lines) == names(range(3)), "brought in")


def test_a_row_that_it_refuses_is_missing_there_alone(start: StartRig, lines: LineSink) -> None:
    rig = start()
    lines.poison = {5}
    rig.give(range(3))
    wait_until(lambda: ids(lines) == names(range(3)), "followed")
    assert [one for line in lines_of(lines.path) for one in line["sequences"]] == [
        *range(5), *range(6, 12),
    ]  # fmt: skip
    assert rig.follower.state().rejected == 1
    assert rig.sequences() == list(range(12))
    assert rig.balance.states(dict) == ()


def test_one_that_cannot_be_opened_prevents_no_start(start: StartRig, tmp_path: Path) -> None:
    late = LineSink(tmp_path / "later" / "lines")
    rig = start(late)
    rig.give(range(4))
    wait_until(lambda: "does not exist" in str(rig.follower.state().last_error), "told")
    late.path.parent.mkdir()
    wait_until(lambda: ids(late) == names(range(4)), "brought in")


def test_a_call_that_hangs_is_interrupted_and_tried_again(start: StartRig, lines: LineSink) -> None:
    rig = start(call_timeout_s=0.2)
    lines.goes_on.clear()
    rig.give(range(2))
    wait_until(lambda: lines.writes >= 2, "interrupted and tried again")
    lines.goes_on.set()
    wait_until(lambda: ids(lines) == names(range(2)), "brought in")


@pytest.mark.parametrize("hears", [True, False])
def test_it_stops_in_time_and_the_next_start_goes_on_in_order(
    start: StartRig, lines: LineSink, hears: bool
) -> None:
    rig = start()
    rig.give(range(3))
    wait_until(lambda: len(ids(lines)) == 3, "followed")
    lines.goes_on.clear()
    lines.hears = hears
    rig.give(range(3, 30))
    began_s = time.monotonic()
    rig.stop(follower_timeout_s=1.0)
    assert time.monotonic() - began_s < 10.0  # and not for ever: the call hangs
    state = rig.follower.state()
    assert (state.rows, state.in_memory, state.spooled, state.dropped) == (12, 0, 108, 0)
    assert rig.batches() == names(range(30))
    assert lines.is_open == (not hears)  # a call that ends when interrupted leaves the sink closed
    lines.goes_on.set()
    if not hears:  # the thread that hung comes back, and finds its spool closed
        wait_until(lambda: len(ids(lines)) == 4, "the one that hung")
    later = start(LineSink(lines.path), session="session-2")
    later.give(range(30, 33), session="session-2")
    wait_until(lambda: later.follower.state().spooled == 0 and len(ids(lines)) == 33, "all brought in")
    assert ids(lines) == names(range(33)) == later.batches()
    found = lines_of(lines.path)
    assert [line["session"] for line in found] == ["session-1"] * 30 + ["session-2"] * 3
    assert [line["by"] for line in found] == [line["session"] for line in found]  # as the store has them
    assert sum(line["written"] for line in found) == 132


PROGRAM = """
import sys
from pathlib import Path
from follower_rig import Rig, wait_until
from line_sink import LineSink
folder = Path(sys.argv[1])
sink = LineSink(folder / "lines")
rig = Rig(folder, sink).start()
rig.give(range(4))
wait_until(lambda: rig.follower.state().rows == 16, "followed")
sink.goes_on.clear()
rig.give(range(4, 40))
wait_until(lambda: rig.follower.state().in_memory == 0, "durable")
print("ready", flush=True)
rig.give(range(40, 10_000))
"""


def test_after_a_kill_it_goes_on_with_what_the_store_has_committed(
    start: StartRig, lines: LineSink, tmp_path: Path
) -> None:
    here = Path(__file__).resolve().parent
    root = here.parents[1]
    folders = [here, here.parent, root, *filter(None, [os.environ.get("PYTHONPATH")])]
    path = os.pathsep.join(map(str, folders))
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    ) as process:
        assert process.stdout is not None
        assert "ready\n" in iter(process.stdout.readline, "")  # log lines come before it
        process.send_signal(signal.SIGKILL)
    assert ids(lines) == names(range(4))
    rig = start(session="session-2")
    wait_until(lambda: rig.writer.balance.rows_in_spool == 0, "the store has its own")
    wait_until(lambda: rig.follower.state().spooled == 0, "brought in")
    rig.stop()
    found = ids(lines)
    assert found[:40] == names(range(40))  # durable when it was killed: none is missing
    assert found == sorted(set(found))  # in order, none twice
    assert set(found) <= set(rig.batches())  # none that the store does not have


def test_what_an_earlier_session_had_committed_is_followed_as_that_session_wrote_it(
    start: StartRig, lines: LineSink, tmp_path: Path
) -> None:
    """The store had it, but its spool still holds it: the answer to the commit got lost with the process."""
    left = SpoolFile(tmp_path / "store-spool", max_bytes=1 << 20)
    left.open()
    store = SqlSink(lay_tables(str(tmp_path / "store.db")))
    store.open()
    for number in range(2):
        left.append(number + 1, write_set(number))
    store.write(write_set(0))  # the second one is not in the store
    left.close()
    store.close()
    rig = start(session="session-2")
    wait_until(lambda: len(ids(lines)) == 2, "followed")
    assert [(line["batch_id"], line["by"], line["written"]) for line in lines_of(lines.path)] == [
        ("batch-0000", "session-1", 4),
        ("batch-0001", "session-2", 4),
    ]
    rig.stop()
    assert rig.sequences() == list(range(8))


def test_large_write_sets_come_in_parts(start: StartRig, tmp_path: Path) -> None:
    small = LineSink(tmp_path / "lines", most_rows=3)
    rig = start(small)
    rig.give(range(2))
    wait_until(lambda: rig.follower.state().rows == 8, "followed")
    assert [(line["batch_id"], line["sequences"], line["written"]) for line in lines_of(small.path)] == [
        ("batch-0000/1", [0, 1, 2], 0),
        ("batch-0000", [3], 4),
        ("batch-0001/1", [4, 5, 6], 0),
        ("batch-0001", [7], 4),
    ]
    assert rig.batches() == names(range(2))
