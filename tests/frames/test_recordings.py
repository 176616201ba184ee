"""The one place that says whether the recorded frames were looked at."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import recordings
from kraken_example import WORKED_ASKS, WORKED_BIDS, WORKED_CHECKSUM
from shapes import parse

if not recordings.ARE_HERE:
    pytest.skip(
        f"no recordings at {recordings.FOLDER}: what they show was proven on made frames alone",
        allow_module_level=True,
    )


def test_every_recording_that_tests_name_is_here() -> None:
    named = [
        value for name, value in vars(recordings).items() if name.startswith(("BINANCE", "BYBIT", "KRAKEN"))
    ]
    paths = [path for value in named for path in ([value] if isinstance(value, str) else value)]
    for market in ("spot", "linear"):
        missing = [path for path in paths if not (recordings.FOLDER / path.format(market=market)).is_file()]
        assert not missing
    assert len(paths) > 20


def test_krakens_worked_example_stands_here_as_it_was_published() -> None:
    (path,) = (path for path in recordings.KRAKEN_SNAPSHOTS if "worked_example" in path)
    (book,) = parse(recordings.text(path))["data"]
    sides = [[(level["price"], level["qty"]) for level in book[side]] for side in ("bids", "asks")]
    assert sides == [[*WORKED_BIDS], [*WORKED_ASKS]]
    assert int(book["checksum"]) == WORKED_CHECKSUM
