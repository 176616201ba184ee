"""What a service manager hears, on a real datagram socket."""

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from collector.cli.service import ServiceManager, status_text
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from meanwhile import Running, RunWhile
from program import Run, config, start, wait_for_rows
from test_live import stream, view


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address.replace("@", "\0", 1))
        self.socket.settimeout(120)
        self.heard: list[dict[str, str]] = []

    def hear(self) -> dict[str, str]:
        lines = self.socket.recv(4096).decode().splitlines()
        message = dict(line.split("=", 1) for line in lines)
        self.heard.append(message)
        return message

    def hear_for(self, seconds: float) -> bool:
        """Return whether something is heard within so long."""
        self.socket.settimeout(seconds)
        try:
            self.hear()
        except TimeoutError:
            return False
        finally:
            self.socket.settimeout(120)
        return True

    def hear_until(self, word: str) -> dict[str, str]:
        while True:
            message = self.hear()
            if word in message:
                return message


@pytest.fixture(params=["a path", pytest.param("an abstract name", marks=pytest.mark.proof)])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Manager, str]]:
    abstract = request.param == "an abstract name"
    address = f"@collector-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    listening = Manager(address)
    yield listening, address
    listening.socket.close()


def test_ready_alive_and_stopping_are_told(
    run_while: RunWhile, manager: tuple[Manager, str], tmp_path: Path, simulator: Simulator
) -> None:
    listening, address = manager

    def listen(_running: Running) -> None:
        assert "READY" in listening.hear()
        began_s = time.monotonic()
        for _ in range(5):
            assert listening.hear_until("WATCHDOG")["WATCHDOG"] == "1"
        assert time.monotonic() - began_s >= 4 * 0.15  # paced, not flooded
        assert any("1 of 1 streams verified" in listening.hear()["STATUS"] for _ in range(100))

    done = run_while(
        listen,
        *("collect", "--config", config(tmp_path, simulator)),
        NOTIFY_SOCKET=address,
        WATCHDOG_USEC="400000",
    )
    stopping = listening.hear_until("STOPPING")
    assert int(stopping["EXTEND_TIMEOUT_USEC"]) == 10_000_000
    assert done.returncode == 0, done.stderr
    assert sum("READY" in message for message in listening.heard) == 1


class Watched:
    """A service manager that waits 20 s for a sign of life, on made-up time."""

    def __init__(self, tmp_path: Path) -> None:
        self.manager = Manager(str(tmp_path / "notify"))
        self.now_s = 1000.0
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "20000000"}
        self.speaker = ServiceManager(environ, wedged_after_s=30.0, monotonic_s=lambda: self.now_s)

    def alive_after(self, seconds: float, silent_s: float, *, answers: bool = False, **more: object) -> bool:
        """Return whether a sign of life is sent of a loop that has not turned for so long."""
        self.now_s += seconds
        self.speaker.show(view([stream()], loop_silent_s=silent_s, answers=answers, **more))
        return self.manager.hear().get("WATCHDOG") == "1"


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    rig = Watched(tmp_path)
    yield rig
    rig.manager.socket.close()


def test_a_loop_that_is_slow_to_answer_and_turns_is_alive(watched: Watched) -> None:
    """A machine so slow that no answer comes within a second is no reason to be killed."""
    assert all(watched.alive_after(10.0, silent_s) for silent_s in (0.5, 3.0, 12.0, 29.0))


def test_a_loop_that_has_not_turned_for_long_gets_no_sign_of_life(watched: Watched) -> None:
    assert watched.alive_after(10.0, 0.5)
    assert not watched.alive_after(10.0, 31.0)
    assert not watched.alive_after(10.0, 41.0)
    assert watched.alive_after(10.0, 0.2)


def test_a_stall_of_the_whole_machine_is_not_taken_for_the_loops(watched: Watched) -> None:
    assert watched.alive_after(10.0, 0.5)
    assert watched.alive_after(95.0, 94.0)  # it was to look 85 s ago, and knows that nobody ran
    assert watched.alive_after(10.0, 104.0)  # time to turn
    assert watched.alive_after(10.0, 0.5)


def test_a_loop_that_holds_up_everybody_is_not_forgiven_for_ever(watched: Watched) -> None:
    assert watched.alive_after(10.0, 0.5)
    alive = [watched.alive_after(30.0, 40.0 + 30.0 * number) for number in range(15)]
    assert alive == [True] * 10 + [False] * 5


def test_a_thread_that_has_ended_gets_no_sign_of_life(watched: Watched) -> None:
    assert not watched.alive_after(10.0, 0.1, loop_ended=True)
    dead = replace(view([]).writer, alive=False)
    assert not watched.alive_after(10.0, 0.1, writer=dead)


def test_a_process_that_stood_still_goes_on_as_if_nothing_had_been(
    tmp_path: Path, simulator: Simulator
) -> None:
    listening = Manager(str(tmp_path / "notify"))
    log = tmp_path / "l.log"
    process = start(
        *("collect", "--config", config(tmp_path, simulator)),
        cwd=tmp_path,
        NOTIFY_SOCKET=str(tmp_path / "notify"),
        WATCHDOG_USEC="1000000",
        COLLECTOR_STREAM__HEARTBEAT_S="1",  # a silence of 2 s is a peer that is gone
        COLLECTOR_HEALTH__WEDGED_AFTER_S="2",
        COLLECTOR_LOGGING__FILE=str(log),
    )
    wait_for_rows(tmp_path / "live.db", process, 20)
    process.send_signal(signal.SIGSTOP)
    while listening.hear_for(1.0):  # what was said before
        pass
    time.sleep(4.0)  # the stall itself
    process.send_signal(signal.SIGCONT)
    began_s = time.monotonic()
    first = listening.hear()
    assert first["WATCHDOG"] == "1"
    assert time.monotonic() - began_s < 5.0
    for _ in range(5):
        assert listening.hear()["WATCHDOG"] == "1"
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    listening.socket.close()
    assert process.returncode == 0, err
    assert "connection.lost" not in log.read_text()
    assert "database.call_broken_off" not in log.read_text()


def test_the_status_counts_rows_of_market_data_and_tells_of_silence() -> None:
    """Rows of events go on growing while nothing is collected."""
    silent = stream(state="down")
    shown = view([silent], writer=replace(view([]).writer, rows=99_999))
    text = status_text(shown)
    assert text.startswith("0 of 1 streams verified, 1490 rows written, nothing new for ")
    assert silent.glance is not None
    fresh = replace(silent, glance=replace(silent.glance, received_at_ns=time.time_ns()))
    assert status_text(view([fresh])) == "0 of 1 streams verified, 1490 rows written"


def test_nobody_there_is_no_harm(run: Run, tmp_path: Path, simulator: Simulator) -> None:
    words = ("collect", "--config", config(tmp_path, simulator), "--seconds", "1.5")
    done = run(*words, NOTIFY_SOCKET=str(tmp_path / "nobody"), WATCHDOG_USEC="400000")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("environ", "every_s"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, 10.0),  # meant for another process
        ({"WATCHDOG_USEC": "soon"}, 10.0),
        ({}, 10.0),
    ],
)
def test_it_speaks_twice_as_often_as_the_watchdog_wants(environ: dict[str, str], every_s: float) -> None:
    assert ServiceManager({"NOTIFY_SOCKET": "/nowhere", **environ}).every_s == every_s
    assert not ServiceManager(environ).wanted
