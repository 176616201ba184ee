"""Define the command `coverage`."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Annotated, Any

import typer

from collector.cli.options import DEFAULT_DATABASE, DEFAULT_TABLE, AsJson, DatabaseUrl, Exchange, TableName
from collector.cli.plain import SECONDS_NS, can_print, print_table, width

DAY_NS = 86_400 * SECONDS_NS
LEAST_BAR = 10
ALL, MOST, SOME, NONE, FILLED = "█▓░·▞"
LIVE = "live"
Row = Mapping[str, Any]


def coverage(
    *,
    db: DatabaseUrl = DEFAULT_DATABASE,
    table: TableName = DEFAULT_TABLE,
    exchange: Exchange = None,
    symbol: Annotated[str | None, typer.Option("--symbol", help="Only this symbol.")] = None,
    channel: Annotated[str | None, typer.Option("--channel", help="Only this channel.")] = None,
    gaps_only: Annotated[bool, typer.Option("--gaps-only", help="Only the holes.")] = False,
    by_day: Annotated[bool, typer.Option("--by-day", help="A line for each stream and day, UTC.")] = False,
    as_json: AsJson = False,
) -> int:
    """Show which intervals of each stream are verified, why each ended, and where the holes are.

    What came live and what REST filled afterwards are told apart.

    Example: python run.py coverage --db ./demo.db --gaps-only
    """
    from collector.query import coverage as covered  # noqa: PLC0415
    from collector.query import gaps  # noqa: PLC0415

    if by_day and gaps_only:
        raise typer.BadParameter("choose one of --by-day and --gaps-only")
    read = gaps if gaps_only else covered
    frame = read(db, symbol, exchange=exchange, channel=channel, table_name=table)
    rows: list[Any] = frame.to_dict(orient="records")
    if by_day:
        rows = list(days(rows))
    if as_json:
        import pandas as pd  # noqa: PLC0415

        print(
            (pd.DataFrame(rows) if by_day else frame).to_json(
                orient="records", date_format="iso", date_unit="ns"
            )
        )
    elif by_day:
        _print_days(rows)
    elif gaps_only:
        _print_gaps(rows)
    else:
        _print_bars(rows)
        _print_segments(rows)
    return 0


def _print_segments(rows: Sequence[Row]) -> None:
    for row in rows:
        begin, end = row["start_ns"], row["alive_until_ns"]
        rest = f"{row['how']}, {row['rows']:,} rows, {row['verification']}"
        rest += f", ended: {row['end_cause'] or 'not yet'}"
        print(f"{_name(row)}  {_from_to(begin, end)}  {rest}{_detail(row)}")


def _print_gaps(rows: Sequence[Row]) -> None:
    for row in rows:
        print(
            f"{_name(row)}  {_from_to(row['from_ns'], row['until_ns'])}  after {row['cause']}{_detail(row)}"
        )
    if not rows:
        print("no holes between segments")


def _print_days(rows: Sequence[Row]) -> None:
    texts = [
        [
            *(str(row[name]) for name in ("day", "exchange", "symbol", "channel")),
            f"{row['covered_s']:,.1f}",
            f"{row['covered_s'] / (DAY_NS / SECONDS_NS):.3%}",
            f"{row['filled_s']:,.1f}",
            f"{row['segments']:,}",
        ]
        for row in rows
    ]
    print_table(
        ("day", "exchange", "symbol", "channel", "covered s", "of the day", "filled s", "segments"),
        texts,
        left=4,
    )


def _print_bars(rows: Sequence[Row]) -> None:
    """Draw a line for each stream over the time from the first to the last of them all."""
    if not rows:
        print("nothing is covered yet")
        return
    first, last = min(row["start_ns"] for row in rows), max(row["alive_until_ns"] for row in rows)
    streams = [(name, list(group)) for name, group in groupby(rows, key=_name)]
    widest = max(len(name) for name, _ in streams)
    cells = max(LEAST_BAR, width() - widest - 12)
    for name, group in streams:
        spans, live = _spans(group), _spans(row for row in group if row["how"] == LIVE)
        covered = sum(until - start for start, until in spans) / max(last - first, 1)
        print(f"{name:{widest}}  {bar(spans, first, last, cells, live)}  {covered:8.3%}")
    print(f"{'':{widest}}  {_from_to(first, last)}")
    if any(row["how"] != LIVE for row in rows):
        mark = FILLED if can_print(FILLED) else "="
        print(f"{'':{widest}}  {mark}: covered, more than half of it filled afterwards")
    print()


def _spans(rows: Iterable[Row]) -> list[tuple[int, int]]:
    from collector.query import union  # noqa: PLC0415

    return union((int(row["start_ns"]), int(row["alive_until_ns"])) for row in rows)


def bar(
    spans: Iterable[tuple[int, int]],
    first_ns: int,
    last_ns: int,
    cells: int,
    live: Iterable[tuple[int, int]] | None = None,
) -> str:
    """Draw what of each part of a time is covered: all, most, some, nothing; or filled, more than came live.

    `live` is what of the spans came live; None: all of it.
    """
    cell_ns = max(last_ns - first_ns, 1) / cells
    covered = _shares(spans, first_ns, cell_ns, cells)
    came_live = covered if live is None else _shares(live, first_ns, cell_ns, cells)
    marks = (ALL, MOST, SOME, NONE, FILLED)
    if not can_print("".join(marks)):
        marks = ("#", "+", "-", ".", "=")
    pairs = zip(covered, came_live, strict=True)
    return "".join(marks[4] if share > 2 * own + 1e-6 else _mark(share, marks) for share, own in pairs)


def _shares(spans: Iterable[tuple[int, int]], first_ns: int, cell_ns: float, cells: int) -> list[float]:
    shares = [0.0] * cells
    for start, until in spans:
        begin, end = (start - first_ns) / cell_ns, (until - first_ns) / cell_ns
        for number in range(int(begin), min(int(end) + 1, cells)):
            shares[number] += max(0.0, min(end, number + 1) - max(begin, number))
    return shares


def _mark(share: float, marks: Sequence[str]) -> str:
    if share > 1 - 1e-6:
        return marks[0]
    if share >= 0.5:  # noqa: PLR2004
        return marks[1]
    return marks[2] if share > 0 else marks[3]


def days(rows: Iterable[Row]) -> Iterator[dict[str, Any]]:
    """Add up what each stream's segments cover by day, UTC; `filled_s` is what only REST has of that."""
    names = ("exchange", "symbol", "channel")
    for key, grouped in groupby(rows, key=lambda row: tuple(row[name] for name in names)):
        group = list(grouped)
        spans = [(int(row["start_ns"]), int(row["alive_until_ns"])) for row in group]
        covered_ns = _by_day(_spans(group))
        live_ns = _by_day(_spans(row for row in group if row["how"] == LIVE))
        segments = Counter(day for span in spans for day in _days_of(*span))
        for day in sorted(segments):
            date = dt.date.fromordinal(dt.date(1970, 1, 1).toordinal() + day)
            yield {
                "day": date.isoformat(),
                **dict(zip(names, key, strict=True)),
                "covered_s": covered_ns[day] / SECONDS_NS,
                "filled_s": (covered_ns[day] - live_ns[day]) / SECONDS_NS,
                "segments": segments[day],
            }


def _by_day(spans: Iterable[tuple[int, int]]) -> Counter[int]:
    found = Counter[int]()
    for start, until in spans:
        for day in _days_of(start, until):
            found[day] += min(until, (day + 1) * DAY_NS) - max(start, day * DAY_NS)
    return found


def _days_of(start_ns: int, until_ns: int) -> range:
    return range(start_ns // DAY_NS, until_ns // DAY_NS + 1)


def _name(row: Row) -> str:
    return f"{row['exchange']} {row['symbol']} {row['channel']}"


def _detail(row: Row) -> str:
    return f" ({row['detail']})" if row["detail"] else ""


def _from_to(begin_ns: int, end_ns: int) -> str:
    from collector.events import iso_text  # noqa: PLC0415

    return f"{iso_text(begin_ns)} to {iso_text(end_ns)}  {(end_ns - begin_ns) / SECONDS_NS:,.3f} s"
