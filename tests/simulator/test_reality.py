"""The simulator's frames have the documented form: keys, order, types, how numbers are written.

The form stands in `tests/frames/shapes.txt`; recorded frames are held against it as well, where they are.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parents[1] / "frames"))
import recordings
from forms import (
    SOURCES,
    binance_kind,
    bybit_kind,
    check,
    first_of_each,
    heard,
    recorded_stamped,
)
from shapes import SHAPES, differences, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forms import Frames, KindOf

    from tests.simulator.conftest import Client

SYMBOLS = {
    "bybit": ["BTC/USDT", "BTC/USDT:USDT"],
    "binance": ["ETH/USDT", "BTC/USDT:USDT"],
}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(symbols=SYMBOLS, updates_per_s=0.0) as running:
        yield running


@pytest.mark.parametrize("is_recorded", SOURCES)
def test_bybit_spot(simulator: Simulator, connect: type[Client], is_recorded: bool) -> None:
    kinds = {name for name in SHAPES if name.startswith("bybit.spot.")} - {"bybit.spot.instruments"}
    if is_recorded:
        messages = recorded_stamped(recordings.BYBIT_SPOT)
        found = first_of_each(messages, partial(bybit_kind, "spot"), kinds)
    else:
        with connect(simulator, "/v5/public/spot") as client:
            topics = ["orderbook.200.BTCUSDT", "publicTrade.BTCUSDT", "kline.1.BTCUSDT"]
            client.send(op="subscribe", args=topics)
            simulator.publish(40, "BTC/USDT", "bybit")
            found = first_of_each(heard(client), partial(bybit_kind, "spot"), kinds)
    check(found, kinds)


@pytest.mark.parametrize("is_recorded", SOURCES)
@pytest.mark.parametrize(
    ("topic", "kind"),
    [
        ("publicTrade.BTCUSDT", "bybit.linear.publicTrade"),
        ("orderbook.50.BTCUSDT", "bybit.linear.orderbook.snapshot"),
    ],
)
def test_bybit_linear(
    simulator: Simulator, connect: type[Client], is_recorded: bool, topic: str, kind: str
) -> None:
    if is_recorded:
        sample = "publicTrade.LTCUSDT" if topic.startswith("publicTrade") else "orderbook.50."
        rows = recordings.lines(recordings.BYBIT_LINEAR_SAMPLES)
        text = next(row for row in rows if f'"topic":"{sample}' in row)
        # Older than `cts`, which is documented since.
        found = {kind: parse(text) | ({"cts": parse("1700000000000")} if "orderbook" in topic else {})}
    else:
        with connect(simulator, "/v5/public/linear") as client:
            client.send(op="subscribe", args=[topic])
            simulator.publish(20, "BTC/USDT:USDT", "bybit")
            found = first_of_each(heard(client), partial(bybit_kind, "linear"), {kind})
    check(found, {kind})


@pytest.mark.parametrize("is_recorded", SOURCES)
@pytest.mark.parametrize("market", ["spot", "linear"])
def test_bybit_instruments(
    simulator: Simulator, connect: type[Client], is_recorded: bool, market: str
) -> None:
    if is_recorded:
        answer = parse(recordings.text(recordings.BYBIT_INSTRUMENTS.format(market=market)))
    else:
        with connect(simulator, "/v5/public/linear") as client:
            answer = parse(client.get(f"/v5/market/instruments-info?category={market}")[2])
    kind = f"bybit.{market}.instruments"
    result = answer["result"]
    result["list"] = [row for row in result["list"] if row["symbol"] == "BTCUSDT"]
    check({kind: answer}, {kind})
    (row,), (shape,) = result["list"], SHAPES[kind]["result"]["list"]
    for part, name in (
        ("priceFilter", "tickSize"),
        ("lotSizeFilter", "qtyStep"),
        ("lotSizeFilter", "basePrecision"),
    ):
        assert row[part].get(name) == shape[part].get(name)


@pytest.mark.parametrize("is_recorded", SOURCES)
@pytest.mark.parametrize("market", ["spot", "linear"])
def test_binance_streams(simulator: Simulator, connect: type[Client], is_recorded: bool, market: str) -> None:
    kinds = {f"binance.{market}.{name}" for name in ("depth", "trade", "bookTicker", "rest")}
    kind_of = partial(binance_kind, market)
    if is_recorded:
        paths = recordings.BINANCE_SPOT if market == "spot" else recordings.BINANCE_LINEAR
        found = first_of_each(recorded_stamped(paths[0]), kind_of, kinds)
    else:
        found = simulated_binance(simulator, connect, market, kind_of, kinds)
    check(found, kinds)
    depth = found[f"binance.{market}.depth"]
    for side, way in (("b", 1 if market == "linear" else -1), ("a", 1)):
        prices = [float(level[0]) * way for level in depth["data"][side]]
        assert prices == sorted(prices)
    assert decimals(depth) == decimals(SHAPES[f"binance.{market}.depth"])


def simulated_binance(
    simulator: Simulator, connect: type[Client], market: str, kind_of: KindOf, kinds: set[str]
) -> Frames:
    path, symbol, root, wire, depth = {
        "spot": ("/stream/stream", "ETH/USDT", "api/v3", "ethusdt", "depth@100ms"),
        "linear": ("/fut/stream", "BTC/USDT:USDT", "fapi/v1", "btcusdt", "depth@0ms"),
    }[market]
    streams = "/".join(f"{wire}@{name}" for name in (depth, "trade", "bookTicker"))
    with connect(simulator, f"{path}?streams={streams}") as client:
        simulator.publish(60, symbol, "binance")
        rest = f"binance.{market}.rest"
        found = first_of_each(heard(client), kind_of, kinds - {rest})
        answer = client.get(f"/{root}/depth?symbol={wire.upper()}&limit=100")[2]
    return found | {rest: parse(answer)}


def decimals(message: Any) -> set[tuple[int, int]]:
    """Tell with how many decimals prices and sizes are written."""
    rows = message["data"]["b"] + message["data"]["a"]
    return {(len(price.partition(".")[2]), len(size.partition(".")[2])) for price, size in rows}


@pytest.mark.parametrize("is_recorded", SOURCES)
def test_binance_bars_and_aggregates(simulator: Simulator, connect: type[Client], is_recorded: bool) -> None:
    kinds = {"binance.linear.aggTrade", "binance.linear.kline"}
    kind_of = partial(binance_kind, "linear")
    if is_recorded:
        heard_then = recordings.start_of_a_client(recordings.BINANCE_LINEAR_START)
        messages = (parse(text).get("data", {}) for market, text in heard_then if market is None)
        found = first_of_each(messages, kind_of, kinds)
    else:
        with connect(simulator, "/fut/market/ws/0") as client:
            client.send(method="SUBSCRIBE", params=["btcusdt@aggTrade", "btcusdt@kline_1m"], id=1)
            assert parse(client.receive_text()) == {"result": None, "id": "1"}
            simulator.publish(30, "BTC/USDT:USDT", "binance")
            found = first_of_each(heard(client), kind_of, kinds)
    check(found, kinds)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ('{"u":1,"s":"X","b":"1","B":"1","a":"1"}', "keys"),
        ('{"s":"X","u":1,"b":"1","B":"1","a":"1","A":"1"}', "keys"),
        ('{"u":"1","s":"X","b":"1","B":"1","a":"1","A":"1"}', ".u: decimal '1', integer expected"),
        ('{"u":1.0,"s":"X","b":"1","B":"1","a":"1","A":"1"}', ".u: number '1.0', integer expected"),
        ('{"u":1,"s":"X","b":1,"B":"1","a":"1","A":"1"}', ".b: integer '1', decimal expected"),
        ('{"u":1,"s":"X","b":"1e-05","B":"1","a":"1","A":"1"}', ".b: text '1e-05', decimal expected"),
    ],
)
def test_another_form_is_told(changed: str, told: str) -> None:
    wanted = SHAPES["binance.spot.bookTicker"]["data"]
    assert differences(json.loads('{"u":1}'), {"u": 1}) == []
    (line,) = differences(parse(changed), wanted)
    assert told in line
