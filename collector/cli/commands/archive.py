"""Define the command `archive`."""

from pathlib import Path
from typing import Annotated

import typer

from collector.cli.options import DEFAULT_DATABASE, DEFAULT_TABLE, DatabaseUrl, TableName


def archive(
    *,
    days: Annotated[float, typer.Option("--days", min=0, help="Rows of older days go to files.")],
    to: Annotated[Path, typer.Option("--to", help="The folder of the files.")] = Path("./archive"),
    db: DatabaseUrl = DEFAULT_DATABASE,
    table: TableName = DEFAULT_TABLE,
) -> int:
    """Move old rows to Parquet files, verified before anything is deleted. For a database nobody writes now.

    A running collector does it by itself: see retention in docs/configuration.md.

    Example: python run.py archive --db ./trading_bot_live.db --days 30 --to ./archive
    """
    from collector.retention.move import Retention, archive_slices  # noqa: PLC0415
    from collector.sinks.sql.sink import SqlSink  # noqa: PLC0415

    sink = SqlSink(db, table)
    sink.open()
    try:
        gone = sum(sink.maintain(one) for one in archive_slices(db, table, Retention(days, to)))
    finally:
        sink.close()
    print(f"{gone:,} rows moved to {to}")
    return 0
