"""Define the command `report`."""

import json
import time
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Annotated, Any

import typer

from collector.cli.options import DEFAULT_DATABASE, DEFAULT_TABLE, AsJson, DatabaseUrl, TableName
from collector.cli.plain import size, span
from collector.cli.table import Column, print_table

DAY_NS = 86_400 * 1_000_000_000
MOST_DAYS = 366
Row = Mapping[str, Any]


def report(
    *,
    db: DatabaseUrl = DEFAULT_DATABASE,
    table: TableName = DEFAULT_TABLE,
    day: Annotated[str | None, typer.Option("--day", help="This day of UTC, like 2026-01-31.")] = None,
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=MOST_DAYS, help="So many days up to yesterday.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Show how good the days of each stream were: rows, what was covered and what not and why, how late.

    Example: python run.py report --db ./demo.db --days 7

    A running collector keeps the report of each finished day in the database; the last of them is shown.
    A day without one is computed now, today up to now.
    """
    from collector.query import quality  # noqa: PLC0415

    rows = quality(db, _wanted(day, days), table_name=table)
    if as_json:
        print(json.dumps([{**one, "holes_by_cause": json.loads(one["holes_by_cause"])} for one in rows]))
        return 0
    for number, (shown, group) in enumerate(groupby(rows, key=lambda one: (one["day"], one["kept"]))):
        if number:
            print()
        _print_day(*shown, list(group))
    if not rows:
        print(f"nothing was collected {'that day' if days is None else 'in those days'}")
    return 0


def _wanted(day: str | None, days: int | None) -> list[str] | None:
    """Return the days asked for, the oldest first; None: the last one that there is."""
    import datetime as dt  # noqa: PLC0415

    from collector.query import day_text  # noqa: PLC0415

    if day is not None and days is not None:
        raise typer.BadParameter("choose one of --day and --days")
    if day is not None:
        try:
            return [dt.date.fromisoformat(day).isoformat()]
        except ValueError:
            raise typer.BadParameter(f"{day!r} is no day; expected one like 2026-01-31") from None
    if days is None:
        return None
    now_ns = time.time_ns()
    return [day_text(now_ns - number * DAY_NS) for number in range(days, 0, -1)]


def _print_day(day: str, kept: bool, rows: Sequence[Row]) -> None:
    print(f"{day} UTC{'' if kept else ', computed now'}")
    measures = ("rows", "size", "covered", "holes", "lag p95")
    more = ("p50", "p99", "missing", "filled", "resyncs", "compared", "disagreed")
    columns = [
        *(Column(name, "name") for name in ("exchange", "symbol", "channel")),
        *(Column(name) for name in measures),
        *(Column(name, wide=True) for name in more),
    ]
    texts = [[*_cells(one), *_more(one), _causes(one)] for one in rows]
    print_table([*columns, Column("causes", "note")], texts)


def _cells(row: Row) -> list[str]:
    return [
        *(row["exchange"], row["symbol"], row["channel"]),
        "?" if row["rows"] is None else f"{row['rows']:,}",
        "?" if row["bytes"] is None else size(row["bytes"]),
        _share(row["covered"]),
        f"{row['holes']:,}",
        _milliseconds(row["lag_p95_ms"]),
    ]


def _more(row: Row) -> list[str]:
    return [
        _milliseconds(row["lag_p50_ms"]),
        _milliseconds(row["lag_p99_ms"]),
        span(row["holes_s"]) if row["holes"] else "",
        _share(row["filled"]) if row["filled"] else "",
        f"{row['resyncs']:,}",
        f"{row['witnessed']:,}",
        f"{row['disagreed']:,}",
    ]


def _causes(row: Row) -> str:
    causes = json.loads(row["holes_by_cause"])
    return ", ".join(
        f"{cause} {one['holes']:,.0f} ({span(one['seconds'])})" for cause, one in sorted(causes.items())
    )


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.3%}"


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f} ms"
