"""What a person at a terminal sees: output, exit codes, messages for mistakes."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from program import BTC, ROOT, Run, config, count_rows, start, wait_for_rows


def test_help_and_version(run: Run) -> None:
    shown = run("--help", COLUMNS="120")
    assert shown.returncode == 0
    for command in ("collect", "demo", "simulate", "status", "coverage", "verify", "migrate"):
        assert command in shown.stdout
        helped = run(*command.split(), "--help")
        assert helped.returncode == 0
        assert "Example" in helped.stdout or command == "migrate"
    assert run("--version").stdout.startswith("collector 0.")


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; sys.argv = ['run.py', '--help']\n"
        "from collector.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'ccxt', 'pandas', 'numpy', 'sqlalchemy', 'pydantic', 'aiohttp'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, cwd=ROOT)


def test_the_demo_leaves_a_database_that_passes_verification(run: Run, tmp_path: Path) -> None:
    done = run("demo", "--seconds", "3", "--db", "demo.db")
    assert done.returncode == 0, done.stderr
    assert "identity: exact, every event is accounted for" in done.stdout
    assert "python run.py verify --db demo.db" in done.stdout
    verified = run("verify", "--db", "demo.db")
    assert (verified.returncode, verified.stdout[:9]) == (0, "verified:")
    streams = json.loads(run("status", "--db", "demo.db", "--json").stdout)
    assert {one["symbol"] for one in streams} >= {BTC}
    for one in streams:
        settled = ("written", "merged", "sampled_out", "rejected", "dropped", "pending")
        assert one["received"] + one["carried_in"] == sum(one[term] for term in settled)
    segments = json.loads(run("coverage", "--db", "demo.db", "--json").stdout)
    assert sum(one["rows"] for one in segments) == count_rows(tmp_path / "demo.db") > 0
    assert "ended: stop" in run("coverage", "--db", "demo.db").stdout


def test_sigterm_under_load_drains_and_accounts(tmp_path: Path, simulator: Simulator) -> None:
    process = start("collect", "--config", config(tmp_path, simulator), cwd=tmp_path)
    wait_for_rows(tmp_path / "live.db", process, 100)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "identity: exact" in out


def test_kill_9_loses_no_committed_row_and_coverage_says_crash(
    run: Run, tmp_path: Path, simulator: Simulator
) -> None:
    database = tmp_path / "live.db"
    words = ("collect", "--config", config(tmp_path, simulator))
    process = start(*words, cwd=tmp_path)
    wait_for_rows(database, process, 200)
    process.kill()
    process.communicate()
    left = count_rows(database)
    done = run(*words, "--seconds", "2")
    assert done.returncode == 0, done.stderr
    assert count_rows(database) > left >= 200
    assert run("verify", "--db", str(database)).returncode == 0
    causes = [one["end_cause"] for one in json.loads(run("coverage", "--db", str(database), "--json").stdout)]
    assert causes == ["crash", "stop"]


def test_a_second_collector_on_the_same_file_is_refused_by_name(
    run: Run, tmp_path: Path, simulator: Simulator
) -> None:
    words = ("collect", "--config", config(tmp_path, simulator))
    first = start(*words, cwd=tmp_path)
    try:
        wait_for_rows(tmp_path / "live.db", first, 20)
        second = run(*words, "--seconds", "2")
    finally:
        first.send_signal(signal.SIGINT)
        out, err = first.communicate(timeout=30)
    assert second.returncode == 2
    assert str(first.pid) in second.stderr
    assert first.returncode == 0, err
    assert "identity: exact" in out


def test_symbols_from_the_environment_alone(run: Run, tmp_path: Path, simulator: Simulator) -> None:
    endpoints = simulator.endpoints("bybit")
    done = run(
        "--seconds",
        "2",
        SYMBOLS="BTCUSDT",
        COLLECTOR_EXCHANGES__BYBIT__ENDPOINTS__REST=endpoints["rest"],
        COLLECTOR_EXCHANGES__BYBIT__ENDPOINTS__WS=endpoints["ws"],
    )
    assert done.returncode == 0, done.stderr
    assert count_rows(tmp_path / "trading_bot_live.db") > 0


def test_five_mistakes_get_five_messages(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(
        "exchanges:\n"
        "  bybit:\n"
        "    symbols: [BTC/USDT:USDT]\n"
        "    chanels: [book.50]\n"
        "    environment: production\n"
        "database: {table_name: 'x; DROP TABLE y'}\n"
        "writer: {interval_s: -1}\n"
        "buffer: {max_rows: many}\n"
    )
    done = run("collect", "--config", "bad.yaml")
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert lines[0].startswith("error: 5 problems")
    assert len(lines) == 6
    for key in ("chanels", "environment", "table_name", "interval_s", "max_rows"):
        assert sum(key in line for line in lines) == 1, key
    assert "channels" in next(line for line in lines if "chanels" in line)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["collect"], "nothing to collect"),
        (["collect", "--config", "none.yaml"], "none.yaml"),
        (["collect", "--symbols", BTC, "--db", "no/such/folder/live.db"], "does not exist"),
        (["collect", "--symbols", BTC, "--db", "mysql://host/db"], "expected a path of an SQLite file"),
        (["collect", "--symbols", BTC, "--seconds", "-1"], "--seconds"),
        (["collect", "--config", "unwritable.yaml"], "logging.file: no/such/x.log cannot be written"),
        (["colect"], "colect"),
        (["verify", "--db", "none.db"], "there is no database"),
        (["migrate", "down", "--db", "x.db"], "--to"),
    ],
)
def test_a_mistake_is_answered_in_a_line_or_three(
    run: Run, tmp_path: Path, words: list[str], expected: str
) -> None:
    (tmp_path / "unwritable.yaml").write_text(
        "exchanges: {bybit: {symbols: [BTC/USDT:USDT]}}\nlogging: {file: no/such/x.log}\n"
    )
    done = run(*words)
    assert done.returncode == 2
    assert expected in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 8  # a box of the command line's own counts five


def test_a_symbol_that_the_exchange_does_not_have_ends_the_run_with_its_name(
    run: Run, tmp_path: Path, simulator: Simulator
) -> None:
    done = run("collect", "--config", config(tmp_path, simulator, ["NOPE/USDT:USDT"]))
    assert done.returncode == 1
    assert "NOPE/USDT:USDT" in done.stdout


def test_a_password_is_shown_nowhere(run: Run) -> None:
    for command in ("demo", "collect"):
        words = ["--symbols", BTC] if command == "collect" else []
        done = run(command, *words, "--db", "postgresql://someone:hunter2@127.0.0.1:1/none")
        assert done.returncode == 2
        assert "hunter2" not in done.stdout + done.stderr
        assert "127.0.0.1" in done.stderr
