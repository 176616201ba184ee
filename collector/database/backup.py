"""Copy a live SQLite database, slice by slice, from one moment of it.

The slices are read in one read transaction: whatever is committed meanwhile, the copy is of its beginning,
and nothing has to begin anew. Nobody who writes in WAL mode is stopped; the log grows meanwhile.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from collector.database.held_log import database_bytes
from collector.database.sqlite_file import sqlite_library
from collector.errors import UserError

SLICE_PAGES = 2_000  # 8 MB: progress and Ctrl-C are seen between two
SPARE = 1.05
_BROKEN_IDENTITY = """
    SELECT count(*) FROM collector_accounting
    WHERE received + carried_in <> written + merged + sampled_out + rejected + dropped + pending
"""


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy that was compared with what it was made of."""

    path: Path
    size_bytes: int
    rows: dict[str, int]  # by table


def back_up(database: Path, copy: Path, show: Callable[[int, int], None]) -> Backup:
    """Make a verified copy; `show` takes the pages that are done, and all.

    Raises UserError, and then leaves no copy.
    """
    _check_room(database, copy)
    partial = copy.with_name(f".{copy.name}.partial-{os.getpid()}")
    try:
        rows = _copied(database, partial, show)
        _verify(partial, rows)
        make_durable(partial)
        try:
            os.link(partial, copy)  # unlike a rename it replaces nothing
        except FileExistsError:
            raise _exists_error(copy) from None
        make_durable(copy.parent)
    except sqlite_library().Error as error:
        raise UserError(f"{database} cannot be copied to {copy}: {error}; nothing is left of it") from error
    except OSError as error:
        raise UserError(f"{copy} cannot be written: {error.strerror}; nothing is left of it") from error
    finally:
        for one in (partial, *(Path(f"{partial}-{end}") for end in ("wal", "shm", "journal"))):
            one.unlink(missing_ok=True)
    return Backup(copy, copy.stat().st_size, rows)


def _check_room(database: Path, copy: Path) -> None:
    if not database.is_file():
        raise UserError(f"there is no database at {database}")
    if copy.exists():
        raise _exists_error(copy)
    if not copy.parent.is_dir():
        raise UserError(f"there is no folder {copy.parent}")
    needed = database_bytes(database) * SPARE
    free = shutil.disk_usage(copy.parent).free
    if free < needed:
        raise UserError(f"{copy.parent} has {free:,} bytes free, a copy may need {needed:,.0f}")


def _exists_error(copy: Path) -> UserError:
    return UserError(f"{copy} exists, and is not replaced: give the copy another name")


def _copied(database: Path, partial: Path, show: Callable[[int, int], None]) -> dict[str, int]:
    """Copy; return how many rows each table had at that moment."""
    with _opened(database, "ro") as source, _opened(partial, "rwc") as target:
        source.execute("BEGIN")
        rows = _counts(source)
        source.backup(
            target, pages=SLICE_PAGES, progress=lambda _status, left, total: show(total - left, total)
        )
        source.execute("ROLLBACK")
    return rows


def _verify(partial: Path, rows: dict[str, int]) -> None:
    with _opened(partial, "rw") as copy:
        problems = [str(one) for (one,) in copy.execute("PRAGMA integrity_check")]
        if problems != ["ok"]:
            raise UserError(f"the copy is damaged, and so perhaps is the database: {'; '.join(problems[:3])}")
        found = _counts(copy)
        differing = [name for name in rows if rows[name] != found.get(name)]
        if differing:
            raise UserError(f"the copy lacks rows of {', '.join(differing)}; try again")
        if "collector_accounting" in rows:
            (broken,) = copy.execute(_BROKEN_IDENTITY).fetchone()
            if broken:
                raise UserError(
                    f"the identity does not hold for {broken} streams; python run.py verify says more"
                )
        copy.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _counts(connection: Any) -> dict[str, int]:
    tables = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    quoted = {name: '"' + name.replace('"', '""') + '"' for (name,) in tables}
    return {
        name: int(connection.execute(f"SELECT count(*) FROM {text}").fetchone()[0])
        for name, text in quoted.items()
    }


@contextmanager
def _opened(path: Path, mode: str) -> Iterator[Any]:
    uri = f"file:{quote(str(path.absolute()))}?mode={mode}"
    with closing(sqlite_library().connect(uri, uri=True, isolation_level=None)) as connection:
        yield connection


def make_durable(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
