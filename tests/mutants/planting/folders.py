"""Say which tests belong to which module: the one place that knows."""

from collections.abc import Iterator
from pathlib import Path

PACKAGE = "collector"
TESTS = "tests"
LOOSE = "loose"  # the name under which the package's own files are chosen and weighed

# Modules whose tests stand in a folder of another name: tables are held against what the migrations make, and
# what writes to a database is needed to see how its files and its refusals are dealt with.
ELSEWHERE = {
    "collector/database/bookkeeping_tables.py": "migrations",
    "collector/database/market_tables.py": "migrations",
    "collector/database/tables.py": "migrations",
    "collector/database/migrate.py": "migrations",
    "collector/database/migration_steps.py": "migrations",
    "collector/database/table_check.py": "migrations",
    "collector/database/interrupt.py": "sinks",
    "collector/database/faults.py": "sinks",
    "collector/database/sqlite_file.py": "sinks",
}
# Programs that stand beside the package's work, and what only other folders' tests are made of.
NOT_PLANTED = {"simulator"}


def folder_of(module: str) -> str:
    """Name a module's folder, by which it is chosen: `sinks`, or `loose` for a file of the package itself."""
    parts = Path(module).parts
    return parts[1] if len(parts) > 2 else LOOSE  # package, folder, file


def folder_of_tests(module: str) -> str:
    """Name the folder of tests that belongs to a module, or `loose`."""
    return ELSEWHERE.get(module, folder_of(module))


def modules(root: Path) -> Iterator[str]:
    """List what may be planted in, always in the same order."""
    for path in sorted((root / PACKAGE).rglob("*.py")):
        module = path.relative_to(root).as_posix()
        if folder_of(module) not in NOT_PLANTED and "_bundled" not in path.parts:
            yield module


def files_of_tests(root: Path, tests: str) -> list[str]:
    """List the files of a folder of tests."""
    found = (root / TESTS).glob("test_*.py") if tests == LOOSE else (root / TESTS / tests).rglob("test_*.py")
    return sorted(path.relative_to(root).as_posix() for path in found)
