"""Recorded frames played again: verbatim, with snapshots that fit the position.

Every recording is made here, frames and file; real ones are played as well, where they are.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from collector.errors import UserError
from collector.simulator import Simulator
from collector.simulator.recordings.recording import read_recording

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.simulator.conftest import Client

sys.path.insert(0, str(Path(__file__).parents[1] / "frames"))
sys.path.insert(0, str(Path(__file__).parent))
from made_kraken import slow_checksum
from recording_files import (
    BINANCE,
    KRAKEN,
    Recording,
    either,
    made_binance_linear,
    made_bybit_deep,
    made_bybit_spot,
    made_kraken_book,
    raw_binance_linear,
    recorded_binance_linear,
    recorded_bybit_deep,
    recorded_bybit_spot,
    recorded_kraken_book,
    thinned_binance_linear,
)
from recordings import where_recorded


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    symbols = {"bybit": ["BTC/USDT", "XRP/USDT:USDT"], "binance": ["BTC/USDT:USDT"], "kraken": ["BTC/USD"]}
    with Simulator(symbols=symbols, updates_per_s=100.0) as running:
        yield running


@pytest.mark.parametrize(
    ("symbol", "recording", "topic", "market", "expected"),
    [
        ("BTC/USDT", made_bybit_spot, "orderbook.200.BTCUSDT", "spot", 40),
        ("BTC/USDT", made_bybit_spot, "publicTrade.BTCUSDT", "spot", 10),
        ("XRP/USDT:USDT", made_bybit_deep, "orderbook.500.XRPUSDT", "linear", 50),
        *where_recorded(
            ("BTC/USDT", recorded_bybit_spot, "orderbook.200.BTCUSDT", "spot", 200),
            pytest.param(
                *("BTC/USDT", recorded_bybit_spot, "publicTrade.BTCUSDT", "spot", 10), marks=pytest.mark.proof
            ),
            ("XRP/USDT:USDT", recorded_bybit_deep, "orderbook.500.XRPUSDT", "linear", 50),
        ),
    ],
)
def test_bybit_frames_come_verbatim(
    simulator: Simulator,
    connect: type[Client],
    tmp_path: Path,
    symbol: str,
    recording: Recording,
    topic: str,
    market: str,
    expected: int,
) -> None:
    path, frames = recording(tmp_path)
    texts = [text for text in frames if f'"topic":"{topic}"' in text]
    assert len(texts) >= expected
    replay = simulator.replay("bybit", symbol, path, speed=0)
    with connect(simulator, f"/v5/public/{market}") as client:
        client.send(op="subscribe", args=[topic])
        assert client.receive()["success"]
        assert [client.receive_text() for _ in texts] == texts
    assert replay.wait(10) >= len(texts)


@pytest.mark.parametrize("recording", either(made_bybit_deep, recorded_bybit_deep))
def test_a_late_subscriber_gets_the_book_of_that_position(
    simulator: Simulator, connect: type[Client], tmp_path: Path, recording: Recording
) -> None:
    path, frames = recording(tmp_path)
    books: dict[str, dict[str, str]] = {"b": {}, "a": {}}
    for text in frames:
        last = json.loads(text)
        for side, levels in books.items():
            levels.update(last["data"][side])
    replay = simulator.replay("bybit", "XRP/USDT:USDT", path, speed=0)
    with connect(simulator, "/v5/public/linear") as early, connect(simulator, "/v5/public/linear") as late:
        early.send(op="subscribe", args=["orderbook.500.XRPUSDT"])
        replay.wait(10)
        late.send(op="subscribe", args=["orderbook.500.XRPUSDT"])
        late.receive()
        snapshot = late.receive()
    assert (snapshot["type"], snapshot["data"]["u"]) == ("snapshot", last["data"]["u"])
    for side, levels in books.items():
        assert dict(snapshot["data"][side]) == {price: size for price, size in levels.items() if float(size)}


@pytest.mark.parametrize(
    ("recording", "is_fetched_first"),
    [
        pytest.param(made_binance_linear, True, id="made"),
        pytest.param(raw_binance_linear, True, id="raw"),
        *where_recorded(
            pytest.param(thinned_binance_linear, True, id="recorded"),
            pytest.param(recorded_binance_linear, False, id="recorded, long", marks=pytest.mark.proof),
        ),
    ],
)
def test_binance_diffs_bridge_to_the_snapshot_and_the_ticker_agrees(
    simulator: Simulator, connect: type[Client], tmp_path: Path, recording: Recording, is_fetched_first: bool
) -> None:
    """A long recording is fetched in its midst; a short one may be over by then, so before it begins."""
    simulator.replay("binance", "BTC/USDT:USDT", recording(tmp_path)[0], speed=0)
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}

    def fetch(client: Client) -> int:
        snapshot = json.loads(client.get("/fapi/v1/depth?symbol=BTCUSDT&limit=1000")[2])
        client.apply(bids, snapshot["bids"])
        client.apply(asks, snapshot["asks"])
        return snapshot["lastUpdateId"]

    with connect(simulator, "/fut/public/ws/0") as client:
        tickers: dict[int, tuple[float, float]] = {}
        number, last_u, synced, agreed = fetch(client) if is_fetched_first else 0, None, False, 0
        client.send(method="SUBSCRIBE", params=["btcusdt@depth@0ms", "btcusdt@bookTicker"], id=1)
        assert client.receive()["result"] is None
        while agreed < 40:
            message = client.receive()
            if message["e"] == "depthUpdate":
                number = number or fetch(client)
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


def test_binances_rest_gives_the_book_of_the_position_however_often_it_is_asked(
    simulator: Simulator, connect: type[Client], tmp_path: Path
) -> None:
    path, frames = made_binance_linear(tmp_path)
    (recorded,) = (json.loads(text) for text in frames if "lastUpdateId" in text)
    books = {number: [cut(side) for side in book] for number, book in BINANCE().books.items()}
    replay = simulator.replay("binance", "BTC/USDT:USDT", path, speed=200)
    with connect(simulator, "/fut/public/ws/0") as client:

        def fetched() -> tuple[int, list[Any]]:
            book = json.loads(client.get("/fapi/v1/depth?symbol=BTCUSDT&limit=50")[2])
            return book["lastUpdateId"], [cut(book["bids"]), cut(book["asks"])]

        first = fetched()
        client.send(method="SUBSCRIBE", params=["btcusdt@depth@0ms"], id=1)
        for _ in range(BINANCE().deltas // 5):
            for _ in range(5):
                client.receive()
            found = fetched()
            assert found == first or found[1] == books[found[0]]
        replay.wait(10)
        last = fetched()
    assert first[0] == recorded["lastUpdateId"]
    assert first[1] == [cut(recorded[side]) for side in ("bids", "asks")]
    assert last == (max(books), books[max(books)])


def cut(side: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Take what an answer of 50 levels holds."""
    return [list(level) for level in side][:50]


@pytest.mark.parametrize("recording", either(made_kraken_book, recorded_kraken_book))
def test_kraken_checksums_stay_right_and_fit_a_late_snapshot(
    simulator: Simulator, connect: type[Client], tmp_path: Path, recording: Recording
) -> None:
    path, frames = recording(tmp_path)
    books = [text for text in frames if '"channel":"book","type"' in text]
    replay = simulator.replay("kraken", "BTC/USD", path, speed=0)
    request = {"channel": "book", "symbol": ["BTC/USD"], "depth": 25}
    with connect(simulator, "/kraken/v2") as early, connect(simulator, "/kraken/v2") as late:
        early.send(method="subscribe", params=request)
        assert replay.wait(10) == len(books) > 40
        late.send(method="subscribe", params=request)
        texts = [late.receive_text() for _ in range(3)]
    book = json.loads(texts[2], parse_float=str, parse_int=str)["data"][0]
    bids, asks = ([(level["price"], level["qty"]) for level in book[side]] for side in ("bids", "asks"))
    assert (len(bids), len(asks)) == (25, 25)
    last = json.loads(books[-1])["data"][0]
    assert int(book["checksum"]) == slow_checksum(bids, asks) == last["checksum"]
    if recording is made_kraken_book:
        assert (bids, asks) == KRAKEN().books[-1]


@pytest.mark.parametrize("recording", either(made_bybit_deep, recorded_bybit_deep))
def test_pace_is_as_recorded_or_faster(
    simulator: Simulator, connect: type[Client], tmp_path: Path, recording: Recording
) -> None:
    path, _ = recording(tmp_path)
    frames = list(read_recording(path))
    recorded_s = (frames[-1].at_ns - frames[0].at_ns) / 1e9
    replay = simulator.replay("bybit", "XRP/USDT:USDT", path, speed=1.0)
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
