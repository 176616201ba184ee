"""What `--json` prints has the keys that docs/commands.md tells, command by command."""

import json
import re
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from collector.cli.program import app
from collector.database import make_tables

sys.path.insert(0, str(Path(__file__).parent))
from program import ROOT, Run

PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
_, _, SECTION = PAGE.partition("## What `--json` prints")
TOLD = re.findall(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]*) \|$", SECTION.partition("\n## ")[0], re.MULTILINE)
# Their keys are told on other pages, or are the benchmark's.
OTHERS = {"tail KIND", "config show", "bench"}
WITHOUT_DATABASE = {"config check", "version"}
WITH_MORE = {"doctor": ["--offline"], "export": ["out", "--jobs", "1"]}
KINDS = {"book": "hot", "trades": "trades", "ohlcv": "ohlcv", "events": "events"}


def keys_told(text: str) -> set[str]:
    """Return the names of a cell, without those in brackets, which are of what is within."""
    return set(re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", text)))


@pytest.mark.parametrize(("command", "kind", "keys"), [one for one in TOLD if one[0] not in OTHERS])
def test_the_keys_are_those_of_the_page(
    run: Run, sound_market: Path, command: str, kind: str, keys: str
) -> None:
    if command == "export":
        pytest.importorskip("pyarrow")
    database = [] if command in WITHOUT_DATABASE else ["--db", str(sound_market)]
    words = [*command.split(), *WITH_MORE.get(command, [])]
    if "--holes" in words:
        database = ["--db", str(_with_a_hole(sound_market))]
    found = json.loads(run(*words, *database, "--json").stdout)
    assert isinstance(found, list) == kind.startswith("a list")
    rows = found if isinstance(found, list) else [found]
    assert rows
    assert all(set(row) == keys_told(keys) for row in rows), sorted(set(rows[0]) ^ keys_told(keys))


def _with_a_hole(database: Path) -> Path:
    """Return a copy of a database, in which one more segment follows the last of a stream."""
    copied = Path(shutil.copy(database, Path.cwd() / "cut.db"))
    with closing(sqlite3.connect(copied)) as connection, connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(collector_coverage)")]
        others = ", ".join(name for name in names if name not in ("segment_id", "start_ns", "alive_until_ns"))
        connection.execute(
            f"INSERT INTO collector_coverage (segment_id, start_ns, alive_until_ns, {others}) "
            f"SELECT segment_id + 1, alive_until_ns + 5, alive_until_ns + 9, {others} "
            "FROM collector_coverage ORDER BY segment_id DESC LIMIT 1"
        )
    return copied


def test_a_row_of_tail_has_the_columns_of_its_table(run: Run, sound_market: Path) -> None:
    tables = make_tables("l2_training_data_practical")
    for kind, table in KINDS.items():
        done = run("tail", kind, "--no-follow", "-n", "1", "--db", str(sound_market), "--json")
        (row,) = [json.loads(line) for line in done.stdout.splitlines()]
        assert set(row) == {column.name for column in getattr(tables, table).columns}


def test_each_command_with_json_is_on_the_page() -> None:
    told = {command.split()[0] for command, _, _ in TOLD}
    having = {
        str(one.name or getattr(one.callback, "__name__", ""))
        for one in app.registered_commands
        if "as_json" in getattr(one.callback, "__annotations__", {})
    }
    assert having <= told
    assert told - having == {"jobs", "config"}  # groups: their commands have it
