import re
from pathlib import Path

from collector.database.tables import DEFAULT_TABLE_NAME, make_tables

PAGE = Path(__file__).parents[2] / "docs" / "schema.md"


def columns_in(cell: str) -> list[str]:
    """Return the columns that a cell names, one by one or as `a_1` to `a_10`."""
    if series := re.fullmatch(r"`(\w+_)1` to `\1(\d+)`", cell):
        return [f"{series[1]}{number}" for number in range(1, int(series[2]) + 1)]
    return re.findall(r"`(\w+)`", cell)


def test_the_page_lists_every_table_and_column_and_no_other() -> None:
    documented = {}
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        name, _, text = section.partition("\n")
        cells = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
        if cells:
            documented[name] = {column for cell in cells for column in columns_in(cell)}
    metadata = make_tables(DEFAULT_TABLE_NAME).hot.metadata
    assert documented == {table.name: set(table.columns.keys()) for table in metadata.sorted_tables}
