"""What a person at a terminal sees: output, exit codes, messages for mistakes."""

import json
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from meanwhile import RunWhile
from program import BTC, CLEAN, ROOT, Run, config, count_rows, start, wait_for_rows

AWAY = "postgresql://me:secret@127.0.0.1:1/live"
COMMANDS = (
    *("collect", "demo", "simulate", "doctor", "plan", "status", "coverage", "verify", "tail", "symbols"),
    *("migrate", "config", "version", "bench"),
)


def test_help_and_version(run: Run) -> None:
    shown = run("--help", COLUMNS="120")
    assert shown.returncode == 0
    for command in COMMANDS:
        assert command in shown.stdout
    for command in (*COMMANDS, "migrate up", "migrate down", "migrate status", "config show", "config check"):
        helped = run(*command.split(), "--help")
        assert helped.returncode == 0
        assert "Example: python run.py" in helped.stdout or command in {"migrate", "config"}, command
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
    segments = json.loads(run("coverage", "--db", "demo.db", "--json").stdout)
    assert {one["symbol"] for one in streams} >= {BTC}
    assert {one["channel"] for one in segments} >= {"book.50", "bbo", "trade", "ohlcv.1m"}
    for one in streams:
        settled = ("written", "merged", "sampled_out", "rejected", "dropped", "pending")
        assert one["received"] + one["carried_in"] == sum(one[term] for term in settled)
    books = [one for one in segments if one["channel"].startswith(("book.", "bbo"))]
    assert sum(one["rows"] for one in books) == count_rows(tmp_path / "demo.db") > 0
    assert " stop  " in run("coverage", "--db", "demo.db").stdout


def test_sigterm_under_load_drains_and_accounts(
    run_while: RunWhile, tmp_path: Path, simulator: Simulator
) -> None:
    path = config(tmp_path, simulator)
    done = run_while(
        lambda running: running.wait_for_rows(tmp_path / "live.db", 100), "collect", "--config", path
    )
    assert done.returncode == 0, done.stderr
    assert "identity: exact" in done.stdout


@pytest.mark.proof  # in the short form: whole_path/test_kill.py
def test_kill_9_loses_no_committed_row_and_coverage_says_crash(
    run: Run, tmp_path: Path, simulator: Simulator
) -> None:
    database = tmp_path / "live.db"
    words = ("collect", "--config", config(tmp_path, simulator))
    process = start(*words, cwd=tmp_path)
    wait_for_rows(database, process, 50)
    process.kill()
    process.communicate()
    left = count_rows(database)
    done = run(*words, "--seconds", "1")
    assert done.returncode == 0, done.stderr
    assert count_rows(database) > left >= 50
    assert run("verify", "--db", str(database)).returncode == 0
    causes = [one["end_cause"] for one in json.loads(run("coverage", "--db", str(database), "--json").stdout)]
    assert causes == ["crash", "stop"]


@pytest.mark.proof
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
        out, err = first.communicate(timeout=120)
    assert second.returncode == 2
    assert str(first.pid) in second.stderr
    assert first.returncode == 0, err
    assert "identity: exact" in out


def test_five_mistakes_get_five_messages(run_alone: Run, tmp_path: Path) -> None:
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
    done = run_alone("collect", "--config", "bad.yaml")
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert lines[0].startswith("error: 5 problems")
    assert len(lines) == 6
    for key in ("chanels", "environment", "table_name", "interval_s", "max_rows"):
        assert sum(key in line for line in lines) == 1, key
    assert "channels" in next(line for line in lines if "chanels" in line)


MISTAKES = {
    "a file that is not there": (["collect", "--config", "none.yaml"], "none.yaml"),
    "an exchange that is none": (["--exchange", "bybt", "--symbols", BTC], "did you mean bybit?"),
    "an exchange without symbols": (
        ["collect", "--exchange", "okxus"],
        "no market, expected some: with --symbols",
    ),
    "an exchange not configured": (
        ["collect", "--config", "unwritable.yaml", "--exchange", "kraken"],
        "name its markets with --symbols",
    ),
    "a channel that is none": (["--symbols", BTC, "--channels", "book.51"], "a depth that bybit does not"),
    "a folder that is not there": (["--symbols", BTC, "--db", "no/such/live.db"], "does not exist"),
    "a folder for a database": (["--symbols", BTC, "--db", "."], "is a folder; expected the path"),
    "a database of another kind": (["--symbols", BTC, "--db", "mysql://h/d"], "expected a path of an SQLite"),
    "a file that is no database": (["--symbols", BTC, "--db", "letter.txt"], "not a database"),
    "a time below 0": (["collect", "--symbols", BTC, "--seconds", "-1"], "--seconds"),
    "a time that is no number": (["collect", "--symbols", BTC, "--seconds", "soon"], "--seconds"),
    "a log file that cannot be": (["--config", "unwritable.yaml"], "logging.file: no/such/x.log cannot"),
    "an unknown command": (["colect"], "Did you mean 'collect'?"),
    "an unknown option": (["collect", "--sybmols", BTC], "--sybmols"),
    "a port that is none": (["simulate", "--port", "99999"], "--port"),
    "a market that is none": (["simulate", "--symbol", "bybit"], "expected EXCHANGE:SYMBOL"),
    "an outage that is none": (["simulate", "--outage", "bybit=noon"], "expected EXCHANGE=START/END"),
    "an outage of nobody": (
        ["simulate", "--outage", "nobody=2020-06-28T02:00/2020-06-28T05:30"],
        "no simulated market is any on nobody",
    ),
    "an outage before the past": (
        ["simulate", "--outage", "bybit=2020-06-28T02:00/2020-06-28T05:30"],
        "an outage lies in the past",
    ),
    "a recording that is not there": (
        ["simulate", "--replay", "bybit:BTC/USDT=x.gz"],
        "no recording at x.gz",
    ),
    "no database to verify": (["verify", "--db", "none.db"], "there is no database"),
    "no database to show": (["status", "--db", "none.db"], "there is no database"),
    "no collector's database": (["coverage", "--db", "other.db"], "expected a database that the collector"),
    "a server that is away": (["status", "--db", AWAY], "me:***@127.0.0.1:1/live cannot be read now: conn"),
    "a server to migrate": (["migrate", "status", "--db", AWAY], "cannot be read now: connection failed"),
    "rows that are none": (["tail", "nothing", "--db", "other.db"], "no table is called 'nothing'"),
    "no revision to go to": (["migrate", "down", "--db", "x.db"], "--to"),
    "a revision that is none": (["migrate", "up", "--db", "x.db", "--to", "zzz"], "zzz"),
    "a benchmark that is none": (["bench", "nothing"], "expected one of"),
    "an option of another benchmark": (["bench", "path", "--cryptofeed", "x"], "expected it of peers only"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_answered_in_a_line_or_three(run: Run, tmp_path: Path, mistake: str) -> None:
    words, expected = MISTAKES[mistake]
    (tmp_path / "unwritable.yaml").write_text(
        "exchanges: {bybit: {symbols: [BTC/USDT:USDT]}}\nlogging: {file: no/such/x.log}\n"
    )
    (tmp_path / "letter.txt").write_text("Dear database, are you one?\n" * 100)
    sqlite3.connect(tmp_path / "other.db").close()
    done = run(*words)
    assert done.returncode == 2
    assert expected in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 5


def test_a_port_that_is_taken_is_told(run: Run, simulator: Simulator) -> None:
    done = run("simulate", "--port", str(simulator.port))
    assert done.returncode == 2
    assert f"port {simulator.port} is taken: choose another, or 0" in done.stderr


@pytest.mark.proof
def test_a_disk_that_is_read_only_is_told_and_can_still_be_read(sound: Path, tmp_path: Path) -> None:
    """In a mount namespace of its own: nothing of it stays."""
    (tmp_path / "live.db").write_bytes(sound.read_bytes())
    mount = f"mount --bind '{tmp_path}' '{tmp_path}' && mount -o remount,ro,bind '{tmp_path}'"
    commands = [
        ["collect", "--symbols", BTC, "--db", "x.db"],
        ["verify", "--db", "live.db"],
        ["doctor", "--offline", "--symbols", BTC, "--db", "live.db"],
    ]
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from collector.cli import main\n"
        f"for words in {commands}:\n"
        "    try: main(words)\n"
        "    except SystemExit as left: print('left with', left.code, flush=True)\n"
    )
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True, check=False).returncode:
        pytest.skip("a namespace cannot be made here")
    shell = f"{mount} && cd '{tmp_path}' && exec {sys.executable} -"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", shell],
        input=program,
        env=CLEAN,
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.findall(r"left with (\d)", done.stdout) == ["2", "0", "1"], done.stderr
    assert "Read-only file system" in done.stderr
    assert "Traceback" not in done.stderr
    assert "make this one writable" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ["demo", "--db", "demo.db"],
        ["tail"],
        *(
            pytest.param(words, marks=pytest.mark.proof)
            for words in (
                ["simulate", "--port", "0"],
                ["verify"],
                ["coverage"],
                ["doctor", "--offline"],
                ["bench", "write", "--quick"],
            )
        ),
    ],
    ids=lambda words: words[0],
)
def test_ctrl_c_is_clean_at_any_moment(sound: Path, tmp_path: Path, words: list[str]) -> None:
    reads = words[0] in {"tail", "verify", "coverage"}
    for wait_s in (0.15, 0.8):
        code, told = interrupted([*words, *(["--db", str(sound)] if reads else [])], tmp_path, wait_s)
        while "init_import_site" in told:  # Python itself was not up yet: nothing of ours can mend that
            wait_s *= 2  # noqa: PLW2901
            code, told = interrupted([*words, *(["--db", str(sound)] if reads else [])], tmp_path, wait_s)
        assert "Traceback" not in told, (wait_s, told)
        assert code in {0, 130, -signal.SIGINT}, (wait_s, told)


def interrupted(words: Sequence[str], folder: Path, wait_s: float) -> tuple[int, str]:
    """Press Ctrl-C so long after the start; returns the exit code and all that was printed."""
    process = start(*words, cwd=folder)
    signal.sigtimedwait([], wait_s)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    return process.returncode, out + err


def test_a_symbol_that_the_exchange_does_not_have_ends_the_run_with_its_name(
    run: Run, tmp_path: Path, simulator: Simulator
) -> None:
    done = run("collect", "--config", config(tmp_path, simulator, ["NOPE/USDT:USDT"]))
    assert done.returncode == 1
    assert "NOPE/USDT:USDT" in done.stdout


@pytest.mark.proof
def test_the_last_words_say_where_a_file_is_that_was_moved_away(tmp_path: Path, simulator: Simulator) -> None:
    database, gone = tmp_path / "live.db", tmp_path / "gone.db"
    process = start("collect", "--config", config(tmp_path, simulator), cwd=tmp_path)
    wait_for_rows(database, process, 20)
    database.rename(gone)
    wait_for_rows(database, process, 20)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out
    (note,) = [line for line in out.splitlines() if line.startswith("note: ")]
    assert note.startswith(
        f"note: {database} was moved to {gone} while it was written: that file is complete"
    )
    assert err.count("database.file_changed") == 1
    (written,) = [
        int(line.split()[4].replace(",", "")) for line in out.splitlines() if f"{BTC} book.50" in line
    ]
    assert count_rows(gone) + count_rows(database) == written
    assert sorted(path.name for path in tmp_path.glob("*.stale*")) == []


@pytest.mark.proof
def test_a_market_that_is_not_there_beside_one_that_is_loses_nothing(
    tmp_path: Path, simulator: Simulator
) -> None:
    process = start("collect", "--config", config(tmp_path, simulator, [BTC, "NOPE/USDT:USDT"]), cwd=tmp_path)
    wait_for_rows(tmp_path / "live.db", process, 1)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "problem: bybit: symbol 'NOPE/USDT:USDT' is not a market" in said


def test_a_password_is_shown_nowhere(run: Run) -> None:
    for command in ("demo", "collect"):
        words = ["--symbols", BTC, "--no-wait"] if command == "collect" else []
        done = run(command, *words, "--db", "postgresql://someone:hunter2@127.0.0.1:1/none")
        assert done.returncode == (75 if command == "collect" else 2)
        assert "hunter2" not in done.stdout + done.stderr
        assert "127.0.0.1" in done.stderr
