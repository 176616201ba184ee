"""Let no process open a spool while another removes it.

Whoever closes an empty spool removes it. A process that opens it in this moment would have a file without a
name, or a file whose log is removed under it.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def nothing_removed(folder: Path) -> Iterator[None]:
    """Keep others from removing spools of a folder; wait until one that does is through."""
    with _locked(folder, fcntl.LOCK_SH):
        yield


@contextmanager
def nothing_opened(folder: Path) -> Iterator[bool]:
    """Keep others from opening spools of a folder; yield False where one does now."""
    with _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB) as is_locked:
        yield is_locked


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[bool]:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # what is done in it will say why
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, how)
        except OSError:  # held, or a file system that has no such locks
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
