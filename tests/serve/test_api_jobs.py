"""Jobs of a running collector: listed, and run at once by HTTP and by the command."""

import json
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

sys.path.insert(0, str(Path(__file__).parent))
from api_rig import EXAMPLE, asked, get, serving_collector, serving_database
from serve_rig import TOKEN

from collector.cli.program import run as run_command
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parents[1] / "whole_path"))
from rig import BTC, Rig, wait_until

BEARER = f"Authorization: Bearer {TOKEN}"
Command = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Rig, int, Path]]:
    """One collector with its server, and the configuration by which a command finds both."""
    folder = tmp_path_factory.mktemp("jobs")
    with Simulator(updates_per_s=50.0) as simulator:
        rig = Rig(simulator, str(folder / "live.db"), [BTC], exchanges__bybit__channels=["book.50"])
        with serving_collector(rig, token=SecretStr(TOKEN)) as port:
            endpoints = simulator.endpoints("bybit")
            exchanges = {"bybit": {"symbols": [BTC], "endpoints": endpoints}}
            database = {"url": str(folder / "live.db")}
            config = folder / "config.yaml"
            config.write_text(
                json.dumps({"exchanges": exchanges, "database": database, "serve": {"port": port}})
            )
            rig.collector.start()
            try:
                rig.wait_until_verified()
                yield rig, port, config
            finally:
                rig.collector.stop()


@pytest.fixture(autouse=True)
def as_a_program(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let commands run in this process, and leave its log as it was."""
    monkeypatch.setattr("collector.cli.program._set_up_libraries", lambda: None)
    monkeypatch.setenv("COLLECTOR_SERVE__ENABLED", "true")
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture
def command(
    served: tuple[Rig, int, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """Return a function that runs `jobs` with these words, in this process; the environment has the token."""

    def run(*words: str, token: str | None = TOKEN) -> tuple[int, str]:
        monkeypatch.delenv("COLLECTOR_SERVE__TOKEN", raising=False)
        if token is not None:
            monkeypatch.setenv("COLLECTOR_SERVE__TOKEN", token)
        code = run_command(["jobs", *words, "--config", str(served[2])])
        told = capsys.readouterr()
        return code, told.out + told.err

    return run


def job(port: int, name: str) -> dict[str, Any]:
    (found,) = [one for one in get(port, "/api/jobs")["jobs"] if one["name"] == name]
    return dict(found)


def test_every_job_is_listed_with_when_it_is_due(served: tuple[Rig, int, Path]) -> None:
    rig, port, _ = served
    document = get(port, "/api/jobs")
    assert document["session_id"] == rig.collector.session.session_id
    names = {one["name"] for one in document["jobs"]}
    assert names >= {"batches", "events", "rejected", "tidy", "checkpoint", "disk_room", "clock", "heartbeat"}
    assert all(one["due"].startswith(("every ", "daily at ")) for one in document["jobs"])
    assert all(one["next_ns"] > rig.collector.session.started_ns for one in document["jobs"])


def test_a_job_is_run_at_once_and_what_came_of_it_is_told(served: tuple[Rig, int, Path]) -> None:
    rig, port, _ = served
    answer = asked(port, "/api/jobs/clock", BEARER, method="POST")
    assert (answer.status, answer.json["runs"]) == (202, 0)
    wait_until(lambda: job(port, "clock")["runs"] == 1, "its run")
    told = job(port, "clock")
    assert (told["last_result"], told["failures"], told["last_error"]) == ("done", 0, "")
    assert told["last_text"].startswith("bybit ")
    assert told["last_start_ns"] >= rig.collector.session.started_ns
    assert told["last_s"] > 0


def test_who_brings_no_token_runs_nothing(served: tuple[Rig, int, Path]) -> None:
    _, port, _ = served
    before = job(port, "tidy")["runs"]
    assert asked(port, "/api/jobs/tidy", method="POST").status == 401
    assert asked(port, "/api/jobs/tidy", f"{BEARER}x", method="POST").status == 401
    assert asked(port, "/api/jobs/tidy", BEARER, "Origin: http://elsewhere", method="POST").status == 403
    answer = asked(port, "/api/jobs/vacuum", BEARER, method="POST")
    assert (answer.status, "batches" in answer.json["expected"]) == (404, True)
    assert job(port, "tidy")["runs"] == before


def test_of_a_database_that_nobody_writes_none_is_listed(stored_port: int) -> None:
    assert get(stored_port, "/api/jobs") == {"session_id": None, "jobs": []}
    answer = asked(stored_port, "/api/jobs/tidy", BEARER, method="POST")
    assert (answer.status, answer.json["reason"]) == (400, "nobody collects here, so tidy cannot run")


def test_the_command_asks_the_collector_that_runs(
    served: tuple[Rig, int, Path], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, port, _ = served
    monkeypatch.setenv("COLUMNS", "160")
    code, text = command("run", "checkpoint")
    assert (code, "checkpoint: done" in text) == (0, True), text
    assert job(port, "checkpoint")["runs"] >= 1
    code, text = command()
    (line,) = [line for line in text.splitlines() if line.startswith("checkpoint")]
    assert (code, "every 300 s" in line, "done" in line) == (0, True, True)
    monkeypatch.setenv("COLUMNS", "80")
    narrow = command()[1].splitlines()
    assert max(map(len, narrow)) <= 80
    assert [line.split()[1].isdigit() for line in narrow if line.startswith("checkpoint")] == [True]
    code, text = command("--json")
    assert json.loads(text.splitlines()[0])["running"]  # below it stands what the collector here logs
    code, text = command("run", "vacuum")
    assert (code, "no job 'vacuum'" in text) == (2, True)


def test_the_command_says_why_it_cannot(command: Command) -> None:
    """On loopback the list is open; a change wants the token."""
    code, text = command("run", "tidy", token=None)
    assert (code, "COLLECTOR_SERVE__TOKEN" in text) == (2, True), text


def test_a_file_that_is_held_where_nobody_answers_is_refused(
    served: tuple[Rig, int, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    settings = json.loads(served[2].read_text())
    settings["serve"]["port"] = 1
    config = served[2].with_name("held.yaml")
    config.write_text(json.dumps(settings))
    assert run_command(["jobs", "run", "tidy", "--config", str(config)]) == 2
    text = capsys.readouterr().err
    assert "127.0.0.1:1" in text
    assert "in use" in text or "process" in text


def test_of_a_file_that_nobody_holds_the_command_does_it_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"database": {"url": str(tmp_path / "own.db")}, "serve": {"port": 1}}
    config = tmp_path / "own.yaml"
    config.write_text(json.dumps(settings))
    assert run_command(["jobs", "run", "vacuum", "--config", str(config)]) == 2
    assert "there is no job 'vacuum'; expected one of batches" in capsys.readouterr().err
    assert not (tmp_path / "own.db").exists()
    assert run_command(["jobs", "run", "events", "--config", str(config)]) == 0
    assert capsys.readouterr().out.startswith("events: done, nothing to do")
    database = sqlite3.connect(tmp_path / "own.db")
    database.execute("INSERT INTO collector_events (at_ns, kind) VALUES (1, 'old')")
    database.commit()
    database.close()
    assert run_command(["jobs", "run", "events", "--config", str(config)]) == 0
    assert "1 rows gone" in capsys.readouterr().out
    assert run_command(["jobs", "run", "heartbeat", "--config", str(config)]) == 2
    assert "'heartbeat' is done by a collector only, while it runs" in capsys.readouterr().err
    assert run_command(["jobs", "run", "fill_holes", "--config", str(config)]) == 2
    assert "while it runs; python run.py backfill --holes --start TIME is for" in capsys.readouterr().err
    assert run_command(["jobs", "--config", str(config)]) == 0
    told = capsys.readouterr().out
    assert "no collector that writes" in told
    (line,) = [line for line in told.splitlines() if line.startswith("events")]
    assert "1 rows gone" in line  # the last run, kept in the database
    assert run_command(["status", "--db", str(tmp_path / "own.db")]) == 0
    assert "jobs ran last: events 20" in capsys.readouterr().out
    with serving_database(tmp_path / "own.db") as port:
        (shown,) = get(port, "/api/jobs")["jobs"]
    assert (shown["name"], shown["last_result"], shown["runs"]) == ("events", "done", 0)
    assert (shown["last_text"], shown["next_ns"], shown["timeout_s"]) == ("1 rows gone", None, None)


def test_the_report_of_a_finished_day_is_given_out(tmp_path: Path) -> None:
    copied = Path(shutil.copy(EXAMPLE, tmp_path / "live.db"))
    with serving_database(copied) as port:
        assert get(port, "/api/quality") == {"days": [], "kept": []}
    config = tmp_path / "own.yaml"
    config.write_text(json.dumps({"database": {"url": str(copied)}, "serve": {"port": 1}}))
    assert run_command(["jobs", "run", "quality", "--config", str(config)]) == 0
    with serving_database(copied) as port:
        document = get(port, "/api/quality")
        rows, kept = document["days"], document["kept"]
        assert kept[0] == rows[0]["day"]
        assert get(port, "/api/quality", day=rows[0]["day"], days=3)["days"] == rows
        assert get(port, "/api/quality", day="2001-01-01") == {"days": [], "kept": kept}
        assert asked(port, "/api/quality", day="yesterday").status == 422
    book = next(one for one in rows if one["channel"] == "book.50" and one["holes"])
    assert set(book["holes_by_cause"]) == {"disconnect"}
    assert book["rows"] > 0
