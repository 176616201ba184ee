"""Define the command `plot`."""

from pathlib import Path
from typing import Annotated

import typer

from collector.cli.options import DEFAULT_DATABASE, DEFAULT_TABLE, DatabaseUrl, TableName
from collector.cli.table import print_text


def plot(
    symbol: Annotated[str, typer.Argument(help="Which symbol, such as BTC/USDT:USDT.")],
    *,
    db: DatabaseUrl = DEFAULT_DATABASE,
    table: TableName = DEFAULT_TABLE,
    exchange: Annotated[str | None, typer.Option("--exchange", help="Of which exchange.")] = None,
    depth: Annotated[int | None, typer.Option("--depth", help="Of which depth.")] = None,
    start: Annotated[str | None, typer.Option("--start", help="From this instant on, UTC.")] = None,
    end: Annotated[str | None, typer.Option("--end", help="Until this instant, UTC.")] = None,
    every: Annotated[
        str | None,
        typer.Option("--every", help="One state so often, such as 1s; left out: about a thousand."),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="The picture to write, such as a.png; else a window opens.")
    ] = None,
) -> int:
    """Draw price with microprice, spread, imbalance and coverage, one state every so often.

    Example: python run.py plot BTC/USDT:USDT --db ./demo.db --to btc.png
    """
    from collector.errors import UserError  # noqa: PLC0415
    from collector.query import has_windows  # noqa: PLC0415
    from collector.query import plot as draw  # noqa: PLC0415

    if to is None and not has_windows():
        raise UserError("there is no display to open a window on; --to FILE writes a picture: --to btc.png")
    figure = draw(
        db, symbol, exchange=exchange, depth=depth, start=start, end=end, every=every, to=to, table_name=table
    )
    if to is not None:
        of, _, _ = figure.get_suptitle().partition("\n")
        print_text(f"drawn: {to}, {of}")
    return 0
