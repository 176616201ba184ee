"""kill -9 at random moments under load: each start comes up, no batch is half, the hole is shown."""

import json
import random
import signal
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from subprocess import Popen

import pytest

from collector.query.audit import run_audit
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cli"))
from program import BTC, config, start, wait_for_rows

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from ready_tables import lay_tables

INTERVAL_S = 0.1
MOST_LOST_S = 3.0  # an interval and a flush, on a machine that does a dozen other things
SEED = 20_261_121


def configured(folder: Path, simulator: Simulator) -> str:
    path = Path(config(folder, simulator))
    settings = json.loads(path.read_text())
    settings["spool"] = {"after_s": 0.1}
    settings["breaker"] = {"failures": 2, "wait_base_s": 0.05, "wait_max_s": 0.2}
    settings["database"]["busy_timeout_s"] = 0.1
    path.write_text(json.dumps(settings))
    return str(path)


def count(database: Path, question: str) -> int:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return int(connection.execute(question).fetchone()[0] or 0)


def wait_for_its_rows(database: Path, process: Popen[str], began_ns: int) -> None:
    """Wait until the session that has begun since then has stored rows of its own."""
    question = (
        "SELECT sum(rows) FROM collector_coverage JOIN collector_sessions USING (session_id) "
        f"WHERE started_ns > {began_ns}"
    )
    wait_for_rows(database, process, 1)
    for _ in range(3000):
        if count(database, question) >= 20:
            return
        assert process.poll() is None, process.communicate()
        signal.sigtimedwait([], 0.01)
    pytest.fail("no rows of its own came")


def wait_at_random(draw: random.Random, most_s: float) -> None:
    signal.sigtimedwait([], draw.uniform(0, most_s))


@pytest.mark.parametrize("kills", [1, pytest.param(50, marks=pytest.mark.proof)])
def test_a_kill_loses_no_more_than_what_was_not_written_yet(tmp_path: Path, kills: int) -> None:
    database, draw = tmp_path / "live.db", random.Random(SEED)
    lay_tables(str(database))
    killed_ns: list[int] = []
    with Simulator(symbols={"bybit": [BTC]}, updates_per_s=100.0) as simulator:
        words = ("collect", "--config", configured(tmp_path, simulator))
        for number in range(kills):
            began_ns = time.time_ns()
            with start(*words, cwd=tmp_path) as process:
                wait_for_its_rows(database, process, began_ns)
                if number % 2 == 0:  # with the database locked, so that the spool holds what comes
                    with closing(sqlite3.connect(database, isolation_level=None, timeout=10)) as other:
                        other.execute("BEGIN IMMEDIATE")
                        wait_at_random(draw, 1.5)
                        killed_ns.append(time.time_ns())
                        process.kill()
                else:
                    wait_at_random(draw, 0.5)
                    killed_ns.append(time.time_ns())
                    process.kill()
                process.communicate()
        began_ns = time.time_ns()
        with start(*words, cwd=tmp_path) as process:
            wait_for_its_rows(database, process, began_ns)
            process.send_signal(signal.SIGTERM)
            printed, _ = process.communicate()
            assert process.returncode == 0, printed
    found = run_audit(str(database))
    assert found.passed, found.findings
    assert not Path(f"{database}-spool").exists()
    check_batches(database)
    check_segments(database)
    lost_s = sorted(lost(database, killed_ns))
    print(f"after {kills} kills: {lost_s[len(lost_s) // 2]:.3f} s lost by half, {lost_s[-1]:.3f} s at most")
    assert lost_s[-1] < MOST_LOST_S


def check_batches(database: Path) -> None:
    """The ledger and the tables tell the same number of rows, so no batch is half or twice."""
    assert count(database, "SELECT count(*) FROM l2_training_data_practical") + count(
        database, "SELECT count(*) FROM collector_events"
    ) == count(database, "SELECT sum(rows) FROM collector_batches")
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def check_segments(database: Path) -> None:
    """Each segment is unbroken, and ends as its session ended."""
    with closing(sqlite3.connect(database)) as connection:
        segments = connection.execute(
            "SELECT rows, last_sequence - first_sequence + 1, c.end_cause, s.end_cause "
            "FROM collector_coverage c JOIN collector_sessions s USING (session_id) ORDER BY c.start_ns"
        ).fetchall()
        assert connection.execute("SELECT count(*) FROM collector_sessions").fetchone()[0] > 1
    for rows, span, cause, of_session in segments:
        assert rows == span
        assert cause == of_session
    assert [cause for *_, cause in segments].count("stop") == 1
    assert {cause for *_, cause in segments} == {"crash", "stop"}


def lost(database: Path, killed_ns: list[int]) -> list[float]:
    """Return for each kill how long before it the last update was that is stored."""
    with closing(sqlite3.connect(database)) as connection:
        lasts = connection.execute(
            "SELECT max(end_ns) FROM collector_coverage WHERE end_cause = 'crash' "
            "GROUP BY session_id ORDER BY 1"
        ).fetchall()
    assert len(lasts) == len(killed_ns)
    return [(at_ns - last_ns) / 1e9 for at_ns, (last_ns,) in zip(killed_ns, lasts, strict=True)]
