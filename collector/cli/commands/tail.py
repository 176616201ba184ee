"""Define the command `tail`."""

import json
import sys
import time
from contextlib import closing
from typing import Annotated

import typer

from collector.cli.commands.tail_rows import AT_ONCE, RowsAsTheyCome, batched
from collector.cli.options import (
    DEFAULT_DATABASE,
    DEFAULT_TABLE,
    AsJson,
    DatabaseUrl,
    Exchange,
    Seconds,
    TableName,
)
from collector.cli.running import set_by_interrupt
from collector.cli.table import width

LOOK_EVERY_S = 0.25


def tail(
    what: Annotated[
        str,
        typer.Argument(
            help="Which rows: book, levels, trades, ohlcv, ohlcv_corrections, rejected or events."
        ),
    ] = "book",
    *,
    db: DatabaseUrl = DEFAULT_DATABASE,
    table: TableName = DEFAULT_TABLE,
    exchange: Exchange = None,
    symbol: Annotated[str | None, typer.Option("--symbol", help="Only this symbol.")] = None,
    last: Annotated[
        int, typer.Option("--last", "-n", min=0, help="Begin with so many rows that are there.")
    ] = 10,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Go on with the rows that come.")
    ] = True,
    seconds: Seconds = None,
    as_json: AsJson = False,
) -> int:
    """Print rows as they come, until Ctrl-C: what a person looks at; --json has every column.

    Example: python run.py tail trades --db ./live.db --symbol BTC/USDT:USDT
    """
    from collector.query import Tail, Wanted  # noqa: PLC0415

    until_s = None if seconds is None else time.monotonic() + seconds
    reader = Tail(db, Wanted(what, exchange, symbol), last=last, table_name=table)
    table_of_rows = RowsAsTheyCome(what)
    with closing(reader), set_by_interrupt() as stopped:
        while True:
            for rows in batched(reader.more(), AT_ONCE):
                if as_json:
                    print(*(json.dumps(row, default=str) for row in rows), sep="\n")
                else:
                    print(*table_of_rows.lines(rows, width()), sep="\n")
                if stopped.wait(0):
                    return 0
            sys.stdout.flush()
            if not (follow or as_json or table_of_rows.has_begun):
                print(f"no row of {what} is stored of that")
            if not follow or (until_s is not None and time.monotonic() >= until_s):
                return 0
            if stopped.wait(LOOK_EVERY_S):  # another process writes: there is nothing else to wait on
                return 0
