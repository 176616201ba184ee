"""A start whose database is away but known here: collected into the spool, and delivered when it is back."""

import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from collector import iter_features, load_features
from collector.app.wiring_writer import known_database_of, store_of
from collector.errors import DatabaseAway, DatabaseInUse, QueryError
from collector.query.audit import run_audit
from collector.query.database import reading
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from proxy import through_a_proxy
from rig import BTC, Rig, stop_and_check, wait_until

sys.path.insert(0, str(Path(__file__).parents[1]))
from held_file import held

IMPATIENT: dict[str, object] = {
    "breaker__wait_base_s": 0.05,
    "breaker__wait_max_s": 0.3,
    "database__busy_timeout_s": 0.05,
    "database__call_timeout_s": 2.0,
}


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(symbols={"bybit": [BTC]}, updates_per_s=50.0) as running:
        yield running


def rig_of(simulator: Simulator, database: object, **overrides: object) -> Rig:
    return Rig(simulator, str(database), [BTC], **{**IMPATIENT, **overrides})


def open_once(rig: Rig) -> None:
    """Open and close the database, as an earlier session on this machine did."""
    store = store_of(rig.settings)
    store.open()
    known_database_of(rig.settings, store).remember()
    store.close()


def collect_into_the_spool(rig: Rig, rows: int = 20) -> None:
    rig.collector.start(without_database=True)
    assert rig.collector.view().writer.breaker in {"open", "half_open"}
    balance = rig.collector.writer.balance
    wait_until(lambda: balance.rows_in_spool >= rows, "rows in the spool")
    assert rig.collector.writer.committed.rows == 0


def check_all_is_there(rig: Rig) -> None:
    """Every update since the start is stored once, in one segment of this session."""
    wait_until(lambda: not rig.collector.writer.spilling, "brought in")
    report = stop_and_check(rig)
    assert report.good
    assert report.waiting == 0
    assert not Path(report.spool).exists()
    sequences = [row["sequence"] for row in rig.rows(BTC)]
    assert sequences == list(range(sequences[0], sequences[0] + rig.sent(BTC)))
    (segment,) = rig.segments(BTC)
    assert segment["session_id"] == report.session_id


def failure_of(rig: Rig) -> str:
    """Wait for the end of a writer that cannot go on; stop, and return why that was."""
    wait_until(lambda: rig.collector.writer.failure is not None, "the writer ends")
    assert rig.collector.wait(10.0), "nobody is told"
    report = rig.collector.stop()
    assert report.exact
    assert report.waiting > 0
    (problem,) = report.problems
    assert "waits in the spool" in problem
    return problem


def bring_in(simulator: Simulator, database: Path, rows: int) -> None:
    """Start a session that brings in so many rows of an earlier one."""
    rig = rig_of(simulator, database)
    rig.collector.start()
    wait_until(lambda: not rig.collector.writer.spilling, "brought in")
    report = rig.collector.stop()
    assert sum(terms.carried_in for terms in report.accounting) == rows
    rig.check_database()


def test_a_file_that_is_locked_at_the_start_gets_all_in_the_end(simulator: Simulator, tmp_path: Path) -> None:
    rig = rig_of(simulator, tmp_path / "live.db")
    open_once(rig)
    with held(tmp_path / "live.db"):
        collect_into_the_spool(rig)
    check_all_is_there(rig)


def test_so_does_a_server_that_is_away(simulator: Simulator, empty_postgres_url: str, tmp_path: Path) -> None:
    with through_a_proxy(empty_postgres_url) as (proxy, url):
        rig = rig_of(simulator, url, spool__path=str(tmp_path / "spool"))
        open_once(rig)
        proxy.stall()
        collect_into_the_spool(rig)
        proxy.recover()
        check_all_is_there(rig)


def test_rows_of_a_time_in_which_another_collected_too_are_told_apart_by_loaders(
    simulator: Simulator, postgres_url: str, tmp_path: Path
) -> None:
    """The first has no claim while it cannot reach the server: a second one takes its streams."""
    with through_a_proxy(postgres_url) as (proxy, url):
        first = rig_of(simulator, url, spool__path=str(tmp_path / "spool"))
        open_once(first)
        proxy.stall()
        collect_into_the_spool(first)
        second = rig_of(simulator, postgres_url, spool__path=str(tmp_path / "other"))
        second.collector.start()
        try:
            second.wait_until_verified(20)
            proxy.recover()
            assert "collected into this database already" in failure_of(first)
        finally:
            report = second.collector.stop()
    assert report.good
    waiting = first.collector.stop().waiting
    third = rig_of(simulator, postgres_url, spool__path=str(tmp_path / "spool"))
    third.collector.start()
    wait_until(lambda: not third.collector.writer.spilling, "brought in")
    assert sum(terms.carried_in for terms in third.collector.stop().accounting) == waiting
    for read in (load_features, lambda *of: list(iter_features(*of))):
        with pytest.raises(QueryError, match=r"segments of .* overlap, .* two collectors had the stream"):
            read(postgres_url, BTC)
    told: list[tuple[int, int]] = []
    for part in load_features(postgres_url, BTC, on_gap="split", columns=["sequence"]):
        (segment,) = set(part["segment"])
        assert part["sequence"].is_monotonic_increasing
        told += [(segment, sequence) for sequence in part["sequence"]]
    stored = [(row["segment_id"], row["sequence"]) for row in second.rows(BTC)]
    assert sorted(told) == sorted(stored)
    found = run_audit(postgres_url)
    assert found.passed, found.findings
    assert "overlap in time" in found.notes[0].text
    sessions = {one["session_id"] for one in second.segments(BTC) if one["rows"]}
    assert {rig.collector.session.session_id for rig in (first, second)} <= sessions


def test_stopped_before_it_is_back_the_next_start_brings_it_in(simulator: Simulator, tmp_path: Path) -> None:
    rig = rig_of(simulator, tmp_path / "live.db")
    open_once(rig)
    with held(tmp_path / "live.db"):
        collect_into_the_spool(rig)
        report = rig.collector.stop()
    assert report.good
    assert report.waiting > 0
    bring_in(simulator, tmp_path / "live.db", report.waiting)
    assert len(rig.rows(BTC)) >= report.waiting


def test_another_collector_is_refused_at_once_while_it_waits(simulator: Simulator, tmp_path: Path) -> None:
    rig = rig_of(simulator, tmp_path / "live.db")
    open_once(rig)
    with held(tmp_path / "live.db"):
        collect_into_the_spool(rig)
        with pytest.raises(DatabaseInUse):
            rig_of(simulator, tmp_path / "live.db").collector.start(without_database=True)
    check_all_is_there(rig)


def change(holder: sqlite3.Connection, table: str, column: str, value: str) -> str:
    """Change the one value of a table of bookkeeping, and return what it was."""
    (before,) = holder.execute(f"SELECT {column} FROM {table}").fetchone()
    holder.execute(f"UPDATE {table} SET {column} = ?", (value,))
    return str(before)


def test_another_database_gets_nothing_and_the_spool_stays(simulator: Simulator, tmp_path: Path) -> None:
    database = tmp_path / "live.db"
    rig = rig_of(simulator, database)
    open_once(rig)
    with held(database) as holder:
        collect_into_the_spool(rig)
        identity = change(holder, "collector_database", "value", "of another")
        holder.execute("COMMIT")
    assert "is another database (identity of another)" in failure_of(rig)
    with reading(str(database)) as (connection, tables):
        assert connection.execute(sa.select(tables.sessions)).all() == []
    waiting = rig.collector.stop().waiting
    bring_in(simulator, database, 0)
    with held(database) as holder:
        change(holder, "collector_database", "value", identity)
        holder.execute("COMMIT")
    bring_in(simulator, database, waiting)


def test_so_it_is_with_one_that_a_newer_version_has_changed(simulator: Simulator, tmp_path: Path) -> None:
    rig = rig_of(simulator, tmp_path / "live.db")
    open_once(rig)
    with held(tmp_path / "live.db") as holder:
        collect_into_the_spool(rig)
        revision = change(holder, "collector_alembic_version", "version_num", "9999")
        holder.execute("COMMIT")
    assert "revision 9999, which this version does not know" in failure_of(rig)
    with held(tmp_path / "live.db") as holder:
        change(holder, "collector_alembic_version", "version_num", revision)
        holder.execute("COMMIT")
    bring_in(simulator, tmp_path / "live.db", rig.collector.stop().waiting)


@pytest.mark.parametrize("what", ["never open", "other table", "other version", "unreadable"])
def test_one_that_is_not_known_is_not_started_without(
    simulator: Simulator, tmp_path: Path, what: str
) -> None:
    note = tmp_path / "live.db.known"
    table = {"database__table_name": "mine"} if what == "other table" else {}
    open_once(rig_of(simulator, tmp_path / "live.db", **table))
    if what == "never open":
        note.unlink()
    elif what == "other version":
        note.write_text(note.read_text().replace('"revision":"0', '"revision":"1'))
    elif what == "unreadable":
        note.write_text(note.read_text()[:-5])
    with held(tmp_path / "live.db"), pytest.raises(DatabaseAway):
        rig_of(simulator, tmp_path / "live.db").collector.start(without_database=True)


def test_without_leave_a_start_does_not_begin(simulator: Simulator, tmp_path: Path) -> None:
    rig = rig_of(simulator, tmp_path / "live.db")
    open_once(rig)
    with held(tmp_path / "live.db"), pytest.raises(DatabaseAway):
        rig.collector.start()
    rig.collector.start()  # nothing was left behind that prevents it
    assert rig.collector.stop().good
