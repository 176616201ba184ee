"""Add up what is covered: stream by stream, day by day, and as a bar."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from collector.cli.plain import SECONDS_NS, can_print

DAY_NS = 86_400 * SECONDS_NS
ALL, MOST, SOME, NONE, FILLED = "█▓░·▞"
FILLED_PLAIN = "="
LIVE = "live"
STREAM = ("exchange", "symbol", "channel")
Row = Mapping[str, Any]
Spans = list[tuple[int, int]]


def streams(segments: Iterable[Row], holes: Iterable[Row]) -> Iterator[dict[str, Any]]:
    """Add up each stream: the share of its own span that is covered, its holes, and how it ended."""
    lengths: dict[tuple[str, ...], list[float]] = {}
    for one in holes:
        lengths.setdefault(_stream(one), []).append((one["until_ns"] - one["from_ns"]) / SECONDS_NS)
    for key, grouped in groupby(segments, key=_stream):
        group = list(grouped)
        covered, own = spans(group), lengths.get(key, [])
        first_ns, last_ns = covered[0][0], covered[-1][1]
        live_ns = _total_ns(spans(row for row in group if row["how"] == LIVE))
        last = max(group, key=lambda row: row["alive_until_ns"])
        yield {
            **dict(zip(STREAM, key, strict=True)),
            "covered": _total_ns(covered) / (last_ns - first_ns) if last_ns > first_ns else 1.0,
            "holes": len(own),
            "holes_s": sum(own),
            "longest_hole_s": max(own, default=0.0),
            "first_ns": first_ns,
            "last_ns": last_ns,
            "filled_s": (_total_ns(covered) - live_ns) / SECONDS_NS,
            "segments": len(group),
            "rows": sum(int(row["rows"]) for row in group),
            "end_cause": last["end_cause"],
        }


def spans(segments: Iterable[Row]) -> Spans:
    """Return what segments cover, as spans that do not overlap, in order."""
    from collector.query import union  # noqa: PLC0415

    return union((int(row["start_ns"]), int(row["alive_until_ns"])) for row in segments)


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
    for key, grouped in groupby(rows, key=_stream):
        group = list(grouped)
        pieces = [(int(row["start_ns"]), int(row["alive_until_ns"])) for row in group]
        covered_ns = _by_day(spans(group))
        live_ns = _by_day(spans(row for row in group if row["how"] == LIVE))
        segments = Counter(day for span in pieces for day in _days_of(*span))
        for day in sorted(segments):
            date = dt.date.fromordinal(dt.date(1970, 1, 1).toordinal() + day)
            yield {
                "day": date.isoformat(),
                **dict(zip(STREAM, key, strict=True)),
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
    return range(start_ns // DAY_NS, max(start_ns // DAY_NS + 1, -(-until_ns // DAY_NS)))


def _stream(row: Row) -> tuple[str, ...]:
    return tuple(row[name] for name in STREAM)


def _total_ns(pieces: Spans) -> int:
    return sum(until - start for start, until in pieces)
