"""Move the rows of old days and hours to files: write, read back and compare, record, and only then delete.

All files of a day, or of an hour, and kind are written and recorded before the first of its rows is deleted.
What stands in the way of one is told and costs the others nothing.
"""

import errno
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

import sqlalchemy as sa

from collector.database import Tables, make_tables
from collector.errors import UserError, in_one_line
from collector.export import Day, days, sha256, table_of
from collector.loggers import get_logger
from collector.query import archived, extra, needed
from collector.retention.day_archive import archive_day
from collector.retention.deletion import Claim, Entry, Slice, TakeBack, deletion
from collector.retention.held_ids import held_ids
from collector.retention.merging import MERGED, Forget, Merging, removed, worth_merging
from collector.retention.one_archiver import LastFinal, only_archiver
from collector.retention.stopping import Stop, Stopped

KINDS = ("features", "levels", "trades")  # bars are few, and are changed after they were written
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}  # no other day would fare better

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Retention:
    """How many days, or closed hours, stay in the database, and the folder for the rest."""

    days: float | None
    folder: Path
    slice_rows: int = 2_000
    hot_hours: int | None = None

    def before(self, now: datetime) -> str:
        """Return the first day that stays, or the first hour."""
        if self.hot_hours is not None:
            return f"{now - timedelta(hours=self.hot_hours):%Y-%m-%dT%H}"
        assert self.days is not None  # noqa: S101  (one of both is given)
        return (now - timedelta(days=self.days)).date().isoformat()


def archive_slices(
    url: str,
    table_name: str,
    retention: Retention,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    stop: Stop | None = None,
) -> Generator[Slice, None, None]:
    """Yield the transactions of the writer thread, day after day, hour by hour; write the files in between.

    With `hot_hours` the files of a day's hours become one when the day is over.

    It may be stopped anywhere: the next call deletes what is recorded, and moves anew what is not. Raises
    DatabaseInUse where another process is at it, and UserError at the end for days that could not be moved.
    """
    extra("pyarrow", "parquet")
    stop = stop or Stop()
    before = retention.before(now())
    run = _Run(url, table_name, retention, stop)
    with only_archiver(url, stop) as last_final:
        yield from run.finish_begun()
        yield from run.remove_merged()
        yield from run.move_old(before, last_final)
        yield from run.merge_days(before)
    if run.problems:
        count = len(run.problems)
        more = f" (and {count - 1} more, each in the log)" if count > 1 else ""
        raise UserError(f"not everything could be moved to files: {run.problems[0]}{more}")


class _Run:
    """One run over the database."""

    def __init__(self, url: str, table_name: str, retention: Retention, stop: Stop) -> None:
        self._url = url
        self._table_name = table_name
        self._retention = retention
        self._stop = stop
        self._tables: Tables = make_tables(table_name)
        self.problems: list[str] = []

    def finish_begun(self) -> Iterator[Slice]:
        """Delete what an earlier run has recorded; take back what cannot be read, where no row is gone."""
        for (kind, date), begun in groupby(self._begun(), lambda entry: (entry["kind"], entry["date"])):
            readable = []
            for entry in begun:
                why = self._unreadable(entry)
                if not why:
                    readable.append(entry)
                    continue
                back = TakeBack(self._tables, entry)
                yield back
                if back.is_done:
                    log.warning("archive.taken_back", path=entry["path"], reason=why, kind=kind, date=date)
                else:
                    self._tell(
                        f"{entry['path']} {why}, and only {back.rows_there} of its {entry['rows']} rows are "
                        "in the table: put the file back (is it on another host?); this day is left alone"
                    )
            if readable:
                yield from self._deletion(readable, is_resumed=True)

    def move_old(self, before: str, last_final: LastFinal) -> Iterator[Slice]:
        """Move the days before a date."""
        found = [pair for kind in KINDS for pair in self._old(kind, before, last_final)]
        found.sort(key=lambda pair: (pair[0].date, KINDS.index(pair[0].kind)))
        for _, of_day in groupby(found, lambda pair: (pair[0].date, pair[0].kind)):
            recorded = []
            for day, files_before in of_day:
                entry = self._archived(day)
                if entry is None:
                    continue
                claim = Claim(self._tables, entry, files_before)
                yield claim
                if claim.refused:
                    self._tell(f"{_named(day)}: {claim.refused}")
                else:
                    recorded.append(entry)
            if recorded:
                yield from self._deletion(recorded, is_resumed=False)

    def merge_days(self, before: str) -> Iterator[Slice]:
        """Make one file of those of a day that is over."""
        with self._stop.reading(self._url, self._table_name) as (connection, known):
            found = [files for kind in KINDS for files in worth_merging(connection, known, kind, before)]
        for files in found:
            merging = Merging(self._tables, files)
            try:
                merging.write(self._url, self._table_name, self._retention.folder, self._stop)
            except Exception as error:  # noqa: BLE001  (told, and the others go on)
                self._tell_of(merging.day, error)
                continue
            try:
                yield merging.slice
            finally:
                merging.forget()
            if merging.refused:
                self._tell(f"{_named(merging.day)}: {merging.refused}")
            else:
                merging.finish()

    def remove_merged(self) -> Iterator[Slice]:
        """Remove files whose rows others hold, once nobody reads them any more."""
        archive = self._tables.archive
        names = [table_of(self._tables, kind).name for kind in KINDS]
        with self._stop.reading(self._url, self._table_name) as (connection, _):
            own = sa.select(archive).where(archive.c.kind == MERGED, archive.c.table_name.in_(names))
            entries = [dict(row) for row in connection.execute(own).mappings()]
        if gone := removed(entries, self._retention.folder, time.time_ns()):
            yield Forget(self._tables, gone)

    def _begun(self) -> Sequence[Entry]:
        with self._stop.reading(self._url, self._table_name) as (connection, known):
            needed(connection, known.archive)
            found = [
                dict(row) for kind in KINDS for row in archived(connection, known, table_of(known, kind))
            ]
        begun = [entry for entry in found if entry["deleted_ns"] is None]
        return sorted(begun, key=lambda entry: (entry["date"], KINDS.index(entry["kind"])))

    def _unreadable(self, entry: Entry) -> str:
        """Return what is wrong with a file; an empty text if it is as it was written."""
        try:
            same = sha256(Path(str(entry["path"])), self._stop.check) == entry["sha256"]
        except OSError as error:
            return f"cannot be read ({error.strerror})"
        return "" if same else "is not the file that was written"

    def _old(self, kind: str, before: str, last_final: LastFinal) -> list[tuple[Day, int]]:
        """Return the days and hours of a kind, each with the number of files that hold rows of its time."""
        try:
            table = table_of(self._tables, kind)
            last_id = last_final(table)  # before the transaction that is to see all rows up to it
            with self._stop.reading(self._url, self._table_name) as (connection, known):
                files: dict[tuple[str, str], list[tuple[str, bool]]] = {}
                for row in archived(connection, known, table):
                    of_market = files.setdefault((row["exchange"], row["symbol"]), [])
                    of_market.append((row["date"], row["deleted_ns"] is None))
                old = days(connection, table, kind, None, None, before=before, last_id=last_id)
                found = [(day, _beside(day, files.get((day.exchange, day.symbol), ()))) for day in old]
        except Stopped:
            raise
        except Exception as error:  # noqa: BLE001  (told, and the other kinds go on)
            self._tell(f"the {kind} cannot be listed: {in_one_line(error)}")
            return []
        return [(day, len(begun)) for day, begun in found if not any(begun)]

    def _archived(self, day: Day) -> Entry | None:
        try:
            return archive_day(self._url, self._table_name, day, self._retention.folder, self._stop)
        except Exception as error:  # noqa: BLE001  (told, and the others go on)
            self._tell_of(day, error)
            return None

    def _tell_of(self, day: Day, error: Exception) -> None:
        """Tell what went wrong with a day, or raise it where no other would fare better."""
        if isinstance(error, Stopped) or (isinstance(error, OSError) and error.errno in _FULL):
            raise error
        self._tell(f"{_named(day)}: {in_one_line(error)}")

    def _deletion(self, entries: Sequence[Entry], *, is_resumed: bool) -> Iterator[Slice]:
        paths = [Path(str(entry["path"])) for entry in entries]
        ids = held_ids(paths, self._retention.slice_rows, self._stop.check)
        return deletion(self._tables, entries, ids, is_resumed=is_resumed)

    def _tell(self, problem: str) -> None:
        log.warning("archive.day_left", problem=problem)
        self.problems.append(problem)


def _beside(day: Day, files: Sequence[tuple[str, bool]]) -> list[bool]:
    """Return of each file that may hold rows of a day or an hour whether its rows are still being deleted."""
    return [is_begun for date, is_begun in files if date.startswith(day.date) or day.date.startswith(date)]


def _named(day: Day) -> str:
    return f"the {day.kind} of {day.exchange} {day.symbol} of {day.date}"
