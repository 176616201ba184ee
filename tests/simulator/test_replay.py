"""Recorded frames played again: verbatim, with snapshots that fit the position."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest

from collector.errors import UserError
from collector.simulator import Simulator
from collector.simulator.recording import read_recording

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulator.conftest import Client

DATA = Path(__file__).parents[3] / "shared" / "data"
recorded = pytest.mark.skipif(not DATA.is_dir(), reason=f"the recorded frames are not at {DATA}")
BYBIT = DATA / "bybit/bmoscon-cryptofeed-v3/spot.recv.tsv.gz"
BYBIT_DEEP = DATA / "bybit/nautechsystems-nautilus_trader/xrpusdt-ob500.data.zip"
BINANCE = DATA / "binance/nkaz001-hftbacktest/usdm_btcusdt_20240718.gz"
KRAKEN = DATA / "kraken/rjdscott-k2-market-data-platform/kraken-20s.head50.jsonl"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    symbols = {"bybit": ["BTC/USDT", "XRP/USDT:USDT"], "binance": ["BTC/USDT:USDT"], "kraken": ["BTC/USD"]}
    with Simulator(symbols=symbols, updates_per_s=100.0) as running:
        yield running


@recorded
@pytest.mark.parametrize(
    ("symbol", "path", "topic", "market", "expected"),
    [
        ("BTC/USDT", BYBIT, "orderbook.200.BTCUSDT", "spot", 200),
        ("BTC/USDT", BYBIT, "publicTrade.BTCUSDT", "spot", 10),
        ("XRP/USDT:USDT", BYBIT_DEEP, "orderbook.500.XRPUSDT", "linear", 50),
    ],
)
def test_bybit_frames_come_verbatim(
    simulator: Simulator,
    connect: type[Client],
    symbol: str,
    path: Path,
    topic: str,
    market: str,
    expected: int,
) -> None:
    texts = [frame.text for frame in read_recording(path) if f'"topic":"{topic}"' in frame.text]
    assert len(texts) >= expected
    replay = simulator.replay("bybit", symbol, path, speed=0)
    with connect(simulator, f"/v5/public/{market}") as client:
        client.send(op="subscribe", args=[topic])
        assert client.receive()["success"]
        assert [client.receive_text() for _ in texts] == texts
    assert replay.wait(10) >= len(texts)


@recorded
def test_a_late_subscriber_gets_the_book_of_that_position(
    simulator: Simulator, connect: type[Client]
) -> None:
    bids: dict[str, str] = {}
    last: Any = None
    for frame in read_recording(BYBIT_DEEP):
        last = json.loads(frame.text)
        bids.update(last["data"]["b"])
    replay = simulator.replay("bybit", "XRP/USDT:USDT", BYBIT_DEEP, speed=0)
    with connect(simulator, "/v5/public/linear") as early, connect(simulator, "/v5/public/linear") as late:
        early.send(op="subscribe", args=["orderbook.500.XRPUSDT"])
        replay.wait(10)
        late.send(op="subscribe", args=["orderbook.500.XRPUSDT"])
        late.receive()
        snapshot = late.receive()
    assert (snapshot["type"], snapshot["data"]["u"]) == ("snapshot", last["data"]["u"])
    assert dict(snapshot["data"]["b"]) == {price: size for price, size in bids.items() if float(size)}


@recorded
def test_binance_diffs_bridge_to_the_snapshot_and_the_ticker_agrees(
    simulator: Simulator, connect: type[Client]
) -> None:
    simulator.replay("binance", "BTC/USDT:USDT", BINANCE, speed=0)
    with connect(simulator, "/fut/public/ws/0") as client:
        client.send(method="SUBSCRIBE", params=["btcusdt@depth@0ms", "btcusdt@bookTicker"], id=1)
        assert client.receive()["result"] is None
        bids: dict[float, float] = {}
        asks: dict[float, float] = {}
        tickers: dict[int, tuple[float, float]] = {}
        number, last_u, synced, agreed = 0, None, False, 0
        while agreed < 100:
            message = client.receive()
            if message["e"] == "depthUpdate":
                if not number:
                    snapshot = json.loads(client.get("/fapi/v1/depth?symbol=BTCUSDT&limit=1000")[2])
                    number = snapshot["lastUpdateId"]
                    client.apply(bids, snapshot["bids"])
                    client.apply(asks, snapshot["asks"])
                if last_u is not None:
                    assert message["pu"] == last_u
                last_u = message["u"]
                if last_u >= number:
                    assert synced or message["U"] <= number
                    synced = True
                    client.apply(bids, message["b"])
                    client.apply(asks, message["a"])
                    if last_u in tickers:
                        assert (max(bids), min(asks)) == tickers[last_u]
                        agreed += 1
            else:
                tickers[message["u"]] = (float(message["b"]), float(message["a"]))


@recorded
def test_kraken_checksums_stay_right_and_fit_a_late_snapshot(
    simulator: Simulator, connect: type[Client]
) -> None:
    replay = simulator.replay("kraken", "BTC/USD", KRAKEN, speed=0)
    request = {"channel": "book", "symbol": ["BTC/USD"], "depth": 25}
    with connect(simulator, "/kraken/v2") as early, connect(simulator, "/kraken/v2") as late:
        early.send(method="subscribe", params=request)
        assert replay.wait(10) == 43
        late.send(method="subscribe", params=request)
        texts = [late.receive_text() for _ in range(3)]
    book = json.loads(texts[2], parse_float=str, parse_int=str)["data"][0]
    assert (len(book["bids"]), len(book["asks"])) == (25, 25)
    levels = book["asks"][:10] + book["bids"][:10]
    digits = [level[key].replace(".", "").lstrip("0") for level in levels for key in ("price", "qty")]
    assert int(book["checksum"]) == crc32("".join(digits).encode())


@recorded
def test_pace_is_as_recorded_or_faster(simulator: Simulator, connect: type[Client]) -> None:
    frames = list(read_recording(BYBIT_DEEP))
    recorded_s = (frames[-1].at_ns - frames[0].at_ns) / 1e9
    replay = simulator.replay("bybit", "XRP/USDT:USDT", BYBIT_DEEP, speed=1.0)
    started_s = time.monotonic()
    with connect(simulator, "/v5/public/linear") as client:
        client.send(op="subscribe", args=["orderbook.500.XRPUSDT"])
        replay.wait(10)
    assert time.monotonic() - started_s >= recorded_s > 0.4


def test_forms_of_recordings(tmp_path: Path) -> None:
    frame = '{"channel":"book","price":1.50}'
    forms = {
        "ns": f"1723161254024619568 {frame}",
        "us": f"1786310819526044\t{frame}",
        "payload": json.dumps({"recv_ts_ns": 7, "payload": frame}),
        "embedded": f'{{"rx_ns": 23835133737300, "frame": {frame}}}',
        "sent": f'{{"rx_ns": 1, "dir": "tx", "frame": {frame}}}',
        "cryptofeed": json.dumps({"t": "recv", "ts": 1.5, "data": frame}),
        "header": json.dumps({"t": "header", "exchange": "X"}),
        "bare": frame,
    }
    path = tmp_path / "frames.jsonl"
    path.write_text("\n".join(forms.values()))
    rows = list(read_recording(path))
    assert [row.text for row in rows] == [frame] * 6
    assert [row.at_ns for row in rows[:5]] == [
        1723161254024619568,
        1786310819526044000,
        7,
        23835133737300,
        1_500_000_000,
    ]


def test_a_recording_of_something_else_is_told(simulator: Simulator, tmp_path: Path) -> None:
    path = tmp_path / "frames.txt"
    path.write_text('1723161254024619568 {"channel":"heartbeat"}\n1723161254024619569 {not json\n')
    with pytest.raises(UserError, match="frame 2 of the recording"):
        simulator.replay("bybit", "BTC/USDT", path)


def test_a_missing_recording_is_told(simulator: Simulator, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no recording at"):
        simulator.replay("bybit", "BTC/USDT", tmp_path / "none.gz")
