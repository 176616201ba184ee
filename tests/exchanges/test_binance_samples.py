"""Single frames of Binance of many kinds, of several years and markets: read, or left to others."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector.errors import FrameError
from collector.exchanges.binance.frames import read_frame

sys.path.insert(0, str(Path(__file__).parents[1] / "frames"))
import recordings
from recordings import where_recorded

SAMPLES = [
    line.split(" ", 1)
    for line in (Path(recordings.__file__).parent / "binance_samples.txt").read_text().splitlines()
    if not line.startswith("#")
]


def made() -> Iterator[str]:
    for _, text in SAMPLES:
        yield text


def recorded() -> Iterator[str]:
    for path in recordings.BINANCE_SAMPLES:
        yield from recordings.lines(path)


@pytest.mark.parametrize("number", range(len(SAMPLES)))
def test_a_frame_is_read_as_what_it_is(number: int) -> None:
    kind, text = SAMPLES[number]
    try:
        found = [type(message).__name__ for message in read_frame(text)]
    except FrameError as error:
        found = [error.reason]
    assert found == [kind], text


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        pytest.param(
            made,
            {"Delta": 6, "TradeMessage": 8, "TopOfBook": 4, "CandleMessage": 3, "Ack": 2, "Other": 13},
            id="made",
        ),
        *where_recorded(
            pytest.param(
                recorded,
                {"Delta": 13, "TradeMessage": 12, "TopOfBook": 8, "CandleMessage": 5, "Ack": 1, "Other": 48},
                id="recorded",
            )
        ),
    ],
)
def test_single_frames_of_many_kinds_are_read_or_left_to_others(
    samples: Callable[[], Iterator[str]], expected: dict[str, int]
) -> None:
    """One is refused: an aggregate of 2019 without its id."""
    read, refused = Counter(), []
    for text in samples():
        try:
            message = read_frame(text)[0]
        except FrameError as error:
            refused.append(str(error))
        else:
            read[type(message).__name__] += 1
    assert refused == ["malformed: Object missing required field `a`"]
    assert read == expected
