"""Check the machine: Python, SQLite, open files, memory, the disk."""

import os
import platform
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from collector.cli.commands.doctor.check_result import CheckResult, Level
from collector.cli.plain import size
from collector.version import __version__

OLDEST_PYTHON = (3, 11)
FORMER_NAME = "collector"  # of the distribution; on PyPI it is another project's
SOUND_SQLITE = (3, 51, 3)  # before, a WAL could be corrupted in rare cases (sqlite.org/wal.html)
FILES_WANTED, FILES_NEEDED = 1024, 64
LITTLE_SPACE, SOME_SPACE = 1e9, 10e9
FEW_DAYS = 7.0
COMMITS, COMMIT_BYTES = 40, 32_768
SLOW_COMMIT_S = 0.05
STREAM_BYTES = 32 << 20
MEMORY_SHARE = 0.25


def python() -> CheckResult:
    """Check the version of Python."""
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info < OLDEST_PYTHON:
        return CheckResult("python", "fail", found, "install Python 3.11 or newer")
    return CheckResult("python", "ok", found)


def installation() -> CheckResult:
    """Look for a second distribution that owns the package: removing either takes files of the other."""
    try:
        distribution(FORMER_NAME)
    except PackageNotFoundError:
        return CheckResult("installation", "ok", f"collector {__version__}")
    advice = f"pip uninstall {FORMER_NAME} market-collector, then install this folder again"
    return CheckResult("installation", "warn", f"{FORMER_NAME} is installed, by name another project", advice)


def sqlite() -> CheckResult:
    """Check the version of SQLite."""
    from collector.database import sqlite_version  # noqa: PLC0415

    version = sqlite_version()
    if tuple(map(int, version.split("."))) < SOUND_SQLITE:
        sound = ".".join(map(str, SOUND_SQLITE))
        advice = f"pip install pysqlite3 (where it has a wheel): before {sound} a WAL can break in rare cases"
        return CheckResult("sqlite", "warn", version, advice)
    return CheckResult("sqlite", "ok", version)


def open_files() -> CheckResult:
    """Check how many files and sockets this process may open."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = "no limit" if limit == resource.RLIM_INFINITY else f"{limit} may be open"
    if limit == resource.RLIM_INFINITY or limit >= FILES_WANTED:
        return CheckResult("open files", "ok", found)
    level: Level = "warn" if limit >= FILES_NEEDED else "fail"
    return CheckResult(
        "open files", level, found, f"ulimit -n {FILES_WANTED}, or LimitNOFILE= of the service"
    )


def memory(buffer_rows: int, levels: int) -> CheckResult:
    """Compare a full buffer's memory with what is free."""
    most = buffer_rows * (4 * levels * 8 + 48)
    free = _free_memory()
    if free is None:
        return CheckResult("memory", "skip", "this system does not tell how much is free")
    found = f"{size(free)} free; a full buffer takes {size(most)}"
    if most > free * MEMORY_SHARE:
        return CheckResult(
            "memory", "warn", found, "lower buffer.max_rows: the rest of the machine needs some"
        )
    return CheckResult("memory", "ok", found)


def disk(folder: Path, bytes_a_day: float = 0.0, held_bytes: float = 0.0) -> Iterator[CheckResult]:
    """Check the space, how long it lasts, and the speed of the disk of the database, or of the spool.

    `held_bytes` are those that the database comes to before it grows no more.
    """
    try:
        free = shutil.disk_usage(folder).free
        commit_s, bytes_a_s = _speed(folder)
    except OSError as error:
        advice = "choose another folder with --db, or make this one writable"
        yield CheckResult("disk", "fail", f"{folder}: {error.strerror}", advice)
        return
    found = f"{size(free)} free in {folder}"
    days = max(free - held_bytes, 0.0) / bytes_a_day if bytes_a_day else None
    if days is not None:
        found += f", full in {days:,.1f} days at the planned rate"
    if free < SOME_SPACE or (days is not None and days < FEW_DAYS):
        level: Level = "fail" if free < LITTLE_SPACE else "warn"
        yield CheckResult(
            "disk space",
            level,
            found,
            "a larger disk, sampling, retention.hot_hours; python run.py plan says which stream takes what",
        )
    else:
        yield CheckResult("disk space", "ok", found)
    found = f"{commit_s * 1000:.2f} ms a commit, {size(bytes_a_s)}/s"
    if commit_s > SLOW_COMMIT_S:
        advice = "every commit waits for this disk: a local SSD, or a longer writer.interval_s"
        yield CheckResult("disk speed", "warn", found, advice)
    else:
        yield CheckResult("disk speed", "ok", found)


def _speed(folder: Path) -> tuple[float, float]:
    """Return the median time of a small durable write, and the bytes a second of a large one."""
    with tempfile.TemporaryFile(dir=folder, prefix=".doctor-") as file:
        took_s = []
        for _ in range(COMMITS):
            began_s = time.monotonic()
            os.pwrite(file.fileno(), os.urandom(COMMIT_BYTES), 0)
            os.fsync(file.fileno())
            took_s.append(time.monotonic() - began_s)
        block = os.urandom(1 << 20)
        began_s = time.monotonic()
        for _ in range(STREAM_BYTES // len(block)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        return sorted(took_s)[COMMITS // 2], STREAM_BYTES / (time.monotonic() - began_s)


def _free_memory() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return found[0] if found else None
