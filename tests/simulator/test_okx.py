"""OKX's protocol as it is documented: acks, errors, sequence ids, contracts, limits, REST pages."""

from __future__ import annotations

import itertools
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from collector.simulator import Simulator
from collector.simulator.exchanges.okx import Okx
from collector.simulator.exchanges.registry import instrument

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulator.conftest import Client

SPOT, SWAP = "BTC/USDT", "BTC/USDT:USDT"
SPOT_NAME, SWAP_NAME = "BTC-USDT", "BTC-USDT-SWAP"
PUBLIC, BUSINESS = "/okx/ws/v5/public", "/okx/ws/v5/business"
CONTRACT = Decimal("0.01")


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(symbols={"okx": [SPOT, SWAP]}, updates_per_s=0.0) as running:
        yield running


@pytest.fixture
def books(simulator: Simulator, connect: type[Client]) -> Iterator[Client]:
    """A client with the book of the swap, its snapshot read."""
    with connect(simulator, PUBLIC) as client:
        assert subscribe(client, "books", SWAP_NAME)["event"] == "subscribe"
        assert client.receive()["action"] == "snapshot"
        yield client


def subscribe(client: Client, channel: str, name: str) -> Any:
    client.send(op="subscribe", args=[{"channel": channel, "instId": name}])
    return client.receive()


def ids(message: Any) -> tuple[int, int]:
    (data,) = message["data"]
    return data["prevSeqId"], data["seqId"]


@pytest.mark.parametrize(
    ("path", "text", "code", "words"),
    [
        (PUBLIC, "{", "60012", "Invalid request: {"),
        (PUBLIC, "[1]", "60012", "Invalid request: [1]"),
        (PUBLIC, '{"op":"dance","args":[]}', "60019", "Invalid op: dance"),
        (PUBLIC, '{"op":"subscribe","args":[]}', "60013", "Invalid args"),
        (PUBLIC, '{"op":"subscribe","args":["books"]}', "60013", "Invalid args"),
        (
            PUBLIC,
            '{"op":"subscribe","args":[{"channel":"books","instId":"NO-USDT"}]}',
            "60018",
            "Wrong URL or channel:books,instId:NO-USDT doesn't exist.",
        ),
        (
            PUBLIC,
            '{"op":"subscribe","args":[{"channel":"candle1m","instId":"BTC-USDT"}]}',
            "60018",
            "Wrong URL",
        ),
        (
            BUSINESS,
            '{"op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}',
            "60018",
            "Wrong URL",
        ),
        (
            BUSINESS,
            '{"op":"subscribe","args":[{"channel":"candle1D","instId":"BTC-USDT"}]}',
            "60018",
            "Wrong",
        ),
        (
            PUBLIC,
            '{"op":"subscribe","args":[{"channel":"books-l2-tbt","instId":"BTC-USDT"}]}',
            "60011",
            "Please log in",
        ),
    ],
)
def test_errors(
    simulator: Simulator, connect: type[Client], path: str, text: str, code: str, words: str
) -> None:
    with connect(simulator, path) as client:
        client.send_text(text)
        answer = client.receive()
    assert (answer["event"], answer["code"]) == ("error", code)
    assert answer["msg"].startswith(words)
    assert len(answer["connId"]) == 8


def test_ping_is_a_bare_text(simulator: Simulator, connect: type[Client]) -> None:
    with connect(simulator, PUBLIC) as client:
        client.send_text("ping")
        assert client.receive_text() == "pong"


def test_each_argument_is_acknowledged_and_unsubscribed(simulator: Simulator, connect: type[Client]) -> None:
    argument = {"channel": "trades", "instId": SPOT_NAME}
    with connect(simulator, PUBLIC) as client:
        client.send(op="subscribe", args=[argument, {"channel": "trades", "instId": "NO-USDT"}], id="7")
        first, second = client.receive(), client.receive()
        assert first == {"id": "7", "event": "subscribe", "arg": argument, "connId": first["connId"]}
        assert (second["event"], second["code"], second["id"]) == ("error", "60018", "7")
        assert subscribe(client, "trades", SPOT_NAME)["event"] == "subscribe"
        assert list(simulator.connections("okx")[0].topics) == ["trades:BTC-USDT"]
        simulator.publish(60, SPOT, "okx")
        traded = [trade.trade_id for trade in simulator.truth.trades("okx", SPOT)]
        assert [client.receive()["data"][0]["tradeId"] for _ in traded] == traded
        client.send(op="unsubscribe", args=[argument])
        assert client.receive()["event"] == "unsubscribe"
        assert simulator.connections("okx")[0].topics == {}


@pytest.mark.parametrize(("symbol", "name", "unit"), [(SPOT, SPOT_NAME, 1), (SWAP, SWAP_NAME, CONTRACT)])
def test_books_follow_the_truth_id_by_id(
    simulator: Simulator, connect: type[Client], symbol: str, name: str, unit: Decimal
) -> None:
    with connect(simulator, PUBLIC) as client:
        subscribe(client, "books", name)
        simulator.publish(200, symbol, "okx")
        sides: dict[str, dict[float, float]] = {"bids": {}, "asks": {}}
        last = -1
        for number, state in enumerate(simulator.truth.books("okx", symbol, "book.400")):
            message = client.receive()
            assert message["arg"] == {"channel": "books", "instId": name}
            assert message["action"] == ("update" if number else "snapshot")
            (data,) = message["data"]
            assert (data["prevSeqId"], data["seqId"]) == (last, state.sequence)
            assert data["ts"] == str(state.exchange_ms)
            last = data["seqId"]
            for side, levels in sides.items():
                for _price, size, zero, orders in data[side]:
                    assert (zero, orders == "0") == ("0", size == "0")
                client.apply(levels, [(row[0], float(Decimal(row[1]) * unit)) for row in data[side]])
            assert tuple(sorted(sides["bids"].items(), reverse=True)) == state.bids
            assert tuple(sorted(sides["asks"].items())) == state.asks
    assert max(len(state.bids) for state in simulator.truth.books("okx", symbol, "book.400")) > 250


def test_shorter_books_are_sent_whole_when_they_changed(simulator: Simulator, connect: type[Client]) -> None:
    with connect(simulator, PUBLIC) as client:
        subscribe(client, "books5", SPOT_NAME)
        first = client.receive()
        simulator.publish(60, SPOT, "okx")
        client.send_text("ping")
        messages = [first]
        while (text := client.receive_text()) != "pong":
            messages.append(json.loads(text))
    states = {state.sequence: state for state in simulator.truth.books("okx", SPOT, "book.5")}
    assert 20 < len(messages) <= 61
    shown = []
    for message in messages:
        assert set(message) == {"arg", "data"}
        (data,) = message["data"]
        assert set(data) == {"asks", "bids", "instId", "ts", "seqId"}
        bids = tuple((float(row[0]), float(row[1])) for row in data["bids"])
        assert bids == states[data["seqId"]].bids
        shown.append((data["bids"], data["asks"]))
    assert all(before != after for before, after in itertools.pairwise(shown))


def test_best_prices_are_sent_when_they_changed(simulator: Simulator, connect: type[Client]) -> None:
    with connect(simulator, PUBLIC) as client:
        subscribe(client, "bbo-tbt", SWAP_NAME)
        simulator.publish(50, SWAP, "okx")
        for state in simulator.truth.books("okx", SWAP, "bbo"):
            (data,) = client.receive()["data"]
            assert set(data) == {"asks", "bids", "ts", "seqId"}
            assert (data["seqId"], data["ts"]) == (state.sequence, str(state.exchange_ms))
            assert float(Decimal(data["bids"][0][1]) * CONTRACT) == state.bids[0][1]


@pytest.mark.parametrize(("channel", "path"), [("trades", PUBLIC), ("trades-all", BUSINESS)])
def test_trades_are_the_truths(simulator: Simulator, connect: type[Client], channel: str, path: str) -> None:
    with connect(simulator, path) as client:
        subscribe(client, channel, SWAP_NAME)
        simulator.publish(100, SWAP, "okx")
        truth = simulator.truth.trades("okx", SWAP)
        assert len(truth) > 20
        for trade in truth:
            (row,) = client.receive()["data"]
            assert ("seqId" in row, "count" in row) == (channel == "trades",) * 2
            assert (row["tradeId"], row["side"], int(row["ts"])) == (
                trade.trade_id,
                trade.side,
                trade.exchange_ms,
            )
            assert (float(row["px"]), float(Decimal(row["sz"]) * CONTRACT)) == (trade.price, trade.size)


def test_candles_count_contracts_base_and_quote(simulator: Simulator, connect: type[Client]) -> None:
    with connect(simulator, BUSINESS) as client:
        subscribe(client, "candle1m", SWAP_NAME)
        simulator.publish(60, SWAP, "okx")
        simulator.faults.clock(60.0)
        simulator.publish(60, SWAP, "okx")
        bars = {str(bar.open_ms): bar for bar in simulator.truth.bars("okx", SWAP)}
        over = next(bar for bar in bars.values() if bar.confirmed and bar.count)
        row: list[str] = []
        while not row or row[8] == "0":
            (row,) = client.receive()["data"]
            assert float(Decimal(row[5]) * CONTRACT) == float(row[6])
    assert int(row[0]) == over.open_ms
    numbers = [float(text) for text in (*row[1:5], row[6])]
    assert numbers == [over.open, over.high, over.low, over.close, over.volume]
    assert float(row[7]) == pytest.approx(over.volume * over.close, rel=0.01)


@pytest.mark.parametrize(
    ("symbol", "contract", "lot"),
    [("BTC/USDT:USDT", "0.01", 0.0001), ("SOL/USDT:USDT", "1", 0.01), ("DOGE/USDT:USDT", "1000", 10.0)],
)
def test_lots_are_a_hundredth_of_a_contract(symbol: str, contract: str, lot: float) -> None:
    of = instrument("okx", symbol)
    assert (of.size_text(1), of.size(1)) == ("0.01", lot)
    assert Decimal(of.size_text(1)) * Decimal(contract) == Decimal(of.base_text(1))


def test_a_quiet_book_is_sent_again_without_levels(
    simulator: Simulator, connect: type[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Okx, "repeats_after_ns", 100_000_000)
    with connect(simulator, PUBLIC) as client:
        subscribe(client, "books", SWAP_NAME)
        snapshot = client.receive()
        quiet = client.receive()
        assert (quiet["action"], quiet["data"][0]["asks"], quiet["data"][0]["bids"]) == ("update", [], [])
        assert ids(quiet) == (ids(snapshot)[1],) * 2
        monkeypatch.setattr(Okx, "repeats_after_ns", None)
        simulator.publish(1, SWAP, "okx")
        message = client.receive()
        while message["data"][0]["asks"] == message["data"][0]["bids"] == []:
            message = client.receive()
        assert ids(message)[0] == ids(snapshot)[1]


def test_a_gap_and_a_lost_frame_show_in_the_ids(simulator: Simulator, books: Client) -> None:
    simulator.publish(1, SWAP, "okx")
    simulator.faults.gap("okx", SWAP, "book.400", count=3)
    simulator.publish(2, SWAP, "okx")
    first, second, third = (ids(books.receive()) for _ in range(3))
    assert (second[0] - first[1], third[0] - second[1]) == (3, 0)
    simulator.faults.drop_frame("okx", SWAP)
    simulator.publish(2, SWAP, "okx")
    assert ids(books.receive())[0] > third[1]


def test_after_maintenance_the_ids_begin_again(simulator: Simulator, books: Client) -> None:
    simulator.publish(2, SWAP, "okx")
    simulator.faults.restart("okx", SWAP, "book.400")
    simulator.publish(2, SWAP, "okx")
    _, before, reset, after = (ids(books.receive()) for _ in range(4))
    assert reset[0] == before[1]
    assert 0 < reset[1] < reset[0]
    assert after[0] == reset[1] < after[1]
    states = simulator.truth.books("okx", SWAP, "book.400")
    assert [state.sequence for state in states[-2:]] == [reset[1], after[1]]


def test_wrong_sizes_under_right_ids(simulator: Simulator, books: Client) -> None:
    simulator.faults.corrupt_level("okx", SWAP, "book.400")
    simulator.faults.bad_number("okx", SWAP, "book.400", value="NaN")
    simulator.publish(1, SWAP, "okx")
    message = books.receive()
    rows = message["data"][0]["asks"] + message["data"][0]["bids"]
    state = simulator.truth.books("okx", SWAP, "book.400")[-1]
    true = dict(state.bids + state.asks)
    told = {float(row[0]): float(Decimal(row[1]) * CONTRACT) for row in rows[1:] if row[3] != "0"}
    assert rows[0][0] == "NaN"
    assert told
    assert all(true[price] != size for price, size in told.items())


def test_an_upgrade_is_announced(simulator: Simulator, books: Client) -> None:
    assert simulator.faults.status("okx") == 1
    message = books.receive()
    assert (message["event"], message["code"]) == ("notice", "64008")
    with pytest.raises(ValueError, match="online"):
        simulator.faults.status("okx", "online")


@pytest.mark.proof
def test_who_is_silent_is_ended_and_who_pings_is_not(
    simulator: Simulator, connect: type[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Okx, "idle_after_ns", 4_000_000_000)
    with connect(simulator, PUBLIC) as unanswered:
        simulator.faults.half_open("okx")
        with connect(simulator, PUBLIC) as silent, connect(simulator, PUBLIC) as pinging:
            while "idle" not in [fault.name for fault in simulator.truth.faults()]:
                unanswered.send_text("ping")
                pinging.send_text("ping")
                assert pinging.receive_text() == "pong"
            message = silent.receive_message()
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 4004)
            assert message.extra == "No data received in 30s"
            ended = [fault.connection for fault in simulator.truth.faults() if fault.name == "idle"]
            assert ended == [2]


def test_a_wrong_clock_ends_nobody(simulator: Simulator, books: Client) -> None:
    simulator.faults.clock(3600.0)
    simulator.publish(1, SWAP, "okx")
    assert books.receive()["action"] == "update"
    assert simulator.connections("okx")


def test_an_hours_requests_are_limited(simulator: Simulator, connect: type[Client]) -> None:
    argument = {"channel": "trades", "instId": SPOT_NAME}
    with connect(simulator, PUBLIC) as client:
        for number in range(480):
            client.send(op="unsubscribe" if number % 2 else "subscribe", args=[argument])
        assert {client.receive()["event"] for _ in range(480)} == {"subscribe", "unsubscribe"}
        client.send(op="subscribe", args=[argument])
        assert client.receive()["code"] == "60014"
        client.send_text("ping")
        assert client.receive_text() == "pong"
        simulator.faults.clock(3601.0)
        client.send(op="subscribe", args=[argument])
        assert client.receive()["event"] == "subscribe"


def test_three_connections_a_second(connect: type[Client]) -> None:
    with (
        Simulator(symbols={"okx": [SPOT]}, updates_per_s=0.0, clock_ns=lambda: 10**18) as simulator,
        connect(simulator, PUBLIC),
        connect(simulator, BUSINESS),
        connect(simulator, PUBLIC),
    ):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused, connect(simulator, PUBLIC):
            pass
        assert refused.value.status == 429
        simulator.faults.clock(1.0)
        with connect(simulator, PUBLIC):
            pass


@pytest.mark.parametrize("status", [403, 429, 503])
def test_refused_and_rejected(simulator: Simulator, connect: type[Client], status: int) -> None:
    simulator.faults.refuse("okx", status)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused, connect(simulator, PUBLIC):
        pass
    assert refused.value.status == status
    simulator.faults.reject_subscription("okx")
    with connect(simulator, PUBLIC) as client:
        answer = subscribe(client, "books", SPOT_NAME)
    assert (answer["event"], answer["code"]) == ("error", "60018")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("market/books", 400, "50014"),
        ("market/books?instId=NO-USDT", 200, "51001"),
        ("market/books?instId=BTC-USDT&sz=401", 400, "51000"),
        ("market/candles?instId=BTC-USDT&bar=7m", 400, "51000"),
        ("market/candles?instId=BTC-USDT&limit=many", 400, "51000"),
        ("public/instruments", 400, "50014"),
        ("public/instruments?instType=BOND", 400, "51000"),
        ("public/instruments?instType=OPTION&uly=BTC-USD", 200, "0"),
        ("public/time", 200, "0"),
    ],
)
def test_rest_refusals(
    simulator: Simulator, connect: type[Client], path: str, status: int, code: str
) -> None:
    with connect(simulator, PUBLIC) as client:
        found, _, body = client.get(f"/api/v5/{path}")
    assert (found, json.loads(body)["code"]) == (status, code)


def get(client: Client, path: str) -> Any:
    status, _, body = client.get(f"/api/v5/{path}")
    answer = json.loads(body)
    assert (status, answer["code"], answer["msg"]) == (200, "0", "")
    return answer["data"]


def test_a_swap_is_listed_with_its_contract(simulator: Simulator, connect: type[Client]) -> None:
    with connect(simulator, PUBLIC) as client:
        (swap,) = get(client, "public/instruments?instType=SWAP")
        (spot,) = get(client, "public/instruments?instType=SPOT&instId=BTC-USDT")
        simulator.faults.delist("okx", SWAP)
        assert get(client, "public/instruments?instType=SWAP") == []
    of_swap = {key: swap[key] for key in ("instId", "ctVal", "ctValCcy", "settleCcy", "lotSz", "uly")}
    assert list(of_swap.values()) == ["BTC-USDT-SWAP", "0.01", "BTC", "USDT", "0.01", "BTC-USDT"]
    assert (spot["ctVal"], spot["baseCcy"], spot["tickSz"]) == ("", "BTC", "0.1")


def test_rest_books_fit_between_two_updates(simulator: Simulator, books: Client) -> None:
    simulator.publish(3, SWAP, "okx")
    last = [ids(books.receive())[1] for _ in range(3)][-1]
    (book,) = get(books, f"market/books?instId={SWAP_NAME}&sz=400")
    (full,) = get(books, f"market/books-full?instId={SWAP_NAME}&sz=5000")
    assert book["seqId"] == last
    state = simulator.truth.books("okx", SWAP, "book.400")[-1]
    bids = tuple((float(row[0]), float(Decimal(row[1]) * CONTRACT)) for row in book["bids"])
    assert bids == state.bids
    assert [[price, size, orders] for price, size, _, orders in book["asks"]] == full["asks"]
    simulator.faults.stale_snapshot("okx", SWAP, steps=2)
    assert get(books, f"market/books?instId={SWAP_NAME}")[0]["seqId"] < last


def test_candles_page_by_time(connect: type[Client]) -> None:
    with (
        Simulator(symbols={"okx": [SPOT]}, updates_per_s=0.0, clock_ns=lambda: 10**18) as simulator,
        connect(simulator, PUBLIC) as client,
    ):
        newest = get(client, "market/candles?instId=BTC-USDT&bar=5m&limit=40")
        assert [row[8] for row in newest] == ["0"] + ["1"] * 39
        times = [int(row[0]) for row in newest]
        assert [before - after for before, after in itertools.pairwise(times)] == [300_000] * 39
        older = get(client, f"market/history-candles?instId=BTC-USDT&bar=5m&limit=10&after={times[9]}")
        assert older == newest[10:20]
        between = f"before={times[20]}&after={times[9]}"
        assert get(client, f"market/candles?instId=BTC-USDT&bar=5m&{between}") == newest[10:20]
        assert get(client, f"market/candles?instId=BTC-USDT&bar=5m&before={times[0]}") == []


def test_past_trades_page_by_id_and_time(simulator: Simulator, connect: type[Client]) -> None:
    simulator.publish(100, SPOT, "okx")
    with connect(simulator, PUBLIC) as client:
        newest = get(client, "market/trades?instId=BTC-USDT&limit=60")
        live = simulator.truth.trades("okx", SPOT)
        assert newest[0]["tradeId"] == live[-1].trade_id
        rows = get(client, f"market/history-trades?instId=BTC-USDT&limit=20&after={newest[9]['tradeId']}")
        assert rows == newest[10:30]
        rows = get(client, f"market/history-trades?instId=BTC-USDT&before={newest[5]['tradeId']}")
        assert rows == newest[:5]
        path = f"market/history-trades?instId=BTC-USDT&type=2&after={live[0].exchange_ms}&limit=5"
        assert {int(row["ts"]) < live[0].exchange_ms for row in get(client, path)} == {True}


def test_each_path_has_its_own_allowance(simulator: Simulator, connect: type[Client]) -> None:
    simulator.faults.rest_allowance("okx", 2)
    with connect(simulator, PUBLIC) as client:
        answers = [client.get(f"/api/v5/market/books?instId={SPOT_NAME}") for _ in range(7)]
        limited = [json.loads(body)["code"] for status, _, body in answers if status == 429]
        assert set(limited) == {"50011"}
        assert client.get("/api/v5/public/time")[0] == 200


def test_a_recording_is_played_and_a_late_subscriber_gets_a_snapshot(
    simulator: Simulator, connect: type[Client], tmp_path: Any
) -> None:
    argument = {"channel": "books", "instId": SPOT_NAME}
    head = {"arg": argument, "action": "snapshot"}
    first = {"asks": [["2", "5", "0", "1"]], "bids": [["1", "3", "0", "2"]], "ts": "1"}
    then = {"asks": [["2", "0", "0", "0"], ["3", "4", "0", "1"]], "bids": [], "ts": "2"}
    reset = {"asks": [["3", "6", "0", "1"]], "bids": [], "ts": "3"}
    frames = [
        head | {"data": [first | {"prevSeqId": -1, "seqId": 10}]},
        {"event": "subscribe", "arg": argument, "connId": "a4d3ae55"},
        head | {"action": "update", "data": [then | {"prevSeqId": 10, "seqId": 14}]},
        head | {"action": "update", "data": [reset | {"prevSeqId": 14, "seqId": 3}]},
    ]
    recording = tmp_path / "frames.tsv"
    recording.write_text("".join(f"{10**18} {json.dumps(frame)}\n" for frame in frames) + f"{10**18} pong\n")
    handle = simulator.replay("okx", SPOT, recording, speed=0)
    with connect(simulator, PUBLIC) as client, connect(simulator, PUBLIC) as late:
        subscribe(client, "books", SPOT_NAME)
        assert [client.receive() for _ in range(3)] == [frames[0], *frames[2:]]
        assert handle.wait(10) == 3
        subscribe(late, "books", SPOT_NAME)
        (data,) = late.receive()["data"]
    assert (data["asks"], data["bids"]) == ([["3", "6", "0", "1"]], [["1", "3", "0", "1"]])
    assert (data["prevSeqId"], data["seqId"]) == (-1, 3)
