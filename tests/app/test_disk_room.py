"""The room on the disk is told once a day, and warned of before it is gone."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from collector.app.disk_room import DAY_S, DiskRoom
from collector.events import EventBus, PotentialHalt


class Disk:
    """A disk whose clock, room and file are set by hand."""

    def __init__(self, file: Path, archive: Path | None = None) -> None:
        self.file, self.now_s, self.free = file, 0.0, 10_000_000_000_000
        file.write_bytes(b"x" * 1000)
        self.warned: list[PotentialHalt] = []
        events = EventBus()
        events.attach(PotentialHalt, self.warned.append)
        self.room = DiskRoom(
            file,
            events,
            archive=archive,
            free_bytes=lambda _: self.free,
            monotonic_s=lambda: self.now_s,
        )

    def looked(self) -> list[dict[str, object]]:
        with capture_logs() as lines:
            assert list(self.room.chore()) == []
        return [dict(line) for line in lines]


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "live.db")


def test_the_days_left_are_told_once_a_day_at_the_rate_that_was_measured(disk: Disk) -> None:
    disk.now_s = 60.0
    assert disk.looked() == []  # too early to say
    disk.now_s = DAY_S / 2
    disk.file.write_bytes(b"x" * 501_000)
    (line,) = disk.looked()
    assert (line["event"], line["bytes_a_day"]) == ("disk.room", 1_000_000)
    assert line["days_until_full"] == 10_000_000.0
    disk.now_s += 3600.0
    assert disk.looked() == []
    disk.now_s += DAY_S
    assert [one["event"] for one in disk.looked()] == ["disk.room"]
    assert disk.warned == []


def test_what_is_moved_to_files_on_the_same_disk_fills_it_as_well(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    disk = Disk(tmp_path / "live.db", archive)
    moved = archive / "features" / "date=2026-01-31"
    moved.mkdir(parents=True)
    (moved / "hour-05-x.parquet").write_bytes(b"x" * 40_000)
    disk.file.write_bytes(b"x" * 11_000)
    disk.now_s = DAY_S / 2
    (line,) = disk.looked()
    assert line["bytes_a_day"] == 2 * (10_000 + 40_000)


def test_before_the_disk_is_full_an_event_warns_and_again_the_next_day(disk: Disk) -> None:
    disk.now_s = DAY_S / 2
    disk.file.write_bytes(b"x" * 501_000)
    disk.free = 2_000_000_000
    disk.looked()
    assert disk.warned == []
    disk.free = 900_000_000
    disk.looked()
    disk.looked()
    assert [one.code for one in disk.warned] == ["disk_nearly_full"]
    assert "900,000,000 bytes are free" in disk.warned[0].reason
    disk.now_s += DAY_S
    disk.looked()
    assert len(disk.warned) == 2


def test_a_rate_that_fills_it_in_two_days_warns_however_much_is_free(disk: Disk) -> None:
    disk.now_s = 1000.0
    with disk.file.open("r+b") as file:
        file.truncate(1_000_000_000_000)  # sparse
    disk.looked()
    assert [one.code for one in disk.warned] == ["disk_nearly_full"]
