"""Write the file of one day."""

from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from collector.export.day_rows import LEFT_OUT, day_tables, schema
from collector.export.days import Day
from collector.export.files import whole_file
from collector.export.formats import FORMATS
from collector.query.archived import Part
from collector.query.streams import MixedRowsError


def write_day(
    connection: sa.Connection,
    table: sa.Table,
    day: Day,
    path: Path,
    form: str,
    left_out: tuple[str, ...] = LEFT_OUT,
    parts: tuple[Part, ...] = (),
) -> None:
    """Write the day's rows, those in the table and those in `parts`; the file appears whole."""
    columns = schema(table, left_out)
    with whole_file(path) as unfinished:
        try:
            with closing(day_tables(connection, table, day, left_out, parts)) as rows:
                FORMATS[form](unfinished, columns, rows)
        except MixedRowsError:
            with closing(day_tables(connection, table, day, left_out, parts, are_alike=False)) as rows:
                FORMATS[form](unfinished, columns, rows)
