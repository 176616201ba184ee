"""Look at a spool without changing it: what waits there, since when, and for which database."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from collector.database import sqlite_library
from collector.spool.codec import DamagedError, read_head
from collector.spool.owner import Stamp
from collector.spool.tables import APPLICATION_ID, is_held, stamp_of

_WAIT_S = 0.2  # a collector that starts meanwhile waits for us


@dataclass(frozen=True, slots=True)
class SpoolLook:
    """What a spool holds."""

    path: Path
    batches: int = 0
    rows: int = 0
    sessions: tuple[str, ...] = ()
    oldest_ns: int | None = None  # when its oldest rows came in
    stamp: Stamp = field(default_factory=Stamp)
    held: bool = False  # a collector has it open: it tells what is in it
    problem: str = ""  # why it cannot be read


def look_at(path: Path) -> SpoolLook | None:
    """Return what a file holds; None if it is no spool."""
    index = Path(f"{path}-shm")
    was_there = index.exists()
    uri = f"file:{quote(str(path))}?mode=ro"
    if not Path(f"{path}-wal").exists():
        uri += "&immutable=1"  # nobody has it open: no log would be made to read by
    try:
        with closing(sqlite_library().connect(uri, uri=True, timeout=_WAIT_S)) as connection:
            return _read(path, connection)
    except (sqlite_library().Error, sqlite3.Error) as error:
        held = is_held(error)
        return SpoolLook(path, held=held, problem="" if held else str(error))
    finally:
        if not was_there:
            index.unlink(missing_ok=True)  # made to read by, and of no use to anybody


def _read(path: Path, connection: sqlite3.Connection) -> SpoolLook | None:
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    if mark != APPLICATION_ID:
        return None
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    question = "SELECT count(*), COALESCE(SUM(rows), 0) FROM spool"
    batches, rows = connection.execute(question).fetchone()
    sessions = connection.execute("SELECT DISTINCT session_id FROM spool ORDER BY 1").fetchall()
    first = connection.execute("SELECT head FROM spool ORDER BY number LIMIT 1").fetchone()
    return SpoolLook(
        path,
        batches,
        rows,
        tuple(str(name) for (name,) in sessions),
        None if first is None else _came_ns(first[0]),
        stamp_of(connection) if "about" in names else Stamp(),
    )


def _came_ns(head: bytes) -> int | None:
    try:
        found = read_head(head)
    except DamagedError:
        return None
    return max((one.alive_until_ns for one in found.segments), default=found.session.started_ns)
