"""Define the command `plot`."""

from pathlib import Path
from typing import Annotated

import typer

from collector.cli.options import DEFAULT_DATABASE, DEFAULT_TABLE, DatabaseUrl, TableName


def plot(
    symbol: Annotated[str, typer.Argument(help="Which symbol, such as BTC/USDT:USDT.")],
    *,
    db: DatabaseUrl = DEFAULT_DATABASE,
    table: TableName = DEFAULT_TABLE,
    exchange: Annotated[str | None, typer.Option("--exchange", help="Of which exchange.")] = None,
    depth: Annotated[int | None, typer.Option("--depth", help="Of which depth.")] = None,
    start: Annotated[str | None, typer.Option("--start", help="From this instant on, UTC.")] = None,
    end: Annotated[str | None, typer.Option("--end", help="Until this instant, UTC.")] = None,
    every: Annotated[str | None, typer.Option("--every", help="One state so often, such as 1s.")] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="The picture to write, such as a.png; else a window opens.")
    ] = None,
) -> int:
    """Draw price with microprice, spread, imbalance and coverage.

    Example: python run.py plot BTC/USDT:USDT --db ./demo.db --to btc.png
    """
    from collector.query.plot import plot as draw  # noqa: PLC0415

    draw(
        db, symbol, exchange=exchange, depth=depth, start=start, end=end, every=every, to=to, table_name=table
    )
    if to is not None:
        print(f"drawn: {to}")
    return 0
