"""A question that was put wrongly costs an error, not the memory of the machine."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from collector import iter_features, load_features, load_levels, load_ohlcv, load_trades, windows
from collector.errors import QueryError
from collector.query.rows import columns

sys.path.insert(0, str(Path(__file__).parent))
from stored import START_NS, STEP_NS, SYMBOL, Facts, Row, Stored, cover, insert, iso, write

SECOND_NS = 10**9
YEAR_NS = 365 * 86_400 * SECOND_NS
# Two stretches of five seconds, a year apart.
TIMES_NS = [begin + place * 100 * STEP_NS for begin in (START_NS, START_NS + YEAR_NS) for place in range(50)]

WRONG_CALLS = """
import resource, sys
from collector import iter_features, load_features, load_levels, load_ohlcv, load_trades
from collector.errors import QueryError
from collector.query import plot

db, symbol, start_s = sys.argv[1], sys.argv[2], int(sys.argv[3])
load_features(db, symbol, every="1s", end=(start_s + 2) * 10**9)   # everything is imported
with open("/proc/self/status") as status:
    in_use = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmSize"))
resource.setrlimit(resource.RLIMIT_AS, (in_use + 400 * 2**20, resource.RLIM_INFINITY))
calls = {
    "a float": lambda: load_features(db, symbol, every=1.0),
    "a number": lambda: load_features(db, symbol, every=100),
    "seconds": lambda: load_features(db, symbol, every="1s", start=start_s),
    "nanoseconds": lambda: load_features(db, symbol, every="1ns", end=(start_s + 5) * 10**9),
    "a long hole": lambda: load_levels(db, symbol, every="100ms"),
    "split": lambda: load_features(db, symbol, every="10ms", on_gap="split"),
    "a far end": lambda: load_features(db, symbol, every="1ms", start="2024-11-13T22:13", end="2262-01-01"),
    "early": lambda: load_features(db, symbol, every="1ms", start="2000", end=(start_s + 40) * 10**9),
    "plotted": lambda: plot(db, symbol, every="1us", to="never.png"),
    "a piece": lambda: next(iter_features(db, symbol, every="1ns")),
    "bars": lambda: load_ohlcv(db, symbol, start=start_s),
    "trades": lambda: load_trades(db, symbol, start=start_s),
}
for name, call in calls.items():
    try:
        print(name, len(call()), sep=": ")
    except QueryError as error:
        print(name, error, sep=": ")
"""


@pytest.fixture
def two_years(stored_file: str) -> str:
    """Ten seconds of rows a tenth apart, in two stretches, and the levels of each."""
    rows = [Row(at_ns, 1 + (at_ns > START_NS + YEAR_NS / 2), 100.0) for at_ns in TIMES_NS]
    write(stored_file, Stored(rows, {1: rows[49].at_ns, 2: rows[-1].at_ns}))
    insert(
        stored_file,
        "levels",
        {
            "timestamp": [iso(row.at_ns) for row in rows],
            "symbol": [SYMBOL] * len(rows),
            "exchange": ["bybit"] * len(rows),
            "depth": [50] * len(rows),
            "received_at_ns": [row.at_ns for row in rows],
            "segment_id": [row.segment for row in rows],
            "data_source": ["simulator"] * len(rows),
            "bid_price_1": [99.0] * len(rows),
        },
    )
    return stored_file


def test_a_grid_is_clipped_to_what_is_stored(two_years: str) -> None:
    first_ns, last_ns = TIMES_NS[0], TIMES_NS[49]
    within = load_features(two_years, SYMBOL, every="1s", end=last_ns)
    asked = load_features(two_years, SYMBOL, every="1s", start="2001-01-01", end=last_ns)
    pd.testing.assert_frame_equal(asked, within)
    assert asked.index[0].value == first_ns
    after = load_features(two_years, SYMBOL, every="100ms", start=TIMES_NS[50], end="2200-01-01")
    assert after.index.asi8.tolist() == TIMES_NS[50:]
    assert after["mid_price"].notna().all()


def test_a_span_that_is_stored_in_part_is_not_whole(two_years: str) -> None:
    for start, end in (
        ("2001-01-01", TIMES_NS[20]),
        (TIMES_NS[50], "2200-01-01"),
        ("2200-01-01", "2200-01-02"),
    ):
        with pytest.raises(QueryError, match="is not covered: that is before or after what is stored"):
            load_features(two_years, SYMBOL, every="1s", start=start, end=end, on_gap="raise")
        with pytest.raises(QueryError, match="is not covered"):
            list(iter_features(two_years, SYMBOL, every="1s", start=start, end=end, on_gap="raise"))
    whole = load_features(two_years, SYMBOL, every="1s", start=TIMES_NS[0], end=TIMES_NS[49], on_gap="raise")
    assert len(whole) == 5


def test_a_grid_that_no_memory_holds_is_refused_with_its_rows(two_years: str) -> None:
    words = (
        r"to 2024-11-13T22:13:24.900000\+00:00 these are 315,360,050 instants of 3 values; "
        r"expected at most 41,666,666: choose a longer every=, a shorter span, fewer columns=, or iter_"
    )
    with pytest.raises(QueryError, match=words):
        load_features(two_years, SYMBOL, every="100ms", columns=["mid_price"])
    assert len(load_features(two_years, SYMBOL, every="100s", columns=["mid_price"])) == YEAR_NS // 10**11 + 2
    with pytest.raises(QueryError, match="instants of 42 values"):
        load_levels(two_years, SYMBOL, every="100ms")


def test_rows_that_no_memory_holds_are_refused(two_years: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cover(two_years, Stored([Row(START_NS, 7, 1.0)], {7: START_NS + 1}), "trade", Facts())
    for table, more in (
        ("trades", {"price": [1.0] * 9, "kind": ["trade"] * 9}),
        ("ohlcv", {"confirmed": [1] * 9}),
    ):
        shared = {"symbol": SYMBOL, "exchange": "bybit", "data_source": "simulator", "segment_id": 7}
        insert(
            two_years,
            table,
            {**filled(table), **{name: [value] * 9 for name, value in shared.items()}, **more},
        )
    monkeypatch.setattr(columns, "MOST_VALUES", 60)
    for load in (load_features, load_levels, load_trades, load_ohlcv):
        with pytest.raises(QueryError, match=r"more than \d+ rows of \d+ values; expected a shorter span"):
            load(two_years, SYMBOL)
    assert sum(len(piece) for piece in iter_features(two_years, SYMBOL)) == 100


def test_windows_that_no_memory_holds_are_refused() -> None:
    at = pd.date_range("2026-01-01", periods=300_000, freq="100ms", tz="UTC", name="received_at")
    frame = pd.DataFrame({"mid_price": 1.0, "spread": 1.0, "segment": 1}, index=at)
    words = r"these are 299,001 windows of 1,000 rows and 2 columns, 5 GB; expected at most 4: choose a"
    with pytest.raises(QueryError, match=words):
        windows(frame, 1000)
    assert len(windows(frame, 1000, step=10_000)) == 30


def filled(table: str) -> dict[str, list[Any]]:
    at_ns = [START_NS + place for place in range(9)]
    found: dict[str, list[Any]] = {"timestamp": [iso(one) for one in at_ns], "received_at_ns": at_ns}
    if table == "ohlcv":
        prices = {name: [1.0] * 9 for name in ("open", "high", "low", "close", "volume")}
        return {
            **prices,
            **found,
            "interval": ["1m"] * 9,
            "open_time": [START_NS // 10**6 + place for place in range(9)],
        }
    return {**found, "trade_id": [str(place) for place in range(9)], "size": [1.0] * 9}


def test_wrong_calls_leave_the_memory_alone(two_years: str, tmp_path: Path) -> None:
    """In a process that may use 400 MB more than it does after its first load."""
    words = [sys.executable, "-c", WRONG_CALLS, two_years, SYMBOL, str(START_NS // SECOND_NS)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60)
    assert done.stderr == ""
    told = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert "a number without a unit" in told.pop("a float")
    assert "a number without a unit" in told.pop("a number")
    for name in ("seconds", "bars", "trades"):
        assert "it looks like seconds since 1970" in told.pop(name)
    for name in ("nanoseconds", "a long hole", "split", "plotted"):
        assert "choose a longer every=" in told.pop(name)
    assert told == {"a far end": "24901", "early": "40000", "a piece": "200000"}
