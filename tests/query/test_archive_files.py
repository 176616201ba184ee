"""Which archived days a span may touch, and where it is cut by them."""

from pathlib import Path

import pandas as pd
import pytest

from collector.query.instants import Span
from collector.query.rows.archive_files import Part, split_by_days

DAY = Part("bybit", "BTC/USDT:USDT", "2026-03-02", Path("nowhere"), 1, 1, is_deleted=True)


def ns(text: str) -> int:
    return int(pd.Timestamp(text, tz="UTC").value)


BEGIN, END = ns("2026-03-02"), ns("2026-03-03")


@pytest.mark.parametrize(
    ("start_ns", "end_ns", "may"),
    [
        (None, None, True),
        (None, BEGIN, False),
        (None, BEGIN + 1, True),
        (END, None, False),
        (END - 1, None, True),
        (BEGIN, END, True),
        (BEGIN + 1, BEGIN + 2, True),
        (END, END + 1, False),
        (BEGIN - 1, BEGIN, False),
    ],
)
def test_a_day_holds_what_lies_between_its_midnights(
    start_ns: int | None, end_ns: int | None, may: bool
) -> None:
    assert DAY.may_hold(Span(start_ns, end_ns)) is may


@pytest.mark.parametrize(
    ("start_ns", "end_ns", "pieces"),
    [
        (None, None, [(None, BEGIN), (BEGIN, END), (END, None)]),
        (BEGIN, END, [(BEGIN, END)]),
        (BEGIN + 5, END + 5, [(BEGIN + 5, END), (END, END + 5)]),
        (BEGIN - 5, BEGIN, [(BEGIN - 5, BEGIN)]),
        (None, BEGIN + 1, [(None, BEGIN), (BEGIN, BEGIN + 1)]),
        (END - 1, None, [(END - 1, END), (END, None)]),
    ],
)
def test_a_span_is_cut_where_archived_days_begin_and_end(
    start_ns: int | None, end_ns: int | None, pieces: list[tuple[int | None, int | None]]
) -> None:
    found = split_by_days(Span(start_ns, end_ns), [DAY])
    assert [(one.start_ns, one.end_ns) for one in found] == pieces
