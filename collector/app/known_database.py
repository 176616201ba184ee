"""Note which database was open here, so that a session can begin while it is away."""

import os

import msgspec

from collector.app.spool_places import address, note_places
from collector.database import newest_revision
from collector.errors import UserError
from collector.loggers import get_logger
from collector.sinks import SqlSink, Store
from collector.spool import SpoolPlaces

log = get_logger(__name__)


class _Note(msgspec.Struct, frozen=True):
    address: str
    identity: str
    revision: str  # of the tables, when it was open last
    tables: tuple[str, ...]  # of rows, which are then complete


class KnownDatabase:
    """The database that a collector on this machine had open under this address, with this table of rows.

    It is known only if it was at the revision of this version: what comes is meant for those tables.
    """

    def __init__(self, places: SpoolPlaces, store: Store[object], table_name: str) -> None:
        self._notes = note_places(places)
        self._store = store
        self._table_name = table_name
        self._expected = ""  # the identity of one that is away

    def identity(self) -> str:
        """Return the identity of the database, also of one that is away; empty where it is not known."""
        return self._expected or self._store.identity

    def recall(self) -> bool:
        """Return whether one that is away is known, and reserve it; DatabaseInUse if another has it."""
        if not isinstance(self._store, SqlSink):
            return False
        if not self._expected:
            note = self._read()
            self._expected = note.identity if note is not None and self._table_name in note.tables else ""
        if self._expected:
            self._store.reserve()
        return bool(self._expected)

    def check(self) -> None:
        """Raise UserError if the database, open now, is not the one that was away."""
        found = self._store.identity
        if self._expected not in {"", found}:
            raise UserError(
                f"{self._store.name} is another database (identity {found}) than the one that was away at "
                f"the start (identity {self._expected}): nothing is written into it, and what was collected "
                "waits in the spool; start again to collect into this one, which leaves that spool alone, or "
                "bring the other back and start again"
            )

    def remember(self) -> None:
        """Note the database, which is open, for a start that finds it away."""
        self._expected = ""
        if not isinstance(self._store, SqlSink):
            return
        found, note = self._store.identity, self._read()
        known = () if note is None or note.identity != found else note.tables
        if self._table_name not in known:
            tables = (*known, self._table_name)
            self._write(_Note(address(self._store), found, newest_revision(), tables))

    def forget(self) -> None:
        """Expect none: nothing was collected for it."""
        self._expected = ""

    def _read(self) -> _Note | None:
        """Return the first note of this database at the schema of this version."""
        for path in self._notes:
            try:
                note = msgspec.json.decode(path.read_bytes(), type=_Note)
            except (OSError, msgspec.MsgspecError):
                continue
            if (note.address, note.revision) == (address(self._store), newest_revision()):
                return note
        return None

    def _write(self, note: _Note) -> None:
        for path in self._notes:
            made = path.with_name(f"{path.name}.{os.getpid()}")
            try:
                made.write_bytes(msgspec.json.encode(note))
                made.replace(path)
            except OSError as error:
                log.debug("database.not_noted", path=str(path), error=str(error))
            else:
                return
