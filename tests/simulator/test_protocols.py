"""What each exchange answers: acks, errors, pings, limits, pages."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from collector.cli.commands.simulate import simulate
from collector.simulator import Simulator
from collector.simulator.admission import Allowance, Rule
from collector.simulator.exchanges.bybit import Bybit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.simulator.conftest import Client

SYMBOLS = {
    "bybit": ["BTC/USDT", "BTC/USDT:USDT"],
    "binance": ["ETH/USDT", "BTC/USDT:USDT"],
    "kraken": ["BTC/USD", "ETH/USD"],
}


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(symbols=SYMBOLS, updates_per_s=0.0) as running:
        yield running


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"op": "ping", "req_id": "9"}, {"success": True, "ret_msg": "pong", "req_id": "9", "op": "ping"}),
        ({"op": "dance"}, {"success": False, "ret_msg": "error:request op dance not supported"}),
        ({"op": "subscribe", "args": []}, {"success": False, "ret_msg": "error:request args empty"}),
        (
            {"op": "subscribe", "args": ["orderbook.51.BTCUSDT"]},
            {"success": False, "ret_msg": "error:handler not found,topic:orderbook.51.BTCUSDT"},
        ),
        ({"op": "subscribe", "args": ["publicTrade.NOUSDT"]}, {"success": False}),
        ({"op": "subscribe", "args": ["publicTrade.BTCUSDT"] * 11}, {"ret_msg": "error:args size >10"}),
        ({"op": "subscribe", "args": ["publicTrade.BTCUSDT"]}, {"success": True, "ret_msg": "subscribe"}),
    ],
)
def test_bybit_answers(
    simulator: Simulator, connect: type[Client], sent: dict[str, Any], expected: dict[str, Any]
) -> None:
    with connect(simulator, "/v5/public/spot") as client:
        client.send(**sent)
        answer = client.receive()
    assert {key: answer[key] for key in expected} == expected


def test_bybit_subscribes_once_and_unsubscribes(simulator: Simulator, connect: type[Client]) -> None:
    with connect(simulator, "/v5/public/spot") as client:
        for _ in range(2):
            client.send(op="subscribe", args=["publicTrade.BTCUSDT"])
        assert [client.receive()["success"] for _ in range(2)] == [True, False]
        client.send(op="unsubscribe", args=["publicTrade.BTCUSDT"])
        assert client.receive()["success"]
        assert simulator.connections("bybit")[0].topics == {}


def test_bybit_best_prices_are_snapshots_only(simulator: Simulator, connect: type[Client]) -> None:
    with connect(simulator, "/v5/public/linear") as client:
        client.send(op="subscribe", args=["orderbook.1.BTCUSDT"])
        client.receive()
        simulator.publish(50, "BTC/USDT:USDT", "bybit")
        states = list(simulator.truth.books("bybit", "BTC/USDT:USDT", "bbo"))
        assert 10 < len(states) < 51
        for state in states:
            message = client.receive()
            data = message["data"]
            assert (message["type"], data["u"]) == ("snapshot", state.sequence)
            assert [[float(text) for text in level] for level in data["b"]] == [list(state.bids[0])]
            assert [[float(text) for text in level] for level in data["a"]] == [list(state.asks[0])]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"method":"LIST_SUBSCRIPTIONS","id":3}', {"result": ["ethusdt@trade"], "id": 3}),
        ('{"method":"SUBSCRIBE","params":["nousdt@trade"],"id":4}', {"result": None, "id": 4}),
        ('{"method":"UNSUBSCRIBE","params":["ethusdt@trade"],"id":5}', {"result": None, "id": 5}),
        (
            '{"method":"JUMP","id":6}',
            {"error": {"code": 2, "msg": "Invalid request: unknown variant `JUMP`"}, "id": 6},
        ),
        ("{", {"error": {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}, "id": None}),
    ],
)
def test_binance_answers(
    simulator: Simulator, connect: type[Client], text: str, expected: dict[str, Any]
) -> None:
    with connect(simulator, "/ws/ethusdt@trade") as client:
        client.send_text(text)
        assert client.receive() == expected


def test_binance_ends_those_who_ask_too_often(simulator: Simulator, connect: type[Client]) -> None:
    with connect(simulator, "/stream/ws") as client:
        for number in range(6):
            client.send(method="LIST_SUBSCRIPTIONS", id=number)
        messages = [client.receive_message() for _ in range(6)]
    assert [message.type for message in messages[:5]] == [aiohttp.WSMsgType.TEXT] * 5
    assert (messages[5].type, messages[5].data) == (aiohttp.WSMsgType.CLOSE, 1008)


def test_binance_pings_and_ends_those_who_do_not_answer(simulator: Simulator, connect: type[Client]) -> None:
    with connect(simulator, "/stream/ws") as client:
        simulator.faults.clock(21.0)
        assert client.receive_message().type is aiohttp.WSMsgType.PING
        simulator.faults.clock(65.0)
        kinds = [client.receive_message().type for _ in range(2)]
    assert kinds == [aiohttp.WSMsgType.PING, aiohttp.WSMsgType.CLOSE]


def test_bybit_ends_those_who_never_ping(simulator: Simulator, connect: type[Client]) -> None:
    with connect(simulator, "/v5/public/spot") as client:
        simulator.faults.clock(601.0)
        assert client.receive_message().type is aiohttp.WSMsgType.CLOSE


def test_binance_best_prices_carry_the_books_update_ids(simulator: Simulator, connect: type[Client]) -> None:
    with connect(simulator, "/stream?streams=ethusdt@bookTicker/ethusdt@depth@100ms") as client:
        simulator.publish(100, "ETH/USDT")
        books = {state.sequence: state for state in simulator.truth.books("binance", "ETH/USDT", "book.1")}
        tickers, last = 0, None
        for _ in range(100):
            message = client.receive()
            if message["stream"].endswith("bookTicker"):
                state = books[message["data"]["u"]]
                assert float(message["data"]["b"]) == state.bids[0][0]
                assert float(message["data"]["A"]) == state.asks[0][1]
                tickers += 1
            else:
                assert last is None or message["data"]["U"] == last + 1
                last = message["data"]["u"]
        assert tickers > 20


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"channel": "book", "symbol": ["NO/NO"]}, "Currency pair not supported NO/NO"),
        ({"channel": "book", "symbol": ["BTC/USD"], "depth": 11}, "Subscription depth not supported"),
        (
            {"channel": "ohlc", "symbol": ["BTC/USD"], "interval": 2},
            "Subscription ohlc interval not supported",
        ),
        ({"channel": "book"}, "Symbol(s) must be specified"),
        ({"channel": "poetry", "symbol": ["BTC/USD"]}, "Channel not supported: poetry"),
    ],
)
def test_kraken_refusals(
    simulator: Simulator, connect: type[Client], params: dict[str, Any], error: str
) -> None:
    with connect(simulator, "/kraken/v2") as client:
        client.receive()
        client.send(method="subscribe", params=params, req_id=3)
        answer = client.receive()
    assert (answer["success"], answer["error"], answer["req_id"]) == (False, error, 3)


def test_kraken_pongs_acks_each_symbol_and_beats(simulator: Simulator, connect: type[Client]) -> None:
    with connect(simulator, "/kraken/v2") as client:
        client.receive()
        client.send(method="ping", req_id=7)
        pong = client.receive()
        assert (pong["method"], pong["req_id"]) == ("pong", 7)
        client.send(method="subscribe", params={"channel": "book", "symbol": ["BTC/USD", "ETH/USD"]})
        messages = [client.receive() for _ in range(4)]
        assert [message.get("method") or message["type"] for message in messages] == [
            "subscribe",
            "snapshot",
        ] * 2
        assert client.receive() == {"channel": "heartbeat"}
        client.send(method="unsubscribe", params={"channel": "book", "symbol": ["BTC/USD"]})
        assert client.receive()["method"] == "unsubscribe"


def test_kraken_checksums_follow_the_truth(simulator: Simulator, connect: type[Client]) -> None:
    """Rebuild the book from the wire alone and sum its digits as Kraken describes."""
    from zlib import crc32  # noqa: PLC0415

    with connect(simulator, "/kraken/v2") as client:
        client.receive()
        client.send(method="subscribe", params={"channel": "book", "symbol": ["ETH/USD"], "depth": 25})
        client.receive()
        simulator.publish(200, "ETH/USD")
        sides: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
        for _ in range(201):
            row = json.loads(client.receive_text(), parse_float=str)["data"][0]
            digits = ""
            for name, way in (("asks", 1), ("bids", -1)):
                sides[name].update({level["price"]: level["qty"] for level in row[name]})
                levels = sorted(
                    ((price, size) for price, size in sides[name].items() if float(size)),
                    key=lambda level, way=way: way * float(level[0]),
                )[:25]
                sides[name] = dict(levels)
                digits += "".join(
                    text.replace(".", "").lstrip("0") for level in levels[:10] for text in level
                )
            assert row["checksum"] == crc32(digits.encode())


@pytest.mark.parametrize("root", ["/api/v3", "/fapi/v1"])
def test_binance_aggregates_page_without_a_hole(
    simulator: Simulator, connect: type[Client], root: str
) -> None:
    symbol, name = ("ETH/USDT", "ETHUSDT") if root == "/api/v3" else ("BTC/USDT:USDT", "BTCUSDT")
    simulator.publish(400, symbol, "binance")
    with connect(simulator, "/stream/ws") as client:
        newest = json.loads(client.get(f"{root}/aggTrades?symbol={name}&limit=1")[2])[0]
        rows: list[dict[str, Any]] = []
        start = newest["a"] - 299
        while not rows or rows[-1]["a"] < newest["a"]:
            page = json.loads(client.get(f"{root}/aggTrades?symbol={name}&fromId={start}&limit=70")[2])
            rows += page
            start = page[-1]["a"] + 1
    assert [row["a"] for row in rows] == list(range(newest["a"] - 299, newest["a"] + 1))
    assert [after["f"] - before["l"] for before, after in pairwise(rows)] == [1] * 299
    live = simulator.truth.trades("binance", symbol)
    assert rows[-1]["l"] == int(live[-1].trade_id)
    sizes = {trade.trade_id: trade.size for trade in live}
    last = rows[-1]
    assert float(last["q"]) == pytest.approx(
        sum(sizes[str(number)] for number in range(last["f"], last["l"] + 1))
    )


def test_kraken_trades_page_by_their_times(simulator: Simulator, connect: type[Client]) -> None:
    simulator.publish(200, "BTC/USD")
    with connect(simulator, "/kraken/v2") as client:
        whole = json.loads(client.get("/0/public/Trades?pair=XXBTZUSD&count=300")[2])["result"]["XXBTZUSD"]
        # `since` asks for what comes after it: the time before the first.
        since = str(int(float(whole[0][2]) * 1e9) - 1000)
        paged: list[Any] = []
        while True:
            result = json.loads(client.get(f"/0/public/Trades?pair=XXBTZUSD&count=40&since={since}")[2])[
                "result"
            ]
            if not result["XXBTZUSD"]:
                break
            paged += result["XXBTZUSD"]
            since = result["last"]
    assert [row[6] for row in paged][-300:] == [row[6] for row in whole]
    assert len({row[6] for row in paged}) == len(paged)


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("/api/v3/depth?symbol=NOUSDT", 400, "-1121"),
        ("/api/v3/depth", 400, "-1102"),
        ("/fapi/v1/depth?symbol=BTCUSDT&limit=7", 400, "-4021"),
        ("/api/v3/klines?symbol=ETHUSDT&interval=7m", 400, "-1120"),
        ("/v5/market/orderbook?category=linear&symbol=NO", 200, "10001"),
        ("/v5/market/kline?category=linear&symbol=BTCUSDT&interval=7", 200, "10001"),
        ("/0/public/Depth?pair=NONO", 200, "EQuery:Unknown asset pair"),
        ("/nowhere", 404, "no exchange has this path"),
    ],
)
def test_rest_refusals(
    simulator: Simulator, connect: type[Client], path: str, status: int, word: str
) -> None:
    with connect(simulator, "/kraken/v2") as client:
        found, _, body = client.get(path)
    assert found == status
    assert word in body


def test_an_allowance_renews_and_bans() -> None:
    rule = Rule("x", capacity=10, window_ms=1000, refused_until_ban=2)
    allowance = Allowance()
    waits = [allowance.spend(rule, 5, now_ms).wait_ms for now_ms in (0, 100, 200, 300, 1000)]
    assert waits == [0, 0, 800, 700, 0]
    verdicts = [allowance.spend(rule, 5, 1000) for _ in range(4)]
    assert [verdict.is_ban for verdict in verdicts] == [False, False, False, True]
    assert allowance.spend(rule, 1, 100_000).is_ban
    assert not allowance.spend(rule, 1, 122_000).is_ban


def test_prepared_frames_are_the_ones_that_would_have_been_sent(connect: type[Client]) -> None:
    def run(*, ahead: bool) -> list[str]:
        clock = iter(range(1_700_000_000_000_000_000, 1_800_000_000_000_000_000, 20_000_000))
        with (
            Simulator(symbols=SYMBOLS, updates_per_s=0.0, clock_ns=lambda: next(clock)) as simulator,
            connect(simulator, "/v5/public/linear") as client,
        ):
            client.send(op="subscribe", args=["orderbook.50.BTCUSDT", "publicTrade.BTCUSDT"])
            client.receive()
            if ahead:
                simulator.prepare(500, "BTC/USDT:USDT", "bybit")
                assert simulator.release() == 500
            else:
                simulator.publish(500, "BTC/USDT:USDT", "bybit")
            texts = [client.receive_text() for _ in range(501)]
            assert len(simulator.truth.sent("bybit", "BTC/USDT:USDT", "book.50")) == 501
        return [json.loads(text)["data"] for text in texts if "orderbook" in text]

    assert run(ahead=True) == run(ahead=False)


def test_connections_are_limited(simulator: Simulator, connect: type[Client]) -> None:
    simulator.faults.connection_allowance("bybit", 2)
    with connect(simulator, "/v5/public/spot"), connect(simulator, "/v5/public/spot"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused, connect(simulator, "/v5/public/spot"):
            pass
        assert refused.value.status == 403
        with connect(simulator, "/kraken/v2"):
            pass


def test_sent_is_found_under_the_collectors_channels(simulator: Simulator, connect: type[Client]) -> None:
    with connect(simulator, "/ws/ethusdt@depth") as client:
        simulator.wait_for_subscription("binance", "ETH/USDT", "book.10", timeout=5)
        simulator.publish(2, "ETH/USDT")
        numbers = [client.receive()["u"] for _ in range(2)]
    for channel in ("book.10", "book.50"):
        assert [each.sequence for each in simulator.truth.sent("binance", "ETH/USDT", channel)] == numbers


def test_a_client_that_does_not_read_holds_nobody_up(simulator: Simulator, connect: type[Client]) -> None:
    with connect(simulator, "/v5/public/linear") as idle, connect(simulator, "/v5/public/linear") as busy:
        for client in (idle, busy):
            client.send(op="subscribe", args=["orderbook.1000.BTCUSDT"])
            simulator.wait_for_subscription("bybit", "BTC/USDT:USDT", "book.1000", timeout=5)
        busy.receive()
        busy.receive()
        simulator.faults.huge_frame("bybit", size_bytes=12_000_000)
        simulator.publish(3, "BTC/USDT:USDT", "bybit")
        assert len(busy.receive_text()) == 12_000_000
        assert [busy.receive()["type"] for _ in range(3)] == ["delta"] * 3


def test_bursts_and_quiet_spells(connect: type[Client]) -> None:
    with (
        Simulator(symbols={"bybit": ["BTC/USDT:USDT"]}, updates_per_s=400.0, bursts=True) as simulator,
        connect(simulator, "/v5/public/linear") as client,
    ):
        client.send(op="subscribe", args=["orderbook.50.BTCUSDT"])
        assert [client.receive() for _ in range(300)][-1]["type"] == "delta"


@pytest.mark.parametrize("count", [250, pytest.param(500, marks=pytest.mark.proof)])  # 200 fill a page
def test_hundreds_of_symbols(connect: type[Client], count: int) -> None:
    symbols = [f"S{number:03}/USDT:USDT" for number in range(count)]
    with (
        Simulator(symbols={"bybit": symbols}, updates_per_s=2.0, levels=60) as simulator,
        connect(simulator, "/v5/public/linear") as client,
    ):
        rows: list[str] = []
        cursor = ""
        while True:
            page = json.loads(
                client.get(f"/v5/market/instruments-info?category=linear&limit=200&cursor={cursor}")[2]
            )
            rows += [row["symbol"] for row in page["result"]["list"]]
            cursor = page["result"]["nextPageCursor"]
            if not cursor:
                break
        assert len(set(rows)) == count
        client.send(op="subscribe", args=[f"orderbook.50.{name}" for name in rows])
        heard = set()
        while len(heard) < count:
            message = client.receive()
            if message.get("type") == "delta":
                heard.add(message["topic"])


def test_the_command_plays_a_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In this process: the command puts back the handlers of signals that it found."""
    recording = tmp_path / "frames.jsonl"
    recording.write_text('{"channel":"heartbeat"}\n')
    simulate(port=0, seconds=0.1, replay=[f"kraken:BTC/USD={recording}"])
    assert "kraken:  # BTC/USD" in capsys.readouterr().out


def test_bybit_repeats_the_best_prices_of_a_quiet_market(
    simulator: Simulator, connect: type[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bybit, "repeats_after_ns", 100_000_000)
    with connect(simulator, "/v5/public/linear") as client:
        client.send(op="subscribe", args=["orderbook.1.BTCUSDT"])
        client.receive()
        first, again = client.receive(), client.receive()
    assert first["data"] == again["data"]
    assert again["type"] == "snapshot"


def test_the_command_says_where_to_connect_and_ends_by_itself() -> None:
    program = "import typer; from collector.cli.commands.simulate import simulate; typer.run(simulate)"
    ran = subprocess.run(
        [sys.executable, "-c", program, "--port", "0", "--seconds", "0.2", "--symbol", "kraken:BTC/USD"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "kraken:  # BTC/USD" in ran.stdout
    assert "endpoints: {rest: http://127.0.0.1:" in ran.stdout
    assert ran.stderr == ""
