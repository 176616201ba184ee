"""What docs/features.md says of the features is what they are."""

import doctest
import re
from pathlib import Path

from collector.database.tables import ROW_COLUMNS, tables
from collector.features.options import VERSIONS, Mode

PAGE = Path(__file__).resolve().parents[2] / "docs" / "features.md"
NAMES_A_ROW = {"timestamp", "symbol", "exchange", "sequence", "exchange_timestamp", "data_source"} | {
    *("received_at_ns", "segment_id", "depth", "data_quality_score", "id", "created_at")
}


def section(title: str) -> str:
    return PAGE.read_text(encoding="utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def named(title: str) -> set[str]:
    """Return the columns that a section's table names first; `a_1` .. `a_10` and `a_*` are ten."""
    found: set[str] = set()
    for line in section(title).splitlines():
        cell = line.partition("|")[2].partition("|")[0]
        for name in re.findall(r"`(\w+\*?)`", cell):
            stem = re.sub(r"_1$|_\*$", "", name)
            of_ten = ".." in cell and (name.endswith("*") or f"`{stem}_10`" in cell)
            found |= {f"{stem}_{level}" for level in range(1, 11)} if of_ten else {name}
    return found


def test_the_examples_are_right() -> None:
    assert doctest.testfile(str(PAGE), module_relative=False, raise_on_error=True).attempted > 10


def test_every_column_is_told() -> None:
    assert named("practical") == set(ROW_COLUMNS) - NAMES_A_ROW
    assert named("deep") == {column.name for column in tables("hot").levels.columns} - NAMES_A_ROW


def test_versions_and_modes_are_those_of_the_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert dict(re.findall(r"\| `(\w+)`, version (\d+) \|", text)) == {
        name: str(version) for name, version in VERSIONS.items()
    }
    modes = re.findall(r"^\| `(\w+)` \|", section("Sampling"), re.MULTILINE)
    assert tuple(modes) == Mode.__args__  # type: ignore[attr-defined]
