"""Tell once a day how long the disk of the database lasts, and warn before it is full."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from collector.database import database_bytes
from collector.events import EventBus, PotentialHalt
from collector.loggers import get_logger
from collector.sinks import Slice

DAY_S = 86_400.0
SHORTEST_S = 600.0  # over less, what was written says nothing of a day
FEW_DAYS = 3.0
LITTLE_BYTES = 1_000_000_000
CODE = "disk_nearly_full"

log = get_logger(__name__)


class DiskRoom:
    """Measures how the file and its log grow against the room that is left. A chore of housekeeping."""

    def __init__(
        self,
        file: Path,
        events: EventBus,
        *,
        archive: Path | None = None,
        free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = file
        self._archive = archive  # where old rows go to
        self._events = events
        self._free_bytes = free_bytes
        self._monotonic_s = monotonic_s
        self._began_s = monotonic_s()
        self._began_bytes = self._bytes()
        self._told_s: float | None = None
        self._is_warned = False

    def chore(self) -> Iterator[Slice]:
        """Look at the room; nothing is asked of the database."""
        self.look()
        return iter(())

    def look(self) -> None:
        """Log the days that are left once a day; warn when they become few."""
        now_s = self._monotonic_s()
        if now_s - self._began_s < SHORTEST_S:
            return
        try:
            free = self._free_bytes(self._file.parent)
        except OSError as error:
            log.warning("disk.room_unknown", folder=str(self._file.parent), reason=str(error))
            return
        a_day = (self._bytes() - self._began_bytes) * DAY_S / (now_s - self._began_s)
        days = free / a_day if a_day > 0 else None
        is_little = free < LITTLE_BYTES or (days is not None and days < FEW_DAYS)
        if self._told_s is None or now_s - self._told_s >= DAY_S:
            self._told_s = now_s
            self._is_warned = False
            shown = {} if days is None else {"days_until_full": round(days, 1)}
            log.info("disk.room", free_bytes=free, bytes_a_day=round(a_day), **shown)
        if is_little and not self._is_warned:
            left = "" if days is None else f", which last {days:.1f} days"
            reason = (
                f"{free:,} bytes are free in {self._file.parent}{left}; make room, or set retention.hot_hours"
            )
            self._events.publish(PotentialHalt("", CODE, reason, time.time_ns()))
        self._is_warned = is_little

    def _bytes(self) -> int:
        """Return what fills this disk: the database, and the archive where it is on the same one."""
        archive, taken = self._archive, database_bytes(self._file)
        with suppress(OSError):
            if archive is not None and archive.stat().st_dev == self._file.parent.stat().st_dev:
                taken += sum(_size_of(one) for one in archive.rglob("*.parquet"))
        return taken


def _size_of(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # it has gone since the folder was read
        return 0
