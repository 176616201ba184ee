"""A database that refuses for a while costs nothing: the rows wait, and are stored once, in order."""

import sqlite3
import sys
from pathlib import Path

import sqlalchemy as sa

from collector.query.audit import run_audit

sys.path.insert(0, str(Path(__file__).parent))
from rig import BTC, ETH, Rig, running, stop_and_check, wait_until


def test_a_locked_file_is_waited_for(tmp_path: Path) -> None:
    database = tmp_path / "live.db"
    with running(database, database__busy_timeout_s=0.1) as rig:
        writer = rig.collector.writer
        other = sqlite3.connect(database, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        wait_until(lambda: writer.committed.retries >= 3, "refused several times")
        assert writer.committed.last_error is not None
        other.execute("ROLLBACK")
        other.close()
        stored = writer.committed.rows
        wait_until(lambda: writer.committed.rows > stored + 50, "stored again")
        assert writer.committed.last_error is None
        assert stop_and_check(rig).good
        for symbol in (BTC, ETH):
            sequences = [row["sequence"] for row in rig.rows(symbol)]
            assert sequences == list(range(sequences[0], sequences[0] + rig.sent(symbol)))


def test_what_a_locked_database_does_not_take_waits_in_the_spool_for_the_next_start(tmp_path: Path) -> None:
    database = tmp_path / "live.db"
    with running(database, [BTC], database__busy_timeout_s=0.1) as rig:
        wait_until(lambda: rig.collector.writer.committed.rows > 10, "some rows")
        other = sqlite3.connect(database, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        rig.simulator.publish(50, BTC)
        rig.simulator.pause()
        rig.wait_for_all()
        report = rig.collector.stop(deadline_s=3.0)
        other.execute("ROLLBACK")
        other.close()
        assert report.good
        assert report.problems == ()
        (terms,) = [state for state in report.accounting if state.symbol == BTC]
        assert terms.pending == report.waiting >= 50
        assert terms.dropped == 0
        assert Path(report.spool).exists()
        again = Rig(rig.simulator, str(database), [BTC])
        again.collector.start()
        again.wait_until_verified()
        wait_until(lambda: not again.collector.writer.spilling, "brought in")
        second = again.collector.stop()
        assert second.good
        (brought,) = [state for state in second.accounting if state.symbol == BTC]
        settled_at_once = brought.merged + brought.rejected_total
        assert brought.carried_in == terms.pending
        assert brought.written == terms.pending + brought.received - settled_at_once
        assert not Path(report.spool).exists()
        found = run_audit(str(database))
        assert found.passed, found.findings
        rig.check_rows(BTC)
        assert [one["end_cause"] for one in rig.segments(BTC)] == ["stop", "stop"]


def test_postgresql_sessions_cut_in_mid_run_lose_and_double_nothing(postgres_url: str) -> None:
    admin = sa.create_engine(postgres_url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with running(postgres_url) as rig:
        for _ in range(5):
            stored = rig.collector.writer.committed.rows
            with admin.connect() as connection:
                connection.exec_driver_sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE pid <> pg_backend_pid() AND datname = current_database()"
                )
            wait_until(
                lambda stored=stored: rig.collector.writer.committed.rows > stored + 20, "stored again"
            )
        assert rig.collector.writer.committed.retries > 0
        assert stop_and_check(rig).good
        for symbol in (BTC, ETH):
            sequences = [row["sequence"] for row in rig.rows(symbol)]
            assert sequences == list(range(sequences[0], sequences[0] + rig.sent(symbol)))
