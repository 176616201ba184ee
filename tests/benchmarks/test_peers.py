"""What `bench peers` says where cryptofeed is missing, and the parts of it that need none."""

import importlib
import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from bench import peer
from bench.report import Report
from bench.server import BookServer
from foreign import rounds

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = "BENCH_CRYPTOFEED"


def put_program(place: Path, text: str) -> Path:
    """Make a program that stands for the Python of an environment."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"#!/bin/sh\n{text}\n")
    place.chmod(0o755)
    return place


def test_without_an_environment_the_command_says_what_to_install_and_measures_nothing() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), "bench", "peers", "--quick"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: no environment with cryptofeed was named (--cryptofeed).\n")
    for line in (
        "python3.13 -m venv ./cryptofeed-env",
        "./cryptofeed-env/bin/pip install cryptofeed==3.0.1 uvloop asyncpg",
        "python run.py bench peers --cryptofeed ./cryptofeed-env",
    ):
        assert f"    {line}\n" in done.stderr


def test_what_an_environment_lacks_is_named_with_how_to_have_it(tmp_path: Path) -> None:
    lacks = {"python": "3.13.1", "cryptofeed": "", "uvloop": "0.22", "asyncpg": ""}
    cases = {
        str(tmp_path / "nowhere"): "there is no Python at .*nowhere",
        str(put_program(tmp_path / "broken", "exit 3")): "broken does not run as a Python",
        str(put_program(tmp_path / "talks", "echo no")): "talks does not run as a Python",
        str(put_program(tmp_path / "bare", f"echo '{json.dumps(lacks)}'")): (
            "Python 3.13.1 at .*bare does not have cryptofeed, asyncpg"
        ),
    }
    for named, said in cases.items():
        with pytest.raises(LookupError, match=said) as refused:
            peer.find_peer(named)
        assert peer.HOW in str(refused.value)


def test_our_own_interpreter_is_looked_into_as_any_other() -> None:
    """The question itself runs, and tells what is there from what is not."""
    with pytest.raises(LookupError) as refused:
        peer.find_peer(sys.executable)
    lacking = str(refused.value).partition("\n")[0].partition("does not have ")[2]
    assert "cryptofeed" in lacking
    assert "uvloop" not in lacking


def test_an_environment_is_named_by_its_folder_or_by_its_python(tmp_path: Path) -> None:
    versions = {"python": "3.13.1", **dict.fromkeys(peer.PACKAGES, "1.0")}
    python = put_program(tmp_path / "env" / "bin" / "python", f"echo '{json.dumps(versions)}'")
    assert peer.find_peer(str(tmp_path / "env")) == peer.find_peer(str(python)) == (python, versions)


def test_what_runs_beside_cryptofeed_needs_nothing_of_ours() -> None:
    """Without site-packages and the environment of this run: as in a venv that has cryptofeed alone."""
    words = "import sys; sys.path.insert(0, sys.argv[1]); import foreign.cryptofeed_program, foreign.rounds"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", words, str(ROOT / "benchmarks")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


class Fake:
    """A program that hears a snapshot of each of two symbols, and then what it is given."""

    def __init__(self) -> None:
        self.hearing = rounds.Hearing()
        self.ended = False

    def start(self) -> None:
        for place in range(2):
            self.hearing.note(place, 100)

    def through(self) -> int:
        return self.hearing.count

    def stop(self) -> None:
        self.ended = True


def test_a_round_counts_its_own_updates_and_ends_though_some_never_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rounds, "STILL_S", 0.05)
    fake = Fake()
    pipe, there = multiprocessing.Pipe()
    serving = threading.Thread(target=rounds.serve, args=(fake, 2, there))
    serving.start()
    assert pipe.recv() == "ready"
    told = []
    for heard, sent in ((3, 3), (2, 5)):  # the second round loses three
        pipe.send("begin")
        assert pipe.recv() == "begun"
        before_ns = time.monotonic_ns()
        for number in range(heard):
            fake.hearing.note(number % 2, 101 + number)
        pipe.send(sent)
        told.append(pipe.recv())
        assert before_ns <= told[-1].at_ns[0] <= told[-1].at_ns[-1] <= time.monotonic_ns()
    pipe.send(None)
    serving.join(10.0)
    assert [one.through for one in told] == [3, 2]
    assert [list(one.places) for one in told] == [[0, 1, 0], [0, 1]]
    assert [list(one.of_ms) for one in told] == [[101, 102, 103], [101, 102]]
    assert all(one.peak_mb > 1 for one in told if Path("/proc").exists())
    assert fake.ended


def test_our_side_hears_every_update_of_every_symbol_after_it_was_sent(tmp_path: Path) -> None:
    listens = peer.Setup("none", listens=True)
    with BookServer("bybit linear", 2) as server, peer.Ours(server, tmp_path, listens, None) as ours:
        done = ours.round(200, 4, 2000.0)
    assert (done.sent, done.lost, len(done.took_us)) == (200, 0, 200)
    assert min(done.took_us) > 0
    assert done.cpu_us > 0


@pytest.mark.proof
def test_every_table_is_filled_with_our_side_in_both_places(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with cryptofeed, with every store there is a server for."""
    peers = importlib.import_module("peers")
    monkeypatch.setattr(peers, "Theirs", lambda _peer, *others: peer.Ours(*others))
    plan = peers.Plan((peers.BOT, peers.FILE, peers.SERVER, peers.BOTH), (2,), (1000.0,), 500, 1, 1.0, 1)
    report = Report("peers", quick=True, as_json=True)
    peers.measure(report, plan, peer.Peer(Path(sys.executable), {}))
    report.end()
    said = json.loads(capsys.readouterr().out)
    held(said["rows"], {"none", "sqlite", "postgresql"})
    assert len(said["verdicts"]) == 10


@pytest.mark.proof
@pytest.mark.skipif(ENVIRONMENT not in os.environ, reason=f"{ENVIRONMENT} names no environment with it")
def test_cryptofeed_is_measured_where_it_is_installed() -> None:
    done = subprocess.run(
        [
            *(sys.executable, str(ROOT / "run.py"), "bench", "peers", "--quick", "--json"),
            *("--cryptofeed", os.environ[ENVIRONMENT]),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["beside"]["cryptofeed"]
    held(said["rows"], {"none", "sqlite"})


def held(rows: list[dict[str, Any]], stores: set[str]) -> None:
    """Hold what must be so of every run."""
    costs = [row for row in rows if "cpu_us" in row]
    delays = [row for row in rows if "p99_us" in row]
    assert {row["store"] for row in costs} == stores
    for some in (costs, delays):
        assert {row["program"] for row in some} == {"collector", "cryptofeed"}
    assert all(row["lost"] == 0 for row in costs if row["program"] == "collector")
    assert all(row["heard"] == row["sent"] for row in delays if row["program"] == "collector")
    assert all(0 < row["p50_us"] <= row["p99_us"] <= row["most_us"] for row in delays)
