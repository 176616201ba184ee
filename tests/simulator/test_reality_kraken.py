"""The simulator's frames of Kraken have the documented form, and its checksums are the exchange's."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

import pytest

from collector.simulator import Simulator
from collector.simulator.exchanges.kraken import checksum
from collector.simulator.market.market import Side

sys.path.insert(0, str(Path(__file__).parents[1] / "frames"))
import recordings
from forms import SOURCES, check, first_of_each, heard, kraken_kind, recorded_lines
from kraken_example import WORKED_ASKS, WORKED_BIDS, WORKED_CHECKSUM
from shapes import SHAPES, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulator.conftest import Client


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(symbols={"kraken": ["BTC/USD"]}, updates_per_s=0.0) as running:
        yield running


@pytest.mark.parametrize("is_recorded", SOURCES)
def test_kraken(simulator: Simulator, connect: type[Client], is_recorded: bool) -> None:
    kinds = {name for name in SHAPES if name.startswith("kraken.")} - {
        f"kraken.{name}" for name in ("subscribe.trade", "trade.snapshot", "subscribe.ohlc", "ohlc.snapshot")
    }
    if is_recorded:
        payloads = recordings.kraken_payloads(recordings.KRAKEN_BTC_25)
        found = first_of_each(map(parse, payloads), kraken_kind, kinds)
    else:
        with connect(simulator, "/kraken/v2") as client:
            client.send(method="subscribe", params={"channel": "instrument"})
            client.send(method="subscribe", params={"channel": "book", "symbol": ["BTC/USD"], "depth": 25})
            simulator.publish(5, "BTC/USD")
            found = first_of_each(heard(client), kraken_kind, kinds)
    check(found, kinds)
    levels = found["kraken.book.snapshot"]["data"][0]["bids"]
    assert all(re.fullmatch(r"\d+\.\d{8}", level["qty"]) for level in levels)
    assert all(re.fullmatch(r"\d+\.\d", level["price"]) for level in levels)
    assert len(levels) == 25


@pytest.mark.parametrize("is_recorded", SOURCES)
@pytest.mark.parametrize("channel", ["trade", "ohlc"])
def test_kraken_trades_and_bars(
    simulator: Simulator, connect: type[Client], is_recorded: bool, channel: str
) -> None:
    kinds = {f"kraken.subscribe.{channel}", f"kraken.{channel}.snapshot"}
    if is_recorded:
        messages = (row for row in recorded_lines(recordings.KRAKEN_SAMPLES) if "error" not in row)
        known = (row for row in messages if row.get("channel") == channel or "result" in row)
        found = first_of_each(known, kraken_kind, kinds)
    else:
        with connect(simulator, "/kraken/v2") as client:
            client.receive()
            client.send(method="subscribe", params={"channel": channel, "symbol": ["BTC/USD"]}, req_id=1)
            found = first_of_each(heard(client), kraken_kind, kinds)
    check(found, kinds)


def test_checksum_is_krakens_own_worked_example() -> None:
    sides = []
    for levels, sign in ((WORKED_BIDS, -1), (WORKED_ASKS, 1)):
        side = Side()
        for price, size in levels:
            side.put(sign * int(price.replace(".", "")), int(size.replace(".", "")))
        sides.append(side)
    assert checksum(*sides) == WORKED_CHECKSUM


def test_checksum_of_small_prices_drops_leading_zeros() -> None:
    bids, asks = Side(), Side()
    bids.put(-294, 1018_67572156)
    asks.put(296, 50)
    # 0.0294 and 0.0296 at four decimals, 1018.67572156 and 0.00000050 at eight.
    assert checksum(bids, asks) == crc32(b"29650" + b"294101867572156")
