"""The commands that collect serve health on the way, and say where."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from meanwhile import Running, RunWhile
from program import Run

ROOT = Path(__file__).parents[2]
ANSWERS_WITHIN_S = 60.0


def demo(folder: Path, *options: str, **variables: str) -> "subprocess.Popen[str]":
    environ = {
        **os.environ,
        "COLLECTOR_SERVE__ENABLED": "null",
        "COLLECTOR_LOGGING__FORMAT": "json",
        **variables,
    }
    command = [sys.executable, str(ROOT / "run.py"), "demo", "--db", str(folder / "demo.db"), *options]
    return subprocess.Popen(
        command, cwd=folder, env=environ, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_the_demo_serves_and_says_where(run_while: RunWhile) -> None:
    def ask(running: Running) -> None:
        running.wait_for("serve.listening")
        lines = (json.loads(line) for line in running.text.splitlines() if '"serve.listening"' in line)
        (url,) = [line["url"] for line in lines]
        with urlopen(f"{url}/live", timeout=ANSWERS_WITHIN_S) as answer:
            assert json.load(answer) == {"status": "healthy"}

    variables = {"COLLECTOR_SERVE__ENABLED": "null", "COLLECTOR_LOGGING__FORMAT": "json"}
    done = run_while(
        ask, "demo", "--db", "demo.db", number=signal.SIGINT, COLLECTOR_SERVE__PORT="0", **variables
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.proof
def test_a_port_in_use_costs_nobody_the_data(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        with demo(tmp_path, "--seconds", "3", COLLECTOR_SERVE__PORT=port) as running:
            out, log = running.communicate(timeout=ANSWERS_WITHIN_S)
    events = {json.loads(line)["event"] for line in log.splitlines() if line.startswith("{")}
    assert (running.returncode, "serve.not_listening" in events) == (0, True)
    assert "identity: exact" in out


def test_metrics_by_calls_without_a_region_are_refused_before_the_start(run: Run, tmp_path: Path) -> None:
    """So is seen that what is asked for is heeded: nothing else asks for a region."""
    asked = {"COLLECTOR_METRICS__CLOUDWATCH__MODE": "put", "AWS_CONFIG_FILE": "/nowhere"}
    none = {"AWS_REGION": "", "AWS_DEFAULT_REGION": ""}
    done = run("collect", "--no-serve", "--seconds", "1", "--db", str(tmp_path / "live.db"), **asked, **none)
    assert done.returncode == 2
    assert "metrics.cloudwatch.region: no region is named" in done.stderr
    assert not (tmp_path / "live.db").exists()
