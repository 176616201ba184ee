"""Estimate what stays in the database, and how the archive grows beside it, where old rows go to files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from collector.cli.stream_plan import StreamPlan
from collector.events import OHLCV, TRADE, Channel

if TYPE_CHECKING:
    from collector.settings import Settings

# What a row takes in a file, of its bytes in SQLite with indexes, as measured.
OF_BOOKS, OF_DEEP_BOOKS, OF_TRADES = 35 / 300, (35 + 71) / 950, 25 / 320
UNTIL_MOVED_H = 1.1  # of the hour that runs, and until the job has moved the one before
DAYS_A_MONTH = 30


@dataclass(frozen=True, slots=True)
class KeptPlan:
    """What the database holds at most once rows have begun to move, and what grows."""

    hours: float  # of rows, at most
    database_gigabytes: float
    archive_gigabytes_a_day: float
    bars_gigabytes_a_day: float  # they stay in the database
    folder: str

    @property
    def growth_gigabytes_a_day(self) -> float:
        """Return by how much both grow, in a day."""
        return self.archive_gigabytes_a_day + self.bars_gigabytes_a_day


def kept_plan(settings: "Settings", lines: Sequence[StreamPlan]) -> KeptPlan | None:
    """Return what stays and what goes; None where all rows stay."""
    retention = settings.retention
    if not retention.is_on:
        return None
    if retention.hot_hours is not None:
        hours = retention.hot_hours + UNTIL_MOVED_H
    else:
        hours = ((retention.days or 0.0) + 1) * 24
    families = [Channel.of(line.channel).family for line in lines]
    deep = settings.storage.features == "deep"
    shares = {TRADE: OF_TRADES, OHLCV: 0.0}
    of_books = OF_DEEP_BOOKS if deep else OF_BOOKS
    moved = [
        (line.gigabytes_a_day, shares.get(family, of_books))
        for line, family in zip(lines, families, strict=True)
    ]
    return KeptPlan(
        hours,
        sum(a_day for a_day, share in moved if share) * hours / 24,
        sum(a_day * share for a_day, share in moved),
        sum(a_day for a_day, share in moved if not share),
        retention.path,
    )


def kept_text(kept: KeptPlan) -> str:
    """Return what is printed of it."""
    a_day = kept.archive_gigabytes_a_day
    held = f"{kept.hours:g} hours at most, {kept.database_gigabytes:,.3g} GB"
    moved = f"{a_day:,.3g} GB a day, {a_day * DAYS_A_MONTH:,.3g} GB a month"
    return f"the database holds {held}; older rows go to {kept.folder}: {moved}"


def on_one_disk(folder: Path, archive: str) -> bool:
    """Return whether the archive, or where it will be, is on the disk of a folder."""
    there = Path(archive).expanduser().absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    return folder.stat().st_dev == there.stat().st_dev
