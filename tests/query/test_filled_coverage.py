"""Coverage tells what came live, what was filled afterwards, and what is a hole."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from ready_tables import lay_tables
from two_origins import BEGIN_MS, NS_A_MS, SYMBOL, TRADES, TwoOrigins

from collector.cli.commands.coverage import coverage
from collector.cli.commands.coverage_sums import bar, days
from collector.query import CoverageAsked, ShortReads, coverage_page
from collector.query.between import chains, holes_between
from collector.query.rows.fillings import inside

S = 1_000
END_MS = BEGIN_MS + 100 * S


@pytest.fixture
def both(any_database: str) -> Iterator[TwoOrigins]:
    made = TwoOrigins(lay_tables(any_database))
    yield made
    made.stop()


def segment(number: int, start: int, until: int, cause: str | None = "gap", **more: Any) -> dict[str, Any]:
    told = {"segment_id": number, "start_ns": start, "alive_until_ns": until, "end_cause": cause}
    return {**told, "detail": f"of {number}", "session_id": "s", "verification": "sequence", **more}


def test_a_chain_goes_on_through_what_was_filled_alone() -> None:
    live = [segment(1, 0, 10), segment(3, 20, 30), segment(4, 30, 40)]
    filled = segment(2, 10, 20, "filled")
    assert chains([live[0], filled, *live[1:]]) == {1: 1, 2: 1, 3: 1, 4: 4}
    assert chains([live[0], segment(2, 11, 20, "filled"), *live[1:]]) == {1: 1, 2: 2, 3: 2, 4: 4}
    too_short = segment(2, 10, 19, None, verification="rest")
    assert chains([live[0], too_short, *live[1:]]) == {1: 1, 2: 1, 3: 3, 4: 4}
    assert chains([]) == {}


def test_of_a_hole_filled_in_part_the_rest_has_its_cause() -> None:
    found = holes_between([segment(1, 0, 10), segment(2, 12, 15, "filled"), segment(3, 20, 30)])
    assert list(found) == [(10, 12, "gap", "of 1"), (15, 20, "gap", "of 1")]
    assert list(holes_between([segment(2, 12, 15, "filled"), segment(3, 20, 30)])) == [
        (15, 20, "filled", "of 2")
    ]


def test_instants_lie_in_spans_with_both_their_ends() -> None:
    at = list(range(8))
    assert inside([(1, 2), (5, 5)], at).tolist() == [one in {1, 2, 5} for one in at]  # type: ignore[arg-type]
    assert not inside([], at).any()  # type: ignore[arg-type]


def broken_and_filled(both: TwoOrigins, until_ms: int) -> None:
    """Store a stream that broke after ten seconds and never came back, and what was filled since."""
    live = both.open(TRADES, BEGIN_MS)
    both.trades(live, [(1, BEGIN_MS + S)])
    both.close(live, BEGIN_MS + 10 * S, "disconnect")
    filled = both.open(TRADES, BEGIN_MS + 10 * S, "rest")
    both.trades(filled, [(2, BEGIN_MS + 11 * S)], END_MS)
    both.close(filled, until_ms, "filled")
    both.flush()


def page(both: TwoOrigins, start_ms: int = BEGIN_MS) -> dict[str, Any]:
    with ShortReads(both.url, limit_s=30.0).reading() as (connection, tables):
        asked = CoverageAsked(start_ms * NS_A_MS, END_MS * NS_A_MS)
        ((stream,), _) = coverage_page(connection, tables, asked)
    return stream


def test_the_page_tells_both_and_what_is_still_missing(both: TwoOrigins) -> None:
    broken_and_filled(both, BEGIN_MS + 40 * S)
    stream = page(both)
    assert [one["filled"] for one in stream["segments"]] == [False, True]
    assert (stream["covered"], stream["filled"]) == (pytest.approx(0.4), pytest.approx(0.3))
    (hole,) = stream["holes"]
    assert (hole["start_ns"], hole["end_ns"]) == ((BEGIN_MS + 40 * S) * NS_A_MS, END_MS * NS_A_MS)
    assert hole["cause"] == "disconnect"
    assert len(page(both, BEGIN_MS + 60 * S)["holes"]) == 1  # where neither reaches into the span


def test_why_a_stream_broke_is_found_behind_all_that_was_filled_since(both: TwoOrigins) -> None:
    broken_and_filled(both, BEGIN_MS + 30 * S)
    more = both.open(TRADES, BEGIN_MS + 30 * S, "rest")
    both.close(more, BEGIN_MS + 40 * S, "filled")
    both.flush()
    ((hole,), told) = page(both, BEGIN_MS + 60 * S)["holes"], page(both)["holes"]
    assert (hole["cause"], hole["end_ns"]) == ("disconnect", END_MS * NS_A_MS)
    assert [one["cause"] for one in told] == ["disconnect"]


def test_the_command_tells_them_apart(
    both: TwoOrigins, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    broken_and_filled(both, BEGIN_MS + 40 * S)
    coverage(db=both.url, table="l2_training_data_practical")
    assert "covered, more than half of it filled afterwards" in capsys.readouterr().out
    coverage(db=both.url, table="l2_training_data_practical", segments_=True)
    shown = [line.split()[5:10] for line in capsys.readouterr().out.splitlines()[1:]]
    assert ["live", "1", "sequence", "disconnect"] in [one[:4] for one in shown]
    assert ["filled", "1", "rest", "filled"] in [one[:4] for one in shown]
    coverage(db=both.url, table="l2_training_data_practical", by_day=True)
    assert f"2026-01-01  binance   {SYMBOL}  trade      " in capsys.readouterr().out


def test_a_bar_marks_what_was_mostly_filled() -> None:
    spans, live = [(0, 40), (60, 100)], [(0, 20), (26, 30), (60, 100)]
    assert bar(spans, 0, 100, 10, live) == "██▞▞··████"
    assert bar(spans, 0, 100, 10) == "████··████"


def test_a_day_says_how_much_of_it_was_filled() -> None:
    stream = {"exchange": "binance", "symbol": SYMBOL, "channel": "trade"}
    live = {**stream, "start_ns": 0, "alive_until_ns": 5 * 10**9, "how": "live"}
    filled = {**stream, "start_ns": 4 * 10**9, "alive_until_ns": 9 * 10**9, "how": "filled"}
    ((day),) = days([live, filled])
    assert (day["covered_s"], day["filled_s"], day["segments"]) == (9.0, 4.0, 2)
