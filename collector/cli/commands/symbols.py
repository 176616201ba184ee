"""Define the command `symbols`."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from collector.cli.options import DEFAULT_DATABASE, DEFAULT_TABLE, AsJson, DatabaseUrl, Exchange, TableName
from collector.cli.plain import instant, lasting
from collector.cli.table import Column, print_table, print_text

if TYPE_CHECKING:
    import pandas as pd

TABLES = {
    "features": "load_features",
    "levels": "load_levels",
    "trades": "load_trades",
    "ohlcv": "load_ohlcv",
}
OF = ("depth", "kind", "interval")  # what tells the rows of a table apart, one of them in each table


def symbols(
    *,
    db: DatabaseUrl = DEFAULT_DATABASE,
    table: TableName = DEFAULT_TABLE,
    exchange: Exchange = None,
    symbol: Annotated[str | None, typer.Option("--symbol", help="Only this symbol.")] = None,
    channel: Annotated[
        str | None, typer.Option("--channel", help="Only what this channel brought, such as book.50.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """List what is stored, as loaders and commands are asked for it: markets, depths, kinds, rows, span.

    Example: python run.py symbols --db ./demo.db --exchange bybit
    """
    from collector.query import symbols as stored  # noqa: PLC0415

    rows = _records(_chosen(stored(db, table_name=table), symbol, exchange, channel))
    if as_json:
        print(json.dumps(rows))
        return 0
    if not rows:
        print("nothing is stored yet")
        return 0
    _print(rows)
    return 0


def _chosen(
    frame: "pd.DataFrame", symbol: str | None, exchange: str | None, channel: str | None
) -> "pd.DataFrame":
    """Return the rows that are meant; raise QueryError for a name of which nothing is stored."""
    from collector.query import filters_named, value_named  # noqa: PLC0415

    if not len(frame):
        return frame
    markets = set(zip(frame["exchange"], frame["symbol"], strict=True))
    symbol, exchange = filters_named(markets, symbol, exchange, "the database")
    for name, value in (("symbol", symbol), ("exchange", exchange)):
        frame = frame if value is None else frame[frame[name] == value]
    if channel is None:
        return frame
    brought = frame["channel"].map(lambda text: (text or "").split(", "))
    known = sorted({one for several in brought for one in several} - {""})
    title = " of ".join(repr(one) for one in (symbol, exchange) if one) or "any market"
    named = value_named("channel", channel, known, title)
    return frame[brought.map(lambda several: named in several)]


def _records(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """Return the rows as plain values: None where one is missing, instants in nanoseconds since 1970."""
    times = {f"{name}_ns": frame[name].astype("int64") for name in ("first", "last")}
    plain = frame.drop(columns=["first", "last"]).assign(**times)
    rows: list[Any] = plain.astype(object).where(plain.notna(), None).to_dict(orient="records")
    return rows


def _print(rows: Sequence[dict[str, Any]]) -> None:
    texts = [
        [
            *(one["exchange"], one["symbol"], one["table"]),
            *(" ".join(f"{name} {one[name]}" for name in OF if one[name] is not None), f"{one['rows']:,}"),
            lasting((one["last_ns"] - one["first_ns"]) / 1e9),
            "" if one["covered"] is None else f"{one['covered']:.3%}",
            one["channel"] or "",
            one["data_source"] or "",
            *(instant(one["first_ns"]), instant(one["last_ns"])),
        ]
        for one in rows
    ]
    columns = [
        *(Column(name, "name") for name in ("exchange", "symbol")),
        *(Column("rows of", "text"), Column("which", "text"), Column("rows"), Column("span")),
        Column("covered"),
        *(Column(name, "text", wide=True) for name in ("channel", "source", "first", "last")),
    ]
    print_table(columns, texts)
    loaders = [loader for name, loader in TABLES.items() if any(one["table"] == name for one in rows)]
    print_text(f"{', '.join(loaders)} take these names; so do the options of plot, export, coverage and tail")
