"""Run pytest again and again without paying each time for what it imports: a process that forks.

Run as a program, it imports once the modules named to it, none of them ours, then forks for each line
of its input: {"tree", "temporary", "arguments", "within_s"} in, {"code", "failed", "output", "took_s"} out.
"""

import contextlib
import importlib
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

# None that is a plugin of pytest: it wants to import those itself.
IMPORTED_ONCE = ("ccxt.pro", "pandas", "sqlalchemy", "pydantic", "structlog", "alembic")
TIMED_OUT = -1
MOST_OUTPUT = 3000  # characters, from the end
END_WITHIN_S = 15.0  # for a run that takes too long to end what it started


class Watch:
    """Remembers the test that failed."""

    def __init__(self) -> None:
        self.failed = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the first."""
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep what cannot even be collected."""
        if report.failed and not self.failed:
            self.failed = report.nodeid


def serve(modules: Sequence[str]) -> None:
    """Answer each line."""
    for name in modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for line in sys.stdin:
        print(json.dumps(_run(json.loads(line))), flush=True)


def _run(asked: dict[str, Any]) -> dict[str, Any]:
    temporary = Path(asked["temporary"])
    for left in temporary.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    told = temporary / "told.json"
    began_s = time.monotonic()
    process = os.fork()
    if process == 0:
        _pytest(asked, told)
    code = _wait(process, asked["within_s"])
    _end_servers(temporary)
    failed = json.loads(told.read_text(encoding="utf-8"))["failed"] if told.exists() else ""
    output = told.with_name("output").read_text(encoding="utf-8", errors="replace")[-MOST_OUTPUT:]
    return {"code": code, "failed": failed, "output": output, "took_s": time.monotonic() - began_s}


def _pytest(asked: dict[str, Any], told: Path) -> None:
    """Be the child: run the tests, say which failed, and leave without a look back."""
    code = 3
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        output = os.open(told.with_name("output"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(asked["tree"])
        os.environ.update(TMPDIR=asked["temporary"], PYTHONPATH=asked["tree"])
        sys.path.insert(0, asked["tree"])
        watch = Watch()
        code = int(pytest.main(asked["arguments"], plugins=[watch]))
        told.write_text(json.dumps({"failed": watch.failed}), encoding="utf-8")
    except BaseException:  # noqa: BLE001  (said, for nobody is left to raise it to)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _wait(process: int, within_s: float) -> int:
    """Wait for the child; one that takes too long is interrupted, to end its servers, then killed."""
    if (code := _ended(process, within_s)) is not None:
        return code
    os.kill(process, signal.SIGINT)
    if _ended(process, END_WITHIN_S) is None:
        os.killpg(process, signal.SIGKILL)
        os.waitpid(process, 0)
    return TIMED_OUT


def _ended(process: int, within_s: float) -> int | None:
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)  # what its tests started and left behind
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    return None


def _end_servers(temporary: Path) -> None:
    """End database servers whose tests were killed: they are no children of ours."""
    for path in temporary.glob("*/data/postmaster.pid"):
        with contextlib.suppress(ProcessLookupError, ValueError, IndexError):
            os.kill(int(path.read_text().splitlines()[0]), signal.SIGQUIT)


if __name__ == "__main__":
    serve(sys.argv[1:])
