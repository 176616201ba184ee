"""Start further programs beside a collector, which outlive its drain and never itself."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Self

from collector.errors import UserError

ENDS_WITHIN_S = 15.0
_END_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)
# Linux ends it when its parent is gone, however that ended.
_PROGRAM = """
import sys
sys.path.insert(0, {source!r})
from collector.cli.commands.local.children import end_with_parent
end_with_parent({parent})
from collector.cli import main
main()
"""
_SOURCE = str(Path(__file__).parents[4])  # where the package is, which need not be installed


def end_with_parent(parent: int) -> None:
    """Have the kernel end this process when its parent ends. Does nothing but on Linux."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_END_WITH_PARENT, signal.SIGTERM)
    if os.getppid() != parent:  # it was gone before
        sys.exit(128 + signal.SIGTERM)


class Child:
    """A command of this program in a process of its own. Its words go to a file."""

    def __init__(self, words: Sequence[str], log: Path, environ: Mapping[str, str] = os.environ) -> None:
        self.name = words[0]
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = log.open("wb")
        # A session of its own: Ctrl-C goes to all of a terminal's, and this one has to outlive a drain.
        self._process = subprocess.Popen(  # noqa: S603  (this program)
            [sys.executable, "-c", _PROGRAM.format(source=_SOURCE, parent=os.getpid()), *words],
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=subprocess.STDOUT,
            env=dict(environ),
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def code(self) -> int | None:
        """Return its exit code; None while it runs."""
        return self._process.poll()

    def said(self) -> str:
        """Return what it has said so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def fail_if_ended(self) -> None:
        """Raise UserError with its last words where it has ended."""
        if self.code is not None:
            last = (self.said().strip().splitlines() or ["nothing"])[-1]
            raise UserError(f"`{self.name}` ended with {self.code}: {last.removeprefix('error: ')}")

    def wait(self, seconds: float) -> int:
        """Wait so long for its end, then end it; return its exit code."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self.stop()

    def stop(self) -> int:
        """End it, and return its exit code. Idempotent."""
        if self.code is None:
            self._process.terminate()
            try:
                self._process.wait(ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        code = self._process.wait()
        self._file.close()
        return code
