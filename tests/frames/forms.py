"""Look through what was sent for one frame of each kind, and hold it against its documented form."""

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import recordings
from recordings import where_recorded
from shapes import SHAPES, differences, parse

Frames = dict[str, Any]
KindOf = Callable[[Any], str]
MOST_FRAMES = 500  # to look through for one of each kind
SOURCES = [pytest.param(False, id="simulator"), *where_recorded(pytest.param(True, id="recorded"))]


def check(found: Frames, kinds: set[str]) -> None:
    """Hold one frame of each kind against its documented form."""
    assert set(found) >= kinds
    assert {kind: differences(found[kind], SHAPES[kind]) for kind in kinds} == {kind: [] for kind in kinds}


def first_of_each(messages: Iterable[Any], kind_of: KindOf, kinds: set[str]) -> Frames:
    """Take the first frame of each kind; of books, one that has something on both sides."""
    found: Frames = {}
    for _, message in zip(range(MOST_FRAMES), messages, strict=False):
        kind = kind_of(message)
        if kind in kinds and kind not in found and not is_one_sided(message):
            found[kind] = message
        if len(found) == len(kinds):
            break
    return found


def is_one_sided(message: Any) -> bool:
    data = message.get("data", message)
    data = data[0] if isinstance(data, list) else data
    return any(data.get(side) == [] for side in ("b", "a"))


def heard(client: Any) -> Iterator[Any]:
    while True:
        yield parse(client.receive_text())


def recorded_lines(path: str) -> Iterator[Any]:
    return (parse(text) for text in recordings.lines(path))


def recorded_stamped(path: str) -> Iterator[Any]:
    return (parse(text.split(None, 1)[1]) for text in recordings.lines(path))


def bybit_kind(market: str, message: Any) -> str:
    """Name a frame of Bybit as `shapes.txt` does."""
    head = message.get("topic", "ack").split(".")[0]
    return f"bybit.{market}.{head}" + (f".{message['type']}" if head == "orderbook" else "")


def binance_kind(market: str, message: Any) -> str:
    """Name a frame of Binance, in a combined stream, raw, or an answer of REST."""
    if "lastUpdateId" in message:
        return f"binance.{market}.rest"
    stream, event = message.get("stream", ""), message.get("e", "")
    return f"binance.{market}.{stream.split('@')[1] if stream else event}"


def kraken_kind(message: Any) -> str:
    """Name a frame of Kraken."""
    if "method" in message:
        return f"kraken.{message['method']}.{message['result']['channel']}"
    if message["channel"] in {"status", "heartbeat"}:
        return f"kraken.{message['channel']}"
    return f"kraken.{message['channel']}.{message['type']}"
