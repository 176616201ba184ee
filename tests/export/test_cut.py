"""An export of a span, of one depth, or of states in the place of rows."""

import sys
from pathlib import Path

import pandas as pd
import pytest

from collector.errors import QueryError
from collector.export.exporter import export
from collector.query import load_features

sys.path.insert(0, str(Path(__file__).parents[1] / "query"))
from stored import SYMBOL, Facts, Row, Stored, insert, iso, prepare, write

pytest.importorskip("pyarrow")
DAY_NS = 86_400_000_000_000
MIDNIGHT_NS = 1_700_006_400_000_000_000 // DAY_NS * DAY_NS
SECOND_NS = 1_000_000_000
BEGIN_NS, END_NS = MIDNIGHT_NS + DAY_NS - 10 * SECOND_NS, MIDNIGHT_NS + DAY_NS + 10 * SECOND_NS


@pytest.fixture
def around_midnight(tmp_path: Path) -> str:
    """Return a database with a state each 100 ms for 20 s, half of them on either day, of two depths."""
    stored_file = prepare(str(tmp_path / "live.db"))
    for segment, depth in ((1, 50), (2, 1)):
        at = range(BEGIN_NS, END_NS, SECOND_NS // 10)
        rows = [Row(at_ns, segment, 100.0 + place) for place, at_ns in enumerate(at)]
        write(stored_file, Stored(rows, {segment: END_NS}), Facts(depth=depth))
    return stored_file


def receipts(folder: Path) -> list[int]:
    return sorted(pd.read_parquet(folder / "features")["received_at_ns"].tolist())


def test_a_span_and_a_depth_choose_rows_and_go_on_where_they_stood(
    around_midnight: str, tmp_path: Path
) -> None:
    start_ns, end_ns = MIDNIGHT_NS + DAY_NS - SECOND_NS, MIDNIGHT_NS + DAY_NS + 2 * SECOND_NS
    cut = {"start": start_ns, "end": pd.Timestamp(end_ns, tz="UTC"), "depth": 50}
    done = export(around_midnight, tmp_path / "out", **cut)
    assert (done.files, done.written, done.rows) == (2, 2, 30)
    assert receipts(tmp_path / "out") == list(range(start_ns, end_ns, SECOND_NS // 10))
    assert set(pd.read_parquet(tmp_path / "out" / "features")["depth"]) == {50}
    again = export(around_midnight, tmp_path / "out", **cut)
    assert (again.files, again.written, again.rows) == (2, 0, 0)
    one_day = export(around_midnight, tmp_path / "one", start=MIDNIGHT_NS + DAY_NS)
    assert (one_day.files, one_day.rows) == (1, 200)


def test_states_stand_in_the_place_of_rows(around_midnight: str, tmp_path: Path) -> None:
    done = export(around_midnight, tmp_path / "out", depth=50, every="1s")
    assert (done.files, done.written) == (2, 2)
    assert not (tmp_path / "out" / "features").exists()
    found = pd.read_parquet(tmp_path / "out" / "states").sort_values("received_at")
    expected = load_features(around_midnight, SYMBOL, depth=50, every="1s")
    assert found["received_at"].tolist() == expected.index.tolist()
    assert found["mid_price"].tolist() == expected["mid_price"].tolist()
    assert export(around_midnight, tmp_path / "out", depth=50, every="1s").written == 0


def test_bars_are_chosen_by_when_they_began(around_midnight: str, tmp_path: Path) -> None:
    minute_ms = MIDNIGHT_NS // 1_000_000
    bars = {
        "timestamp": [iso(MIDNIGHT_NS)] * 5,
        "exchange": ["bybit"] * 5,
        "symbol": [SYMBOL] * 5,
        "interval": ["1m"] * 5,
        "open_time": [minute_ms + place * 60_000 for place in range(5)],
        "confirmed": [1] * 5,
        "received_at_ns": [MIDNIGHT_NS] * 5,
        "segment_id": [1] * 5,
        "data_source": ["simulator"] * 5,
        **{name: [1.0] * 5 for name in ("open", "high", "low", "close", "volume")},
    }
    insert(around_midnight, "ohlcv", bars)
    start_ns = MIDNIGHT_NS + 60 * SECOND_NS
    export(around_midnight, tmp_path / "out", kinds=["ohlcv"], start=start_ns, end=start_ns + 120 * SECOND_NS)
    found = pd.read_parquet(tmp_path / "out" / "ohlcv")["open_time"].tolist()
    assert found == [minute_ms + 60_000, minute_ms + 120_000]


def test_a_folder_holds_one_choice_and_what_is_not_there_is_refused(
    around_midnight: str, tmp_path: Path
) -> None:
    export(around_midnight, tmp_path / "out")
    with pytest.raises(QueryError, match="files of another span, depth or step"):
        export(around_midnight, tmp_path / "out", depth=50)
    with pytest.raises(QueryError, match=r"nothing to export of what was asked for \(depth\)"):
        export(around_midnight, tmp_path / "seven", kinds=["features"], depth=7)
    with pytest.raises(QueryError, match=r"what was asked for \(start\)"):
        export(around_midnight, tmp_path / "later", start=END_NS + DAY_NS)
    with pytest.raises(QueryError, match="are of whole days"):
        export(around_midnight, tmp_path / "hft", form="hftbacktest", depth=50)
