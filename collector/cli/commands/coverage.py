"""Define the command `coverage`."""

from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from collector.cli.commands.coverage_sums import (
    DAY_NS,
    FILLED,
    FILLED_PLAIN,
    LIVE,
    Row,
    bar,
    days,
    spans,
    streams,
)
from collector.cli.options import DEFAULT_DATABASE, DEFAULT_TABLE, AsJson, DatabaseUrl, Exchange, TableName
from collector.cli.plain import SECONDS_NS, can_print, counted, instant, lasting, precise_instant
from collector.cli.table import Cell, Column, print_table, print_text

if TYPE_CHECKING:
    import pandas as pd

NAMES = (Column("exchange", "name"), Column("symbol", "name"), Column("channel", "name"))
TIMES = ("start", "end", "alive_until", "duration")
OPEN = "open"  # in place of why a segment ended


def coverage(
    *,
    db: DatabaseUrl = DEFAULT_DATABASE,
    table: TableName = DEFAULT_TABLE,
    exchange: Exchange = None,
    symbol: Annotated[str | None, typer.Option("--symbol", help="Only this symbol.")] = None,
    channel: Annotated[str | None, typer.Option("--channel", help="Only this channel.")] = None,
    by_stream: Annotated[
        bool, typer.Option("--by-stream", help="A line for each stream; without --json the default.")
    ] = False,
    by_day: Annotated[bool, typer.Option("--by-day", help="A line for each stream and day, UTC.")] = False,
    segments_: Annotated[
        bool, typer.Option("--segments", help="Each segment; with --json the default.")
    ] = False,
    holes: Annotated[bool, typer.Option("--holes", "--gaps-only", help="Each hole, and its cause.")] = False,
    as_json: AsJson = False,
) -> int:
    """Show how much of each stream is verified, where the holes are, why segments ended.

    What came live and what REST filled afterwards are told apart.

    Example: python run.py coverage --db ./demo.db --holes
    """
    from collector.query import coverage as covered  # noqa: PLC0415
    from collector.query import holes as holes_of  # noqa: PLC0415

    if by_stream + by_day + segments_ + holes > 1:
        raise typer.BadParameter("choose one of --by-stream, --by-day, --segments and --holes")
    frame = covered(db, symbol, exchange=exchange, channel=channel, table_name=table)
    if holes:
        _print_json(holes_of(frame)) if as_json else _print_holes(_records(holes_of(frame)))
    elif by_day:
        found = list(days(_records(frame)))
        _print_rows(found) if as_json else _print_days(found)
    elif segments_ or (as_json and not by_stream):
        _print_json(frame) if as_json else _print_segments(_records(frame))
    else:
        rows, between = _records(frame), _records(holes_of(frame))
        _print_rows(list(streams(rows, between))) if as_json else _print_streams(rows, between)
    return 0


def _records(frame: "pd.DataFrame") -> list[Row]:
    """Return the rows of a frame, None where a value is missing."""
    rows: list[Any] = frame.astype(object).where(frame.notna(), None).to_dict(orient="records")
    return rows


def _print_json(frame: "pd.DataFrame") -> None:
    """Print the rows with their instants in nanoseconds, which stand in the frame beside them as times."""
    print(frame.drop(columns=[name for name in TIMES if name in frame]).to_json(orient="records"))


def _print_rows(rows: Sequence[Row]) -> None:
    import json  # noqa: PLC0415

    print(json.dumps(rows))


def _print_streams(rows: Sequence[Row], holes: Sequence[Row]) -> None:
    """Print a line for each stream, with a bar over the time from the first to the last of them all."""
    if not rows:
        print("nothing is covered yet")
        return
    first, last = min(row["start_ns"] for row in rows), max(row["alive_until_ns"] for row in rows)
    groups = [list(group) for _, group in groupby(rows, key=_names)]
    texts: list[list[Cell]] = []
    for one, group in zip(streams(rows, holes), groups, strict=True):
        own, live = spans(group), spans(row for row in group if row["how"] == LIVE)
        texts.append(
            [
                *_names(one),
                f"{one['covered']:.3%}",
                f"{one['holes']:,}",
                lasting(one["longest_hole_s"]) if one["holes"] else "",
                lasting((one["last_ns"] - one["first_ns"]) / SECONDS_NS),
                one["end_cause"] or OPEN,
                f"{one['segments']:,}",
                f"{one['rows']:,}",
                lasting(one["filled_s"]) if one["filled_s"] else "",
                instant(one["first_ns"]),
                instant(one["last_ns"]),
                partial(bar, own, first, last, live=live),
            ]
        )
    measures = ("segments", "rows", "filled", "first", "last")
    print_table(
        [
            *(*NAMES, Column("covered"), Column("holes"), Column("longest"), Column("span")),
            Column("ended", "text"),
            *(Column(name, wide=True) for name in measures),
            Column("", "drawn"),
        ],
        texts,
    )
    print_text(f"{instant(first)} to {instant(last)}, {lasting((last - first) / SECONDS_NS)}")
    if any(row["how"] != LIVE for row in rows):
        mark = FILLED if can_print(FILLED) else FILLED_PLAIN
        print_text(f"{mark}: covered, more than half of it filled afterwards")
    if holes:
        print_text(f"{counted(len(holes), 'hole')}: --holes lists them, --segments what is between")


def _print_segments(rows: Sequence[Row]) -> None:
    if not rows:
        print("nothing is covered yet")
        return
    texts = [
        [
            *_names(row),
            precise_instant(row["start_ns"]),
            lasting((row["alive_until_ns"] - row["start_ns"]) / SECONDS_NS),
            row["how"],
            f"{row['rows']:,}",
            row["verification"],
            row["end_cause"] or OPEN,
            precise_instant(row["alive_until_ns"]),
            row["detail"] or "",
        ]
        for row in rows
    ]
    print_table(
        [
            *(*NAMES, Column("from", "text"), Column("lasted"), Column("how", "text"), Column("rows")),
            *(Column("proof", "text"), Column("ended", "text"), Column("until", "text", wide=True)),
            Column("detail", "note"),
        ],
        texts,
    )


def _print_holes(rows: Sequence[Row]) -> None:
    if not rows:
        print("no holes between segments")
        return
    texts = [
        [
            *_names(row),
            precise_instant(row["from_ns"]),
            lasting((row["until_ns"] - row["from_ns"]) / SECONDS_NS),
            row["cause"] or OPEN,
            precise_instant(row["until_ns"]),
            row["detail"] or "",
        ]
        for row in rows
    ]
    print_table(
        [
            *(*NAMES, Column("from", "text"), Column("lasted"), Column("after", "text")),
            *(Column("until", "text", wide=True), Column("detail", "note")),
        ],
        texts,
    )


def _print_days(rows: Sequence[Row]) -> None:
    if not rows:
        print("nothing is covered yet")
        return
    texts = [
        [
            row["day"],
            *_names(row),
            lasting(row["covered_s"]),
            f"{row['covered_s'] / (DAY_NS / SECONDS_NS):.3%}",
            lasting(row["filled_s"]) if row["filled_s"] else "",
            f"{row['segments']:,}",
        ]
        for row in rows
    ]
    measures = ("covered", "of the day", "filled", "segments")
    print_table([Column("day", "text"), *NAMES, *map(Column, measures)], texts)


def _names(row: Row) -> list[str]:
    return [row["exchange"], row["symbol"], row["channel"]]
