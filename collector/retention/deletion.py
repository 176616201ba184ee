"""Record archived days and delete their rows, in small transactions of the writer thread.

Each transaction looks first at what the database lists: another process may have changed it meanwhile. What
is deleted is what a file holds, by id, over all symbols in one order, so that whole pages fall at once.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import sqlalchemy as sa

from collector.database import DAY_DIGITS, Tables
from collector.errors import CollectorError
from collector.export import table_of, within
from collector.query import following
from collector.retention.held_ids import Ids

Value = str | int | None
Entry = Mapping[str, Value]  # a row of the archive's table
Slice = Callable[[sa.Connection], int]  # returns how many rows are gone

_NAMES_OF_A_MARKET = ("table_name", "kind", "exchange", "symbol")


class Claim:
    """Records that a file holds the rows of a day or an hour: from then on loaders read them from there."""

    def __init__(self, tables: Tables, entry: Entry, files_before: int) -> None:
        self._tables = tables
        self._entry = entry
        self._files_before = files_before  # that were listed, of the same time, when its rows were read
        self.refused = ""  # why nothing was recorded

    def __call__(self, connection: sa.Connection) -> int:
        """Record it, unless files or rows of the day are others than they were; then remove the file.

        Not if it is listed: an archiver that lost its lock with its connection may have met the same file.
        """
        archive, entry = self._tables.archive, self._entry
        path = Path(str(entry["path"]))
        with connection.begin():
            lock(connection, archive)
            own = [archive.c[name] == entry[name] for name in _NAMES_OF_A_MARKET]
            beside = _overlapping(archive.c.date, str(entry["date"]))
            files = connection.execute(sa.select(sa.func.count()).where(*own, beside)).scalar_one()
            rows = _rows_there(connection, self._tables, entry)
            if files != self._files_before:
                self.refused = "it was archived meanwhile by another process"
            elif rows != entry["rows"]:
                self.refused = f"its rows were changed: the file holds {entry['rows']}, there are {rows}"
            elif not path.exists():
                self.refused = f"{path} is gone: another process has removed it"
            else:
                connection.execute(sa.insert(archive).values(**entry))
            listed = sa.select(sa.func.count()).where(archive.c.path == entry["path"])
            if self.refused and not connection.execute(listed).scalar_one():
                path.unlink(missing_ok=True)
        return 0


class TakeBack:
    """Takes a day out of the archive again whose file cannot be read, if all its rows are still there."""

    def __init__(self, tables: Tables, entry: Entry) -> None:
        self._tables = tables
        self._entry = entry
        self.is_done = False
        self.rows_there = 0

    def __call__(self, connection: sa.Connection) -> int:
        """Remove the entry, or leave it and count the rows."""
        archive, entry = self._tables.archive, self._entry
        with connection.begin():
            lock(connection, archive)
            unfinished = (archive.c.path == entry["path"], archive.c.deleted_ns.is_(None))
            self.rows_there = _rows_there(connection, self._tables, entry)
            if self.rows_there == entry["rows"]:
                self.is_done = connection.execute(sa.delete(archive).where(*unfinished)).rowcount == 1
        return 0


def deletion(
    tables: Tables, entries: Sequence[Entry], held_ids: Iterator[Ids], *, is_resumed: bool
) -> Iterator[Slice]:
    """Yield the transactions that delete the rows of recorded files of one table, and the one that ends it.

    Where an earlier run has deleted some, not all rows that the files hold are there any more.
    """
    table = table_of(tables, str(entries[0]["kind"]))
    paths = [entry["path"] for entry in entries]

    def slice_of(ids: Ids) -> Slice:
        def delete(connection: sa.Connection) -> int:
            with connection.begin():
                _check_listed(connection, tables.archive, paths)
                gone = connection.execute(sa.delete(table).where(_among(table.c.id, ids))).rowcount
                if gone != len(ids) and not is_resumed:
                    raise CollectorError(
                        f"of {len(ids)} rows that {paths[0]} and others of its day hold, {gone} were left in "
                        f"{table.name}; nothing more is deleted in this run"
                    )
                return gone

        return delete

    def finish(connection: sa.Connection) -> int:
        archive = tables.archive
        with connection.begin():
            _check_listed(connection, archive, paths)
            connection.execute(
                sa.update(archive).where(archive.c.path.in_(paths)).values(deleted_ns=time.time_ns())
            )
        return 0

    yield from map(slice_of, held_ids)
    yield finish


def _among(column: sa.Column[int], ids: Ids) -> sa.ColumnElement[bool]:
    first, last = int(ids[0]), int(ids[-1])
    if last - first + 1 == len(ids):  # each of them is in a file
        return column.between(first, last)
    return column.in_(sa.bindparam("ids", ids.tolist(), expanding=True, literal_execute=True))


def _check_listed(connection: sa.Connection, archive: sa.Table, paths: Sequence[Value]) -> None:
    """Raise CollectorError unless all files are listed, with rows to delete; keep it so until the end."""
    own = sa.select(archive.c.path).where(archive.c.path.in_(paths), archive.c.deleted_ns.is_(None))
    if len(connection.execute(own.with_for_update()).all()) != len(paths):
        raise CollectorError(
            f"another process has changed what is archived as {paths[0]}; nothing is deleted"
        )


def lock(connection: sa.Connection, archive: sa.Table) -> None:
    """Let nobody else change the list until the transaction ends."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer at a time
        name = connection.dialect.identifier_preparer.format_table(archive)
        connection.exec_driver_sql(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")


def _overlapping(date: sa.Column[str], period: str) -> sa.ColumnElement[bool]:
    """Return whether files are of a day, of one of its hours, or of the day of an hour."""
    if len(period) > DAY_DIGITS:
        return date.in_((period, period[:DAY_DIGITS]))
    return sa.and_(date >= period, date < following(period))


def _rows_there(connection: sa.Connection, tables: Tables, entry: Entry) -> int:
    """Count the rows of a file that are in the table."""
    kind = str(entry["kind"])
    table = table_of(tables, kind)
    own = (table.c.symbol == entry["symbol"], table.c.exchange == entry["exchange"])
    day = (*within(table, kind, str(entry["date"])), table.c.id <= entry["last_id"])
    return int(connection.execute(sa.select(sa.func.count()).where(*own, *day)).scalar_one())
