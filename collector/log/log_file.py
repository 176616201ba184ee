"""Write log lines to a file that is rotated by size, or to a stream, without raising.

A full disk or a closed pipe must not end the thread that logs.
"""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from collector.errors import UserError

LOOK_EVERY_S = 1.0  # for a file that was moved


class Quiet:
    """A stream whose failures are counted, not raised."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.failures = 0

    def write(self, text: str) -> int:
        """Write text; count a failure instead of raising it."""
        try:
            return self._stream.write(text)
        except (OSError, ValueError):  # ValueError: the stream was closed
            self.failures += 1
            return 0

    def flush(self) -> None:
        """Flush the stream; count a failure instead of raising it."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self.failures += 1


class LogFile:
    """A file of at most `max_bytes`; the ones before are called FILE.1 (the newest) to FILE.<keep>.

    One that somebody else set aside or deleted (logrotate) is noticed within a second, and begun anew.
    """

    def __init__(
        self,
        path: Path,
        max_bytes: int,
        keep: int,
        *,
        on_reopened: Callable[[Path, str], None] = lambda _path, _why: None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._on_reopened = on_reopened  # called without the lock: it may log
        self._monotonic_s = monotonic_s
        self._looked_s = monotonic_s()
        self._is_asked = False
        self._lock = threading.Lock()
        self._file = self._open()
        self._size = self._file.tell()
        self.failures = 0

    def write(self, text: str) -> int:
        """Append text; begin another file if it would not fit."""
        self.look()
        with self._lock:
            size = len(text.encode("utf-8", "replace"))
            try:
                if self._size and self._size + size > self._max_bytes:
                    self._begin_another()
                self._file.write(text)
            except (OSError, ValueError, UserError):
                self.failures += 1
                return 0
            self._size += size
            return len(text)

    def ask_to_reopen(self) -> None:
        """Have the file opened anew at the next look. Safe in a signal handler."""
        self._is_asked = True

    def look(self) -> None:
        """Open the file anew if that was asked for, or if what has its name is another one by now."""
        with self._lock:
            why = self._why_to_reopen()
            if why is None:
                return
            self._is_asked = False
            try:
                self._file.close()
                self._file = self._open()
                self._size = self._file.tell()
            except (OSError, ValueError, UserError):
                self.failures += 1  # the old one is closed: the next look tries again
                return
        self._on_reopened(self._path, why)

    def _why_to_reopen(self) -> str | None:
        if self._is_asked:
            return "asked to"
        now_s = self._monotonic_s()
        if now_s - self._looked_s < LOOK_EVERY_S:
            return None
        self._looked_s = now_s
        if self._file.closed:  # it could not be opened when it was looked at last
            return "it can be opened again"
        try:
            named, ours = self._path.stat(), os.fstat(self._file.fileno())
        except FileNotFoundError:
            return "it was moved or deleted"
        except OSError:
            return None
        return None if (named.st_dev, named.st_ino) == (ours.st_dev, ours.st_ino) else "it was moved"

    def flush(self) -> None:
        """Do nothing: each line is written at once."""

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()

    def _begin_another(self) -> None:
        self._file.close()
        try:
            for number in range(self._keep - 1, 0, -1):
                older = self._numbered(number)
                if older.exists():
                    older.replace(self._numbered(number + 1))
            self._path.replace(self._numbered(1))
        finally:
            self._file = self._open()
            self._size = self._file.tell()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _open(self) -> TextIO:
        try:
            return self._path.open("a", encoding="utf-8", errors="replace", buffering=1)
        except OSError as error:
            words = f"logging.file: {self._path} cannot be written: {error.strerror}"
            raise UserError(f"{words}; expected a file in a folder that exists") from None
