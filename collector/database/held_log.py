"""See who reads an SQLite file in one long transaction: meanwhile its log cannot be emptied and grows.

A reader holds a lock on one of five bytes of the shared memory (https://www.sqlite.org/walformat.html);
Linux tells in /proc/locks which process has it. Elsewhere nothing is known, and nobody is named.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LOCKS: Final = Path("/proc/locks")
_FIRST_MARK, _LAST_MARK = 123, 127  # bytes of the locks of readers
_MOST_FIELDS: Final = 8


@dataclass(frozen=True, slots=True)
class LogReader:
    """A process that read throughout, and what the log holds meanwhile."""

    pid: int
    command: str
    for_s: float  # at least: it was watched for so long
    log_bytes: int


def log_readers(database: Path, *, watch_s: float = 1.0) -> list[LogReader]:
    """Return the processes that held the log for all of that time: quick ones are none."""
    began_s = time.monotonic()
    held = _holders(database)
    while held and time.monotonic() - began_s < watch_s:
        time.sleep(min(0.05, watch_s))
        held &= _holders(database)
    for_s = time.monotonic() - began_s
    return [LogReader(pid, _command(pid), round(for_s, 1), log_bytes(database)) for pid in sorted(held)]


def log_bytes(database: Path) -> int:
    """Return the size of the log; 0 where there is none."""
    try:
        return Path(f"{database}-wal").stat().st_size
    except OSError:
        return 0


def database_bytes(database: Path) -> int:
    """Return the size of a file and its log; 0 where there is none."""
    return (database.stat().st_size if database.exists() else 0) + log_bytes(database)


def _holders(database: Path) -> set[int]:
    try:
        shared = Path(f"{database}-shm").stat()
        lines = _LOCKS.read_text(encoding="ascii").splitlines()
    except OSError:
        return set()
    device = f"{os.major(shared.st_dev):02x}:{os.minor(shared.st_dev):02x}:{shared.st_ino}"
    held = set()
    for line in lines:
        fields = line.split()
        if len(fields) != _MOST_FIELDS or fields[1] not in ("POSIX", "OFDLCK") or fields[5] != device:
            continue
        start, end = fields[6], fields[7]
        if end != "EOF" and int(start) <= _LAST_MARK and int(end) >= _FIRST_MARK and fields[3] == "READ":
            held.add(int(fields[4]))
    return held


def _command(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return "unknown"
    return " ".join(word.decode(errors="replace") for word in words[:2]) or "unknown"  # no further: passwords
