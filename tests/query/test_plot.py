"""Pictures: a step that gives about a thousand states, and what cannot be drawn."""

import sys
from pathlib import Path

import pandas as pd
import pytest

from collector.errors import QueryError
from collector.query.chart import _length, _step, plot
from collector.query.instants import Span

sys.path.insert(0, str(Path(__file__).parent))
from stored import START_NS, SYMBOL, Row, Stored, write

SECOND_NS = 10**9


def covered(*spans: tuple[int, int]) -> pd.DataFrame:
    return pd.DataFrame(spans, columns=["start_ns", "alive_until_ns"])


@pytest.mark.parametrize(
    ("seconds", "step"),
    [
        (0.1, "1ms"),
        (1, "1ms"),
        (1.001, "5ms"),
        (5, "5ms"),
        (60, "100ms"),
        (100, "100ms"),
        (500, "500ms"),
        (3_000, "5000ms"),
        (86_400, "300000ms"),
        (10**7, "3600000ms"),
    ],
)
def test_the_step_is_a_round_one_that_gives_about_a_thousand_states(seconds: float, step: str) -> None:
    end_ns = int(seconds * SECOND_NS)
    assert _step(covered((0, end_ns // 2), (end_ns // 2, end_ns)), Span()) == step


def test_the_step_is_that_of_the_span_where_one_is_asked_for() -> None:
    hour = covered((0, 3600 * SECOND_NS))
    assert _step(hour, Span(0, SECOND_NS)) == "1ms"
    assert _step(hour, Span(3599 * SECOND_NS, None)) == "1ms"
    assert _step(hour, Span(-(10**15), 10**15)) == "5000ms"
    assert _step(covered(), Span()) == "1s"


def test_the_step_is_said_in_the_largest_unit_that_is_whole() -> None:
    steps = {1_000_000: "1 ms", 1_500_000_000: "1500 ms", 5_000_000_000: "5 s", 300_000_000_000: "5 min"}
    assert {step_ns: _length(step_ns) for step_ns in steps} == steps
    assert [_length(7_200_000_000_000), _length(500)] == ["2 h", "0.0005 ms"]


def test_a_picture_is_written_and_what_cannot_be_drawn_is_refused(stored_file: str, tmp_path: Path) -> None:
    dates = pytest.importorskip("matplotlib.dates")
    rows = [Row(START_NS + place * 10**6, 1, 100.0 + place) for place in range(30)]
    write(stored_file, Stored(rows, {1: rows[-1].at_ns}))
    target = tmp_path / "picture.png"
    figure = plot(stored_file, SYMBOL, to=target, every="1ms")
    assert target.read_bytes()[:4] == b"\x89PNG"
    price, spread, imbalance, ribbon = figure.axes
    title = figure.get_suptitle().splitlines()
    assert title[0].startswith(f"bybit {SYMBOL}, book.50 (depth 50): 20")
    assert title[1] == "one state every 1 ms, the last one known then; what happened between is not drawn"
    legend, drawn = (part.get_window_extent() for part in (price.get_legend(), price))
    assert legend.y0 >= drawn.y1  # above the curves, on none of them
    assert [axes.get_ylabel() for axes in (price, spread, imbalance)] == ["price", "spread, bps", "imbalance"]
    assert [text.get_text() for text in ribbon.get_yticklabels()] == ["book.50"]
    assert list(price.lines[0].get_ydata()) == [100.0 + place for place in range(30)]
    assert list(ribbon.get_yticks()) == [0.45]  # in the middle of its bar
    begin, end = (dates.date2num(pd.Timestamp(row.at_ns).to_numpy()) for row in (rows[0], rows[-1]))
    (covered_path,) = ribbon.collections[0].get_paths()
    assert covered_path.get_extents().intervalx == pytest.approx((begin, end), abs=1e-9)
    with pytest.raises(QueryError, match="nothing verified is stored"):
        plot(stored_file, SYMBOL, to=target, every="1ms", start=START_NS - 10**9, end=START_NS - 10**8)
    with pytest.raises(QueryError, match="instants are too many to draw"):
        plot(stored_file, SYMBOL, to=target, every="1us")
