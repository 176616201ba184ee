"""What is documented is what the collector reads, what the simulator sends, and what was recorded."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "frames"))
from checking.forms import DOCUMENTED, OPTIONAL, differences, kind_of
from recordings import BINANCE_LINEAR, BINANCE_SPOT, BYBIT_SPOT, FOLDER, KRAKEN_BTC_25, where_recorded
from shapes import SHAPES

from collector.events.messages import Other
from collector.exchanges.registry import EXCHANGES
from collector.simulator.recordings.recording import read_recording

# In shapes.txt are REST answers and channels that the collector does not subscribe, too.
NOT_SUBSCRIBED = {"rest", "instruments", "instrument", "aggTrade"}


def plain(documented: Any) -> Any:
    """Return a frame as it is sent, with every key that may be left out."""
    if isinstance(documented, dict):
        return {key.removesuffix(OPTIONAL): plain(value) for key, value in documented.items()}
    return [plain(each) for each in documented] if isinstance(documented, list) else documented


def without_options(documented: Any) -> Any:
    """Return a frame as it is sent, with none of them."""
    if isinstance(documented, dict):
        kept = {key: value for key, value in documented.items() if not key.endswith(OPTIONAL)}
        return {key: without_options(value) for key, value in kept.items()}
    return [without_options(each) for each in documented] if isinstance(documented, list) else documented


def market_of(name: str) -> str:
    return "linear" if ".linear." in name else "spot"


@pytest.mark.parametrize("name", DOCUMENTED)
@pytest.mark.parametrize("form", [plain, without_options])
def test_the_collector_reads_every_documented_frame(name: str, form: Any) -> None:
    frame = form(DOCUMENTED[name])
    exchange = name.partition(".")[0]
    assert kind_of(exchange, market_of(name), frame) == name
    assert list(differences(frame, DOCUMENTED[name])) == []
    messages = EXCHANGES[exchange].read_frame(json.dumps(frame))
    assert messages
    assert not any(isinstance(one, Other) for one in messages) or name == "okx.notice"


def test_the_forms_by_which_the_simulator_is_held_are_documented_here_too() -> None:
    compared = 0
    for name, shape in SHAPES.items():
        if (
            name.startswith("rest.")
            or name.split(".")[-1] in NOT_SUBSCRIBED
            or (name.split(".")[-2] in NOT_SUBSCRIBED)
        ):
            continue
        exchange, market = name.split(".")[:2]
        frame = json.loads(json.dumps(shape))
        if exchange == "binance" and "stream" in frame:
            frame = frame["data"]
        kind = kind_of(exchange, market, frame)
        assert kind is not None, name
        wrong = [text for sort, text in differences(frame, DOCUMENTED[kind]) if sort != "another type"]
        assert (name, wrong) == (name, [])
        compared += 1
    assert compared >= 15


RECORDED = [
    ("bybit", "spot", BYBIT_SPOT),
    ("binance", "spot", BINANCE_SPOT[0]),
    ("binance", "linear", BINANCE_LINEAR[0]),
    ("kraken", "spot", KRAKEN_BTC_25),
]
MOST_FRAMES = 3000


@pytest.mark.parametrize(("exchange", "market", "path"), where_recorded(*RECORDED))
def test_recorded_frames_have_the_documented_form(exchange: str, market: str, path: str) -> None:
    found: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for _, recorded in zip(range(MOST_FRAMES), read_recording(FOLDER / path), strict=False):
        frame = json.loads(recorded.text)
        frame = frame.get("data") if exchange == "binance" and "stream" in frame else frame
        kind = kind_of(exchange, market, frame)
        if kind is not None:
            found[kind] += 1
            wrong.update(text for _, text in differences(frame, DOCUMENTED[kind]))
    assert not wrong
    assert len(found) >= 3


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda frame: frame["data"].update(new=1), ("unknown field", "data.new")),
        (lambda frame: frame["data"].pop("seq"), ("missing field", "data.seq")),
        (lambda frame: frame["data"].update(u="5"), ("another type", "data.u is text, documented a number")),
        (lambda frame: frame["data"]["b"].append(["1", "2", "3"]), ("another length", "data.b[]")),
        (lambda frame: frame["data"]["b"].append([1, "2"]), ("another type", "data.b[][] is a number")),
    ],
)
def test_a_difference_is_named(change: Any, expected: tuple[str, str]) -> None:
    frame = plain(DOCUMENTED["bybit.orderbook"])
    change(frame)
    ((sort, text),) = differences(frame, DOCUMENTED["bybit.orderbook"])
    assert (sort, text[: len(expected[1])]) == expected


@pytest.mark.parametrize(
    ("exchange", "frame"),
    [
        ("bybit", {"topic": "tickers.BTCUSDT"}),
        ("bybit", {"op": "auth"}),
        ("binance", {"e": "aggTrade"}),
        ("kraken", {"channel": "level3"}),
        ("okx", {"arg": {"channel": "liquidations"}}),
        ("okx", []),
    ],
)
def test_a_message_of_no_documented_kind_is_none(exchange: str, frame: Any) -> None:
    assert kind_of(exchange, "spot", frame) is None
