"""A frame's columns are its own: to change one changes no other, and not the index."""

import sys
from pathlib import Path

import numpy as np
import pytest

from collector import load_features
from collector.query.rows import columns

sys.path.insert(0, str(Path(__file__).parent))
from stored import FIRST_SEGMENT, START_NS, STEP_NS, SYMBOL, Row, Stored, write


def stored(url: str) -> None:
    rows = [Row(START_NS + place * STEP_NS, FIRST_SEGMENT, 8.5 + place % 3) for place in range(20)]
    write(url, Stored(rows, {FIRST_SEGMENT: rows[-1].at_ns}))


def test_columns_of_one_origin_share_no_memory(stored_file: str) -> None:
    stored(stored_file)
    frame = load_features(stored_file, SYMBOL, columns=["received_at_ns", "segment_id", "mid_price"])
    before = frame.copy(deep=True)
    for name in ("received_at_ns", "segment_id", "mid_price"):
        frame.loc[frame.index[3], name] = 1
    frame["segment"].array._data[4] = 2
    frame["received_at_ns"].array._data[5] = 3
    assert frame.index.equals(before.index)
    assert frame["segment"].drop(frame.index[4]).equals(before["segment"].drop(frame.index[4]))
    assert frame["segment_id"].drop(frame.index[3]).equals(before["segment_id"].drop(frame.index[3]))


@pytest.mark.parametrize("has_room", [True, False])
def test_many_rows_are_gathered_where_they_stay(has_room: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_MANY_ROWS", 7)
    if not has_room:
        monkeypatch.setattr(columns, "_room", lambda *_: {})
    chunks = [
        {"a": np.arange(place, place + 3), "b": np.array(["x"] * 3, dtype=object)} for place in range(9)
    ]
    kinds = {"a": "int", "b": "text"}
    assert "b" not in columns._room(chunks, 100)  # numpy fills room for objects, however much it is
    found = columns.gathered(iter(chunks), kinds)  # type: ignore[arg-type]
    assert list(found) == ["a", "b"]
    assert found["a"].tolist() == [one for place in range(9) for one in range(place, place + 3)]
    assert found["b"].tolist() == ["x"] * 27


def test_a_system_that_refuses_room_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(columns.np, "empty", refused)
    monkeypatch.setattr(columns, "_MANY_ROWS", 2)
    chunks = [{"a": np.arange(3)}, {"a": np.arange(3)}]
    assert columns.gathered(iter(chunks), {"a": "int"})["a"].tolist() == [0, 1, 2, 0, 1, 2]
