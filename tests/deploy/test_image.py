"""The steps of the Dockerfile, carried out: the program runs as the user, reads only, drains at SIGTERM."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from urllib.request import urlopen

import pytest

from collector.simulator import Simulator
from collector.version import __version__

sys.path.insert(0, str(Path(__file__).parent))
from container import Container, Image, built, can_be_used, carry_out, empty_image, see
from dockerfile import read_dockerfile

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "deploy" / "Dockerfile"
BTC = "BTC/USDT:USDT"
DEADLINE_S = 60.0
ENTRY_POINT = "#!/opt/collector/bin/python\nfrom collector.cli import main\nmain()\n"

pytestmark = pytest.mark.skipif(not can_be_used(), reason="wants root, and to mount")

Start = Callable[..., Container]


@pytest.fixture(scope="module")
def exchange() -> Iterator[Simulator]:
    with Simulator(symbols={"bybit": [BTC]}, updates_per_s=100.0) as running:
        yield running


@pytest.fixture(scope="module")
def standing_in(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """Return the last stage with this environment's packages in place of those that a build installs."""
    if sys.prefix == sys.base_prefix:
        pytest.skip("not in a virtual environment")
    folder = tmp_path_factory.mktemp("image")
    folder.chmod(0o755)
    image = empty_image(folder / "root")
    place = image.root / "opt" / "collector"
    (place / "bin").mkdir(parents=True)
    shutil.copy(Path(sys.prefix, "pyvenv.cfg"), place)
    (place / "bin" / "python").symlink_to("/base/bin/python")
    (place / "bin" / "collector").write_text(ENTRY_POINT, encoding="utf-8")
    (place / "bin" / "collector").chmod(0o755)
    see(image, Path(sys.prefix, "lib"), "/opt/collector/lib")
    for name in ("collector", "migrations", "config", "schemas"):
        see(image, ROOT / name, f"/src/{name}")
    for one in read_dockerfile(FILE).stages[-1].instructions:
        if one.name != "COPY":
            carry_out(one, image, ROOT, {})
    image.environ["PYTHONPATH"] = "/src"
    return image


@pytest.fixture
def start(exchange: Simulator) -> Iterator[Start]:
    started: list[Container] = []
    endpoints = exchange.endpoints("bybit")
    told = {
        "SYMBOLS": BTC,
        "COLLECTOR_EXCHANGES__BYBIT__ENDPOINTS__REST": endpoints["rest"],
        "COLLECTOR_EXCHANGES__BYBIT__ENDPOINTS__WS": endpoints["ws"],
    }

    def start(image: Image, words: Sequence[str] = (), **environ: str) -> Container:
        container = Container(image, read_dockerfile(FILE).stages[-1], {**told, **environ}, words)
        started.append(container)
        return container

    yield start
    for container in started:
        container.end()


def free_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


def wait_until(condition: Callable[[], bool], process: "subprocess.Popen[str]", words: str) -> None:
    until_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until_s, words
        time.sleep(0.1)


def is_ready(port: str) -> bool:
    """Ask from outside, by the network that both have: each look inside starts a Python."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/ready", timeout=5.0) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def works_as_a_container(start: Start, image: Image) -> None:
    port = free_port()
    container = start(image, COLLECTOR_SERVE__PORT=port)
    wait_until(lambda: is_ready(port), container.process, "it never became ready")
    wait_until(
        lambda: container.check_health() == 0, container.process, "its own check does not find it ready"
    )
    assert container.run(["id", "-u"]).stdout == "10001\n"
    assert container.run(["cat", "/proc/1/comm"]).stdout.strip() in ("collector", "python")
    places = container.run(
        ["sh", "-c", "for one in / /opt/collector /usr /etc; do touch $one/x; done; touch /tmp/x /data/x"]
    )
    assert places.stderr.count("Read-only file system") == 4, places.stderr
    assert len(places.stderr.splitlines()) == 4, places.stderr
    code, out, err = container.stop()
    assert code == 0, err
    assert "identity: exact, every event is accounted for" in out
    assert "Traceback" not in err


def test_the_program_runs_and_drains_as_in_a_container(start: Start, standing_in: Image) -> None:
    works_as_a_container(start, standing_in)


def test_it_is_not_ready_where_nothing_answers(start: Start, standing_in: Image) -> None:
    container = start(standing_in, ["collect", "--no-serve"], COLLECTOR_SERVE__PORT=free_port())
    assert container.check_health() == 1


FIRST = """
import os, sys, time
from contextlib import nullcontext
from collector.cli.running import _stopped_by_signals, end_at_once, rung_by_signals
end_at_once()
class Asked:
    def interrupt(self): print("asked", flush=True)
    ring = interrupt
assert os.getpid() == 1
places = {
    "begins": nullcontext,
    "collects": lambda: _stopped_by_signals(Asked(), None),
    "reads": lambda: rung_by_signals(Asked()),
}
with places[sys.argv[1]]():
    print("there", flush=True)
    time.sleep(60)
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("what", "number"),
    [
        ("begins", signal.SIGTERM),
        ("collects", signal.SIGTERM),
        ("collects", signal.SIGINT),
        ("reads", signal.SIGINT),
        # Each number has been where each handler is; the rest is their product.
        pytest.param("begins", signal.SIGINT, marks=pytest.mark.proof),
        pytest.param("reads", signal.SIGTERM, marks=pytest.mark.proof),
    ],
)
def test_a_first_process_is_ended_by_signals_too(what: str, number: signal.Signals) -> None:
    """The kernel spares a container's first process the signals that it has no handler for."""
    words = ["unshare", "--pid", "--fork", sys.executable, "-u", "-c", FIRST, what]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        (inner,) = map(int, Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())
        try:
            os.kill(inner, number)
            if what != "begins":  # the first asks, the second forces
                assert process.stdout.readline() == "asked\n"
                os.kill(inner, number)
            assert process.wait(DEADLINE_S) == 128 + number
        finally:
            with suppress(ProcessLookupError):
                os.kill(inner, signal.SIGKILL)


@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_the_recipe_makes_what_runs(start: Start, tmp_path: Path) -> None:
    """Every step, with what the registry has; nothing of this environment is there."""
    tmp_path.chmod(0o755)
    image = built(read_dockerfile(FILE), ROOT, tmp_path)
    works_as_a_container(start, image)
    owners = {path.lstat().st_uid for path in (image.root / "opt").rglob("*")}
    assert owners == {0}
    asked = start(image, ["version"])
    out, err = asked.process.communicate(timeout=DEADLINE_S)
    assert __version__ in out, err
    assert not list((image.root / "opt" / "collector").rglob("pip"))
