"""The one place that says whether the recorded frames were looked at."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import recordings


@pytest.mark.skipif(
    not recordings.ARE_HERE,
    reason=f"no recordings at {recordings.FOLDER}: what they show was proven on made frames alone",
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
