"""A terminal of our own: a real pty that the program believes to be a person's."""

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from program import CLEAN, ROOT

ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
COLOURS = re.compile(r"\x1b\[[0-9;]*(3[0-7]|9[0-7])[0-9;]*m")


class Terminal:
    """One program on one pty."""

    def __init__(
        self,
        *words: str,
        cwd: Path,
        columns: int = 80,
        rows: int = 30,
        program: Sequence[str] = (str(ROOT / "run.py"),),
        **environ: str,
    ) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        cleaned = {
            name: value for name, value in CLEAN.items() if name not in {"NO_COLOR", "COLUMNS", "LINES"}
        }
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", *program, *words],
            cwd=cwd,
            env={**cleaned, "TERM": "xterm-256color", **environ},
            preexec_fn=lambda: os.login_tty(theirs),  # noqa: PLW1509  (a typed Ctrl-C must be a signal)
        )
        os.close(theirs)
        self.raw = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def text(self) -> str:
        """What it has printed so far, without escape sequences."""
        return ESCAPES.sub("", self.raw)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._ours, keys.encode())

    def leave(self, key: str, last_word: str) -> int:
        """Press a key until the program says its last word or ends, as a person would; return its exit code.

        Python hears no signal that comes between a prompt and the read behind it before the next key.
        """
        for _ in range(30):
            while self._read(0.0):
                pass
            if last_word in self.text:  # it ends: another key would end it in another way
                break
            self.type(key)
            self._read(1.0)
            try:
                self.process.wait(1.0)
            except subprocess.TimeoutExpired:
                continue
            break
        return self.end()

    def read_until(self, seen: str | Callable[[], bool], deadline_s: float = 30.0) -> None:
        """Read until a text, or a condition, has appeared."""
        until_s = time.monotonic() + deadline_s
        while not (seen in self.text if isinstance(seen, str) else seen()):
            assert time.monotonic() < until_s, f"{seen!r} did not appear in:\n{self.text}"
            if not self._read(0.1):
                assert self.process.poll() is None, f"ended without {seen!r}:\n{self.text}"

    def end(self, deadline_s: float = 30.0) -> int:
        """Read to the program's end; return its exit code."""
        until_s = time.monotonic() + deadline_s
        while self.process.poll() is None:
            assert time.monotonic() < until_s, f"did not end:\n{self.text}"
            self._read(0.1)
        while self._read(0.0):
            pass
        return self.process.wait()

    def close(self) -> None:
        """Leave nothing behind."""
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def _read(self, timeout_s: float) -> bool:
        if not select.select([self._ours], [], [], timeout_s)[0]:
            return False
        try:
            got = os.read(self._ours, 65_536)
        except OSError:  # the other end is closed
            return False
        self.raw += self._decoder.decode(got)
        return bool(got)
