"""Define the command `export`."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from collector.cli.options import DEFAULT_DATABASE, DEFAULT_TABLE, AsJson, DatabaseUrl, TableName
from collector.cli.table import print_text

if TYPE_CHECKING:
    from collector.query import Engine


def export(
    folder: Annotated[Path, typer.Argument(help="Where to write.")],
    *,
    db: DatabaseUrl = DEFAULT_DATABASE,
    table: TableName = DEFAULT_TABLE,
    form: Annotated[str, typer.Option("--format", help="parquet, csv or hftbacktest.")] = "parquet",
    kinds: Annotated[
        str, typer.Option("--kinds", help="What to write, with commas between.")
    ] = "features,levels,trades,ohlcv,ohlcv_corrections",
    symbol: Annotated[str | None, typer.Option("--symbol", help="Only this symbol.")] = None,
    exchange: Annotated[str | None, typer.Option("--exchange", help="Only this exchange.")] = None,
    start: Annotated[str | None, typer.Option("--start", help="From this instant on, UTC.")] = None,
    end: Annotated[str | None, typer.Option("--end", help="Until this instant, UTC.")] = None,
    depth: Annotated[int | None, typer.Option("--depth", help="Books of this depth only.")] = None,
    every: Annotated[
        str | None,
        typer.Option("--every", help="States so often, such as 1s, in place of the rows of features."),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Processes that read at a time; default: one a core.")
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", help="What reads: python, arrow (a child process), or auto.")
    ] = "auto",
    as_json: AsJson = False,
) -> int:
    """Write what is stored as files, a day of a symbol each, with coverage and a card beside them.

    What is there already and has not changed is left alone: an export that was interrupted goes on.

    Example: python run.py export ./data --db ./demo.db --symbol BTC/USDT:USDT --start 2026-01-31
    """
    from collector.cli.plain import counted, progress  # noqa: PLC0415
    from collector.export import export as write  # noqa: PLC0415

    with progress("files", shown=not as_json) as on_progress:
        done = write(
            db,
            folder,
            form=form,
            kinds=kinds.split(","),
            symbol=symbol,
            exchange=exchange,
            start=start,
            end=end,
            depth=depth,
            every=every,
            engine=cast("Engine", engine),
            jobs=jobs or os.cpu_count() or 1,
            on_progress=on_progress,
            table_name=table,
        )
    if as_json:
        summary = {
            "folder": str(done.folder),
            "files": done.files,
            "written": done.written,
            "rows": done.rows,
        }
        print(json.dumps(summary))
    else:
        left = done.files - done.written
        written = f"{counted(done.rows, 'row')} in {counted(done.written, 'file')}"
        print_text(f"{written} written to {done.folder}, {left:,} unchanged")
    return 0
