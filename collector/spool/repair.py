"""Replace a damaged spool by one of what can be read of it, and keep the damaged one for a person.

The new file is complete before the old one is moved, and each step can be the last one of a process: the next
start goes on from there.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from collector.database import sqlite_library
from collector.errors import SpoolError
from collector.loggers import get_logger
from collector.spool.pages import Found

UNFINISHED, FINISHED, KEPT = ".salvaging", ".salvaged", ".damaged-"

log = get_logger(__name__)


class Repair(NamedTuple):
    """What was found in a damaged spool."""

    batches: int
    missing: int  # numbers between the first and the last that nothing is left of


def is_damage(error: Exception) -> bool:
    """Return whether the error says that the file itself is not what it should be."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in {11, 26}  # CORRUPT, NOTADB
    return isinstance(error, sqlite_library().DatabaseError) and any(
        text in str(error) for text in ("malformed", "not a database")
    )


def repair(path: Path, set_up: Callable[[Path, Found], None], why: str) -> Repair | None:
    """Replace the file, which nobody has open; None if another process did. Raises SpoolError if it fails.

    `set_up` makes a spool at a path, with what was found in it.
    """
    try:
        with _locked(path) as is_ours:
            if not is_ours:
                return None
            found = Found(path)
            unfinished = path.with_name(path.name + UNFINISHED)
            _unlink(unfinished)
            set_up(unfinished, found)
            unfinished.rename(path.with_name(path.name + FINISHED))
            kept = finish(path)
    except (OSError, sqlite_library().Error) as error:
        raise SpoolError(f"{path} is damaged ({why}), and cannot be replaced: {error}") from error
    numbers = found.numbers
    missing = numbers[-1] - numbers[0] + 1 - len(numbers) if numbers else 0
    log.error(
        "spool.damaged", path=str(path), kept_as=str(kept), error=why, batches=len(numbers), missing=missing
    )
    return Repair(len(numbers), missing)


def finish(path: Path) -> Path | None:
    """Put the finished file in the place of the damaged one; return where that one is kept."""
    finished = path.with_name(path.name + FINISHED)
    if not finished.exists():
        return None
    kept = path.with_name(f"{path.name}{KEPT}{time.time_ns()}")
    for suffix in ("-wal", ""):  # the log first: it must never be played into the new file
        with suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{kept}{suffix}")
    finished.rename(path)
    return kept


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Hold the damaged file against another process that would replace it; False if it has done so."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        ours, there = os.fstat(descriptor), path.stat()
        yield (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)
    finally:
        os.close(descriptor)


def _unlink(path: Path) -> None:
    for suffix in ("", "-wal", "-journal"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
