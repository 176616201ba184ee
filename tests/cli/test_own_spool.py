"""What is only tried out takes no row out of a spool that waits for its database, and puts none in."""

import shutil
import sys
import time
from pathlib import Path

import pytest

from collector.cli.commands.demo import demo_markets, demo_settings
from collector.cli.commands.plan import throw_away
from collector.settings import load_settings
from collector.simulator import Simulator
from collector.spool.file import SpoolFile
from collector.spool.look import look_at
from collector.spool.owner import SpoolOwner

sys.path.insert(0, str(Path(__file__).parents[1]))
from left_spool import leave_rows, left_in, left_write_set

sys.path.insert(0, str(Path(__file__).parent))
from program import Run, config


def test_what_a_plan_measures_leaves_the_spool_alone(run: Run, tmp_path: Path, simulator: Simulator) -> None:
    waiting = leave_rows(tmp_path / "live.spool")
    done = run(
        *("plan", "--config", config(tmp_path, simulator), "--measure", "--measure-seconds", "1", "--json"),
        COLLECTOR_SPOOL__PATH=str(waiting),
    )
    assert done.returncode == 0, done.stderr
    assert left_in(waiting) == ["left-1"]


def test_what_a_plan_measures_is_neither_archived_nor_sent_on(tmp_path: Path) -> None:
    overrides = {
        "spool.path": str(tmp_path / "live.spool"),
        "spool.after_s": 3.0,
        "retention.days": 1.0,
        "followers": [str(tmp_path / "second.db")],
    }
    settings = load_settings(overrides=overrides, environ={}, env_file=None)
    found = throw_away(settings, tmp_path / "plan.db")
    assert found.database.url == str(tmp_path / "plan.db")
    assert (found.spool.path, found.spool.after_s) == (None, 3.0)
    assert (found.retention.days, found.followers) == (None, ())


def test_the_demo_heeds_the_environment_s_logging_and_nothing_that_is_the_user_s(tmp_path: Path) -> None:
    environ = {
        "COLLECTOR_LOGGING__LEVEL": "warning",
        "collector_logging__format": "json",
        "COLLECTOR_SPOOL__PATH": str(tmp_path / "live.spool"),
        "COLLECTOR_DATABASE__TABLE_NAME": "mine",
        "COLLECTOR_RETENTION__DAYS": "1",
        "COLLECTOR_FOLLOWERS": str(tmp_path / "second.db"),
        "COLLECTOR_EXCHANGES__BYBIT__SYMBOLS": "DOGE/USDT:USDT",
        "SYMBOLS": "SOLUSDT",
    }
    with Simulator(symbols=demo_markets(), updates_per_s=1.0) as simulator:
        found = demo_settings(simulator, str(tmp_path / "demo.db"), environ)
        plain = demo_settings(simulator, str(tmp_path / "demo.db"), {})
    assert (found.logging.level, found.logging.format) == ("warning", "json")
    assert found.model_copy(update={"logging": plain.logging}) == plain


@pytest.mark.parametrize("words", [("doctor", "--offline"), ("status",)], ids=["doctor", "status"])
def test_a_look_names_what_waits_and_leaves_it_as_it_was(
    run: Run, tmp_path: Path, words: tuple[str, ...], sound: Path
) -> None:
    database = tmp_path / "live.db"
    database.write_bytes(sound.read_bytes())
    came_ns = time.time_ns() - 3 * 3600 * 10**9
    waiting = leave_rows(tmp_path / "live.db-spool", left_write_set(0, started_ns=came_ns))
    (tmp_path / "live.db-spool-2").write_bytes(b"x" * 5000)
    leave_rows(tmp_path / "live.db-spool-3", owner=SpoolOwner("there", lambda: "theirs"))
    before, names = waiting.read_bytes(), {path.name for path in tmp_path.glob("*spool*")}
    done = run(*words, "--db", str(database))
    assert f"2 rows wait in the spool {waiting}, the oldest for 3h" in done.stdout
    assert "the next start on this database brings them in" in done.stdout
    assert "live.db-spool-2 cannot be read: file is not a database" in done.stdout
    assert "live.db-spool-3" not in done.stdout
    assert waiting.read_bytes() == before
    assert {path.name for path in tmp_path.glob("*spool*")} == names


def test_rows_in_the_log_of_a_process_that_was_killed_are_seen(tmp_path: Path) -> None:
    spool = SpoolFile(tmp_path / "running", max_bytes=1 << 24)
    spool.open()
    spool.append(1, left_write_set(1))
    assert (found := look_at(spool.path)) is not None
    assert (found.held, found.rows) == (True, 0)
    for suffix in ("", "-wal"):
        shutil.copy(f"{spool.path}{suffix}", f"{tmp_path / 'killed'}{suffix}")
    spool.close()
    assert (found := look_at(tmp_path / "killed")) is not None
    assert (found.batches, found.rows, found.sessions) == (1, 2, ("left",))
    assert {path.name for path in tmp_path.iterdir()} == {"running", "killed", "killed-wal"}
