"""What a service manager hears, on a real datagram socket."""

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.cli.service import ServiceManager
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from program import Run, config, start


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
    manager: tuple[Manager, str], tmp_path: Path, simulator: Simulator
) -> None:
    listening, address = manager
    process = start(
        *("collect", "--config", config(tmp_path, simulator)),
        cwd=tmp_path,
        NOTIFY_SOCKET=address,
        WATCHDOG_USEC="400000",
    )
    assert "READY" in listening.hear()
    began_s = time.monotonic()
    for _ in range(5):
        assert listening.hear_until("WATCHDOG")["WATCHDOG"] == "1"
    assert time.monotonic() - began_s >= 4 * 0.15  # paced, not flooded
    assert any("1 of 1 streams verified" in listening.hear()["STATUS"] for _ in range(100))
    process.send_signal(signal.SIGTERM)
    stopping = listening.hear_until("STOPPING")
    assert int(stopping["EXTEND_TIMEOUT_USEC"]) == 10_000_000
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert sum("READY" in message for message in listening.heard) == 1


def test_nobody_there_is_no_harm(run: Run, tmp_path: Path, simulator: Simulator) -> None:
    words = ("collect", "--config", config(tmp_path, simulator), "--seconds", "4")
    done = run(*words, NOTIFY_SOCKET=str(tmp_path / "nobody"))
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
