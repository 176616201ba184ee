"""Define the tables of a spool, and make the file."""

import sqlite3
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Final

from collector.database import sqlite_library
from collector.errors import SpoolRefused
from collector.spool.codec import FORMAT
from collector.spool.owner import Stamp
from collector.spool.pages import Found, is_blank, mark_of

APPLICATION_ID: Final = 0x436C5370  # "ClSp": told by `file`, and no other database is taken for a spool
_LOG_PAGES = 1000
_WAIT_S = 1.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS spool (
  number INTEGER PRIMARY KEY, batch_id TEXT NOT NULL, session_id TEXT NOT NULL, rows INTEGER NOT NULL,
  head BLOB NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS aside (
  number INTEGER, batch_id TEXT, session_id TEXT, rows INTEGER,
  head BLOB, body BLOB, reason TEXT, at_ns INTEGER);
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS after_loss (number INTEGER PRIMARY KEY);
"""
# A file that is made of a damaged one lacks entries; where, is read from the gaps in the numbers. What was
# before the first entry nobody knows: it may have been brought in, or lost.
_AFTER_LOSS = (
    "INSERT INTO after_loss SELECT number FROM spool WHERE number - 1 NOT IN (SELECT number FROM spool)"
)


def connect(path: Path) -> sqlite3.Connection:
    """Open a file that may or may not be a spool; nothing of it is read yet."""
    connection: sqlite3.Connection = sqlite_library().connect(
        path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False
    )
    connection.text_factory = _text  # damaged bytes are told by a checksum, not by an exception
    return connection


def is_spool(path: Path) -> bool:
    """Return whether a file is a spool, or what damage left of one: something in it says so.

    One of zeros is what a power cut leaves of a new file; nobody else would miss it.
    """
    if mark_of(path) == APPLICATION_ID or is_blank(path):
        return True
    found = Found(path)
    return bool({"identity", "address"} & set(found.about)) or any(entry.is_sound for entry in found)


def set_up(connection: sqlite3.Connection, path: Path, synchronous: str) -> None:
    """Make the tables where there are none; take the file for this process alone."""
    # Two collectors in one spool would take each other's batches. Before the first look: SQLite would make
    # shared memory otherwise, and leave it.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables and mark != APPLICATION_ID:
        raise SpoolRefused(f"{path} is a database, but not a spool; give spool.path another name")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if tables and version != FORMAT:
        raise SpoolRefused(
            f"{path} is a spool of format {version}, this program reads {FORMAT}; "
            "let the version that wrote it bring it in, or move it away"
        )
    _adjust(
        connection,
        "journal_mode = WAL",
        f"synchronous = {synchronous}",
        f"wal_autocheckpoint = {_LOG_PAGES}",
    )


def stamp_of(connection: sqlite3.Connection) -> Stamp:
    """Return what the file says of its database."""
    told = dict(connection.execute("SELECT name, value FROM about").fetchall())
    return Stamp(told.get("identity", ""), told.get("address", ""), told.get("table", ""))


def write_stamp(connection: sqlite3.Connection, stamp: Stamp) -> None:
    """Let the file say which database it belongs to."""
    told = [(name, value) for name, value in asdict(stamp).items() if value]
    connection.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", told)


def write_copy(path: Path, found: Found, stamp: Stamp) -> None:
    """Make a spool of what was found of another, all or none; `stamp`: what is known to be said in that."""
    with closing(connect(path)) as connection:
        _adjust(connection, "synchronous = FULL")
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO spool VALUES (?, ?, ?, ?, ?, ?)", found)
        connection.execute(_AFTER_LOSS)
        for one in (Stamp(**found.about), stamp):
            write_stamp(connection, one)
        connection.execute("COMMIT")


def is_held(error: Exception) -> bool:
    """Return whether another process has the file open."""
    return "locked" in str(error)


def _adjust(connection: sqlite3.Connection, *pragmas: str) -> None:
    first = "auto_vacuum = INCREMENTAL", *pragmas
    last = f"application_id = {APPLICATION_ID}", f"user_version = {FORMAT}"
    for pragma in (*first, *last):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    connection.executescript(_SCHEMA)


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")
