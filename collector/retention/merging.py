"""Merge the files of a day that is over into one: fewer files, and smaller.

The new file is read back and compared, then one transaction lists it in the place of the others. These are
set aside at once, so that who reads the folder finds no row twice, and removed later: who began to read the
database before that may want them still. Until then they are listed, as of a kind that nobody reads.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from collector.database import DAY_DIGITS, Tables
from collector.errors import CollectorError
from collector.export import Day, sha256, table_of, write_day
from collector.loggers import get_logger
from collector.query import ASIDE, Part, set_aside
from collector.retention.day_archive import entry_of, paths_of, put_in_place, unfinished_of, verified
from collector.retention.deletion import Entry, lock
from collector.retention.held_ids import held_ids
from collector.retention.stopping import Stop

MERGED = "merged"  # the kind of a file whose rows another file holds by now
KEPT_S = 900.0  # for those who began to read before
DEAD_S = 86_400.0  # nobody has been writing a file for so long
MANY_FILES = 8  # of a day: rows that came late have a file of their own each time
_NO_ID = 0  # ids begin with 1: no row of the table
_IDS_AT_ONCE = 100_000

log = get_logger(__name__)

Files = Sequence[Entry]  # of one market and day


def worth_merging(connection: sa.Connection, tables: Tables, kind: str, before: str) -> Iterator[Files]:
    """Yield the files of each market and earlier day that are better one, once their rows are deleted."""
    archive = tables.archive
    c = archive.c
    day = sa.func.substr(c.date, 1, DAY_DIGITS)
    of_kind = (c.table_name == table_of(tables, kind).name, c.kind == kind, c.date < before[:DAY_DIGITS])
    key = (c.exchange, c.symbol, day)
    is_begun = sa.case((c.deleted_ns.is_(None), 1), else_=0)
    is_worth = sa.or_(sa.func.max(sa.func.length(c.date)) > DAY_DIGITS, sa.func.count() >= MANY_FILES)
    found = connection.execute(
        sa.select(*key)
        .where(*of_kind)
        .group_by(*key)
        .having(sa.func.sum(is_begun) == 0, sa.func.count() > 1, is_worth)
        .order_by(day, c.exchange, c.symbol)
    ).all()
    for exchange, symbol, date in found:
        own = (c.exchange == exchange, c.symbol == symbol, day == date)
        rows = connection.execute(sa.select(archive).where(*of_kind, *own).order_by(c.date, c.last_id))
        yield [dict(row) for row in rows.mappings()]


class Merging:
    """Merges the files of one day: `write` the new one, then do `slice` in the writer's thread."""

    def __init__(self, tables: Tables, files: Files) -> None:
        self._tables = tables
        self._files = files
        kind, exchange, symbol = (str(files[0][name]) for name in ("kind", "exchange", "symbol"))
        rows = sum(_number(one, "rows") for one in files)
        last_id = max(_number(one, "last_id") for one in files)
        self.day = Day(kind, exchange, symbol, str(files[0]["date"])[:DAY_DIGITS], rows, last_id, "")
        self.refused = ""
        self._unfinished: Path | None = None
        self._same: list[Path] = []  # left by a run that ended before it could list its file
        self._entry: Entry = {}

    def write(self, url: str, table_name: str, folder: Path, stop: Stop) -> None:
        """Write the new file and read it back; leave none on failure."""
        for one in self._files:
            if sha256(Path(str(one["path"])), stop.check) != one["sha256"]:
                raise CollectorError(f"{one['path']} is not the file that was written; its day is left alone")
        before, path = paths_of(url, table_name, self.day, folder)
        self._unfinished = unfinished = unfinished_of(path)
        of_files = replace(self.day, last_id=_NO_ID)
        parts = tuple(map(_part, self._files))
        try:
            with stop.reading(url, table_name) as (connection, known):
                table = table_of(known, self.day.kind)
                write_day(connection, table, of_files, unfinished, "parquet", (), parts, stop.check)
                segments = verified(connection, table, of_files, unfinished, stop, parts)
            self._compare_ids(unfinished, stop)
            checksum = sha256(unfinished, stop.check)
            own = {one["path"] for one in self._files}
            others = [one for one in before if str(one) not in own]
            self._same = [one for one in others if sha256(one, stop.check) == checksum]
        except BaseException:
            self.forget()
            raise
        entry = entry_of(self.day, path, table.name, checksum, segments)
        self._entry = {**entry, "deleted_ns": entry["archived_ns"]}

    def slice(self, connection: sa.Connection) -> int:
        """List the new file in the place of the others, unless these are others by now."""
        assert self._unfinished is not None  # noqa: S101  (written before)
        archive, path = self._tables.archive, Path(str(self._entry["path"]))
        paths = [one["path"] for one in self._files]
        with connection.begin():
            lock(connection, archive)
            is_listed = (archive.c.path.in_(paths), archive.c.kind == self.day.kind)
            listed = sa.select(sa.func.count()).where(*is_listed, archive.c.deleted_ns.is_not(None))
            if connection.execute(listed).scalar_one() != len(paths):
                self.refused = "its files were changed meanwhile by another process"
                return 0
            # A key of its own: of one day there may be several that were merged.
            key = sa.literal(f"{path.name} ", sa.TEXT) + archive.c.date
            gone = {"kind": MERGED, "date": key, "archived_ns": self._entry["archived_ns"]}
            connection.execute(sa.update(archive).where(*is_listed).values(gone))
            connection.execute(sa.insert(archive).values(**self._entry))
            for one in self._same:  # the files are those that it was made of, so nobody has listed it
                one.unlink(missing_ok=True)
            put_in_place(self._unfinished, path)
        return 0

    def finish(self) -> None:
        """Set the files aside whose rows the new one holds; call it when the slice is done."""
        for one in self._files:
            put_aside(Path(str(one["path"])))

    def forget(self) -> None:
        """Remove what was written."""
        if self._unfinished is not None:
            self._unfinished.unlink(missing_ok=True)

    def _compare_ids(self, path: Path, stop: Stop) -> None:
        old = held_ids([Path(str(one["path"])) for one in self._files], _IDS_AT_ONCE, stop.check)
        for ours, theirs in zip_longest(held_ids([path], _IDS_AT_ONCE, stop.check), old):
            if ours is None or theirs is None or not np.array_equal(ours, theirs):
                raise CollectorError(f"{path} does not hold the rows of the files that it is made of")


class Forget:
    """Takes files off the list that were removed."""

    def __init__(self, tables: Tables, paths: Sequence[str]) -> None:
        self._tables = tables
        self._paths = paths

    def __call__(self, connection: sa.Connection) -> int:
        """Delete the entries; no row is gone by that."""
        archive = self._tables.archive
        with connection.begin():
            own = (archive.c.kind == MERGED, archive.c.path.in_(self._paths))
            connection.execute(sa.delete(archive).where(*own))
        return 0


def removed(entries: Sequence[Entry], folder: Path, now_ns: int) -> list[str]:
    """Remove files that were merged long ago, and set aside what still stands there; return the paths gone.

    A folder that is not there is on another host, or not mounted: its files are left for who has them. What a
    run that was killed had begun to write goes, too.
    """
    for unfinished in (folder / ASIDE).glob("*"):
        with suppress(FileNotFoundError):
            is_dead = now_ns - unfinished.stat().st_mtime_ns > DEAD_S * 1e9
            if is_dead and unfinished.suffix != set_aside(unfinished).suffix:
                _done(unfinished, Path.unlink)
    gone = []
    for entry in entries:
        path = Path(str(entry["path"]))
        if now_ns - _number(entry, "archived_ns") < KEPT_S * 1e9:
            put_aside(path)
        elif path.parent.is_dir() and _done(path, _removed):
            gone.append(str(path))
    return gone


def put_aside(path: Path) -> None:
    """Give a file the name under which readers of the folder do not see it."""
    if path.is_file():
        _done(path, _put_aside)


def _put_aside(path: Path) -> None:
    set_aside(path).parent.mkdir(exist_ok=True)
    path.replace(set_aside(path))


def _removed(path: Path) -> None:
    path.unlink(missing_ok=True)
    set_aside(path).unlink(missing_ok=True)


def _done(path: Path, what: Callable[[Path], object]) -> bool:
    """Do something with a file that nobody needs; it is tried again with the next run."""
    try:
        what(path)
    except OSError as error:
        log.warning("archive.file_left", path=str(path), reason=error.strerror)
        return False
    return True


def _part(entry: Entry) -> Part:
    exchange, symbol, date, path = (str(entry[name]) for name in ("exchange", "symbol", "date", "path"))
    rows, last_id = _number(entry, "rows"), _number(entry, "last_id")
    return Part(exchange, symbol, date, Path(path), rows, last_id, is_deleted=True)


def _number(entry: Entry, name: str) -> int:
    value = entry[name]
    assert isinstance(value, int)  # noqa: S101  (such is the column)
    return value
