"""Define the command `archive`."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from collector.cli.options import DEFAULT_DATABASE, DEFAULT_TABLE, DatabaseUrl, TableName
from collector.cli.plain import counted
from collector.cli.table import print_text


def archive(
    *,
    days: Annotated[
        float | None, typer.Option("--days", min=0, help="Rows of older days go to files.")
    ] = None,
    hot_hours: Annotated[
        int | None, typer.Option("--hot-hours", min=0, help="Or: rows of all but so many closed hours.")
    ] = None,
    to: Annotated[Path, typer.Option("--to", help="The folder of the files.")] = Path("./archive"),
    db: DatabaseUrl = DEFAULT_DATABASE,
    table: TableName = DEFAULT_TABLE,
) -> int:
    """Move old rows to Parquet files, verified before anything is deleted. At rest: nobody else archives.

    A running collector does it by itself (see retention in docs/configuration.md): an SQLite file that one
    writes is refused, and so is a server's database while another process moves rows of it.

    Example: python run.py archive --db ./trading_bot_live.db --days 30 --to ./archive
    """
    from collector.errors import DatabaseInUse, UserError  # noqa: PLC0415
    from collector.retention import Retention, archive_slices  # noqa: PLC0415
    from collector.sinks import SqlSink  # noqa: PLC0415

    if (days is None) == (hot_hours is None):
        raise UserError("expected one of --days and --hot-hours, which say what stays in the database")
    retention = Retention(days, to.expanduser(), hot_hours=hot_hours)
    sink = SqlSink(db, table)
    try:
        sink.open()
    except DatabaseInUse as error:
        raise DatabaseInUse(
            f"{error}; or set retention.days for it (or hot_hours), and it moves old rows itself"
        ) from None
    try:
        with closing(archive_slices(db, table, retention)) as slices:
            gone = sum(map(sink.maintain, slices))
    finally:
        sink.close()
    print_text(f"{counted(gone, 'row')} moved to {to}")
    return 0
