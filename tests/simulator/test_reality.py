"""The frames that the simulator makes, held against recorded ones: keys, order, types, formats."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest

from collector.simulator import Simulator
from collector.simulator.kraken import checksum
from collector.simulator.market import Side

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulator.conftest import Client

DATA = Path(__file__).parents[3] / "shared" / "data"
recorded = pytest.mark.skipif(not DATA.is_dir(), reason=f"the recorded frames are not at {DATA}")
SYMBOLS = {
    "bybit": ["BTC/USDT", "BTC/USDT:USDT"],
    "binance": ["ETH/USDT", "BTC/USDT:USDT"],
    "kraken": ["BTC/USD"],
}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(symbols=SYMBOLS, updates_per_s=0.0) as running:
        yield running


class Number(str):
    """A JSON number as it was written."""

    __slots__ = ()


def parse(text: str) -> Any:
    return json.loads(text, parse_float=Number, parse_int=Number)


def shape(value: Any) -> Any:
    """Describe a value: keys in order, types, how numbers are written; lists by their kinds of items."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(shape(each)) for each in value})
    if isinstance(value, Number):
        is_time = re.fullmatch(r"1[4-9]\d{11}", value)
        return "number" if "." in value or "e" in value else "milliseconds" if is_time else "integer"
    if isinstance(value, str):
        return "decimal" if re.fullmatch(r"-?\d+(\.\d+)?", value) else "text"
    return type(value).__name__


def keys(value: Any) -> Any:
    """Describe the keys in their order only."""
    return json.dumps(shape(value))


def lines(path: str) -> Iterator[str]:
    file = DATA / path
    with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as rows:
        yield from rows


def heard(client: Client, wanted: int) -> list[Any]:
    return [parse(client.receive_text()) for _ in range(wanted)]


@recorded
def test_bybit_spot(simulator: Simulator, connect: type[Client]) -> None:
    real: dict[str, Any] = {}
    for line in lines("bybit/bmoscon-cryptofeed-v3/spot.recv.tsv.gz"):
        message = parse(line.split(None, 1)[1])
        real.setdefault(f"{str(message.get('topic', 'ack')).split('.')[0]} {message.get('type')}", message)
    with connect(simulator, "/v5/public/spot") as client:
        topics = ["orderbook.200.BTCUSDT", "publicTrade.BTCUSDT", "kline.1.BTCUSDT"]
        client.send(op="subscribe", args=topics)
        simulator.publish(40, "BTC/USDT", "bybit")
        made = {}
        while len(made) < 5:
            message = parse(client.receive_text())
            kind = f"{message.get('topic', 'ack').split('.')[0]} {message.get('type')}"
            made.setdefault(kind, message)
    for kind in ("ack None", "orderbook snapshot", "publicTrade snapshot", "kline snapshot"):
        assert keys(made[kind]) == keys(real[kind]), kind
    assert list(made["orderbook delta"]) == list(real["orderbook delta"])
    assert list(made["orderbook delta"]["data"]) == list(real["orderbook delta"]["data"])


@recorded
@pytest.mark.parametrize(
    ("head", "topic"), [("publicTrade.LTCUSDT", "publicTrade"), ("orderbook.50", "orderbook")]
)
def test_bybit_linear(simulator: Simulator, connect: type[Client], head: str, topic: str) -> None:
    rows = lines("bybit/tardis-dev-tardis-node/bybit_v5_linear_inverse.jsonl")
    real = next(parse(row) for row in rows if f'"topic":"{head}' in row)
    wire = "publicTrade.BTCUSDT" if topic == "publicTrade" else "orderbook.50.BTCUSDT"
    with connect(simulator, "/v5/public/linear") as client:
        client.send(op="subscribe", args=[wire])
        simulator.publish(20, "BTC/USDT:USDT", "bybit")
        made = heard(client, 2)[1]
    real.pop("cts", None)
    made.pop("cts", None)  # the capture is older than that field
    assert keys(made) == keys(real)


@recorded
@pytest.mark.parametrize(("market", "symbol"), [("spot", "BTC/USDT"), ("linear", "BTC/USDT:USDT")])
def test_bybit_instruments(simulator: Simulator, connect: type[Client], market: str, symbol: str) -> None:
    assert symbol
    text = "".join(lines(f"bybit/bmoscon-cryptofeed-v3/rest_instruments_info_{market}.json.gz"))
    with connect(simulator, "/v5/public/linear") as client:
        made = parse(client.get(f"/v5/market/instruments-info?category={market}")[2])
    real = parse(text)
    assert list(made) == list(real)
    assert list(made["result"]) == list(real["result"])
    by_name = {row["symbol"]: row for row in real["result"]["list"]}
    (row,) = made["result"]["list"]
    assert json.dumps(keys(row)) == json.dumps(keys(by_name["BTCUSDT"]))
    for part in ("priceFilter", "lotSizeFilter"):
        for name in set(row[part]) & {"tickSize", "qtyStep", "basePrecision"}:
            assert row[part][name] == by_name["BTCUSDT"][part][name]


@recorded
@pytest.mark.parametrize(
    ("path", "market", "wire", "file"),
    [
        ("/stream/stream", "ETH/USDT", "ethusdt@", "binance/nkaz001-hftbacktest/spot_ethusdt_20240808.gz"),
        ("/fut/stream", "BTC/USDT:USDT", "btcusdt@", "binance/nkaz001-hftbacktest/usdm_btcusdt_20240718.gz"),
    ],
)
def test_binance_streams(
    simulator: Simulator, connect: type[Client], path: str, market: str, wire: str, file: str
) -> None:
    real: dict[str, Any] = {}
    for line in lines(file):
        message = parse(line.split(None, 1)[1])
        kind = message.get("stream", "rest@snapshot").split("@")[1]
        if (
            kind not in real
            and message.get("data", {}).get("b") != []
            and message.get("data", {}).get("a") != []
        ):
            real[kind] = message
        if len(real) == 4:
            break
    depth = next(
        name for name in ("depth@100ms", "depth@0ms") if any(name in str(each) for each in real.values())
    )
    streams = "/".join(wire + name for name in (depth, "trade", "bookTicker"))
    made: dict[str, Any] = {}
    with connect(simulator, f"{path}?streams={streams}") as client:
        simulator.publish(60, market, "binance")
        while len(made) < 3:
            message = parse(client.receive_text())
            if message["data"].get("b") != [] and message["data"].get("a") != []:
                made.setdefault(message["stream"].split("@")[1], message)
        root = "api/v3" if "stream" in path.split("/")[1] else "fapi/v1"
        name = wire[:-1].upper()
        made["snapshot"] = parse(client.get(f"/{root}/depth?symbol={name}&limit=100")[2])
    for kind, message in made.items():
        assert keys(message) == keys(real[kind]), kind
    for side, way in (("b", 1 if "fut" in path else -1), ("a", 1)):
        for message in (made["depth"], real["depth"]):
            prices = [float(level[0]) * way for level in message["data"][side]]
            assert prices == sorted(prices)
    assert decimals(made["depth"]) == decimals(real["depth"])


def decimals(message: Any) -> set[tuple[int, int]]:
    """Tell with how many decimals prices and sizes are written."""
    rows = message["data"]["b"] + message["data"]["a"]
    return {(len(price.partition(".")[2]), len(size.partition(".")[2])) for price, size in rows}


@recorded
def test_binance_bars_and_aggregates(simulator: Simulator, connect: type[Client]) -> None:
    real: dict[str, Any] = {}
    for line in lines("binance/bmoscon-cryptofeed/BINANCE_FUTURES.jsonl.gz"):
        row = json.loads(line)
        if row["t"] == "recv":
            message = parse(row["data"])
            if message.get("data", {}).get("e") in {"aggTrade", "kline"}:
                real.setdefault(message["data"]["e"], message["data"])
    made: dict[str, Any] = {}
    with connect(simulator, "/fut/market/ws/0") as client:
        client.send(method="SUBSCRIBE", params=["btcusdt@aggTrade", "btcusdt@kline_1m"], id=1)
        assert parse(client.receive_text()) == {"result": None, "id": "1"}
        simulator.publish(30, "BTC/USDT:USDT", "binance")
        while len(made) < 2:
            message = parse(client.receive_text())
            made.setdefault(message["e"], message)
    for kind, message in made.items():
        assert keys(message) == keys(real[kind]), kind


@recorded
def test_kraken(simulator: Simulator, connect: type[Client]) -> None:
    real: dict[str, Any] = {}
    for line in lines("kraken/rjdscott-k2-market-data-platform/kraken-20s.head50.jsonl"):
        message = parse(json.loads(line)["payload"])
        real.setdefault(kraken_kind(message), message)
    made: dict[str, Any] = {}
    with connect(simulator, "/kraken/v2") as client:
        client.send(method="subscribe", params={"channel": "instrument"})
        client.send(method="subscribe", params={"channel": "book", "symbol": ["BTC/USD"], "depth": 25})
        simulator.publish(5, "BTC/USD")
        while len(made) < 7:
            message = parse(client.receive_text())
            made.setdefault(kraken_kind(message), message)
    for kind in (
        "status update",
        "subscribe book",
        "subscribe instrument",
        "book snapshot",
        "heartbeat None",
    ):
        assert keys(made[kind]) == keys(real[kind]), kind
    (made_row,), (real_row,) = made["book update"]["data"], real["book update"]["data"]
    assert list(made_row) == list(real_row)
    (made_pair,), (real_pair,) = (each["instrument snapshot"]["data"]["pairs"] for each in (made, real))
    assert list(made_pair) == list(real_pair)
    for message in (made["book snapshot"], real["book snapshot"]):
        sizes = [level["qty"] for level in message["data"][0]["bids"]]
        assert all(re.fullmatch(r"\d+\.\d{8}", size) for size in sizes)


def kraken_kind(message: Any) -> str:
    if "method" in message:
        return f"{message['method']} {message['result']['channel']}"
    return f"{message['channel']} {message.get('type')}"


@recorded
def test_kraken_trades_and_bars(simulator: Simulator, connect: type[Client]) -> None:
    real = [parse(line) for line in lines("kraken/Brendan-Blanchard-kraken-async-rs/frames.jsonl")]
    with connect(simulator, "/kraken/v2") as client:
        client.receive()
        for channel in ("trade", "ohlc"):
            client.send(method="subscribe", params={"channel": channel, "symbol": ["BTC/USD"]}, req_id=1)
            ack, snapshot = heard(client, 2)
            real_ack = next(row for row in real if row.get("result", {}).get("channel") == channel)
            real_snapshot = next(
                row for row in real if row.get("channel") == channel and row["type"] == "snapshot"
            )
            assert keys(ack) == keys(real_ack)
            assert list(snapshot) == list(real_snapshot)
            assert {keys(row) for row in snapshot["data"]} == {keys(row) for row in real_snapshot["data"]}


@recorded
def test_checksum_is_krakens_own_worked_example() -> None:
    path = "kraken/single-verified-snapshots/kraken_docs_worked_example_3310070434.jsonl"
    (book,) = parse("".join(lines(path)))["data"]
    sides = []
    for name, sign in (("bids", -1), ("asks", 1)):
        side = Side()
        for level in book[name]:
            side.put(sign * int(level["price"].replace(".", "")), int(level["qty"].replace(".", "")))
        sides.append(side)
    assert checksum(*sides) == 3310070434 == int(book["checksum"])


def test_checksum_of_small_prices_drops_leading_zeros() -> None:
    bids, asks = Side(), Side()
    bids.put(-294, 1018_67572156)
    asks.put(296, 50)
    # 0.0294 and 0.0296 at four decimals, 1018.67572156 and 0.00000050 at eight.
    assert checksum(bids, asks) == crc32(b"29650" + b"294101867572156")
