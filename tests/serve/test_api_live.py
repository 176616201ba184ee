"""The API of a running collector on the simulator: ticks, books, changes, pushes; cut off, and wedged."""

import asyncio
import http.client
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import websockets.asyncio.client
from pydantic import SecretStr
from websockets.exceptions import ConnectionClosed, InvalidStatus

sys.path.insert(0, str(Path(__file__).parent))
from api_rig import asked, get, listening, port_of, serving_collector
from serve_rig import TOKEN

from collector.events import PotentialHalt, Trade
from collector.query import ShortReads
from collector.serve import server_of
from collector.serve.access import COOKIE, Access
from collector.serve.api import LiveSource
from collector.serve.api.push import websocket_route
from collector.serve.api.push.outbox import Outbox
from collector.serve.recent_events import RecentEvents
from collector.serve.shown import ShownCollector
from collector.settings import ServeSettings
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parents[1] / "whole_path"))
from rig import BTC, ETH, Rig, wait_until

CHANNELS = ["book.50", "trade", "ohlcv.1m"]
BEARER = f"Authorization: Bearer {TOKEN}"
READS = f"Cookie: {COOKIE}={Access('127.0.0.1', (), TOKEN).cookie}"  # by which a browser may read


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Rig, int]]:
    """One collector with its server for the tests that break nothing."""
    path = tmp_path_factory.mktemp("live") / "live.db"
    with Simulator(updates_per_s=100.0) as simulator:
        rig = Rig(simulator, str(path), [BTC], exchanges__bybit__channels=CHANNELS, health__every_s=0.2)
        with serving_collector(rig, token=SecretStr(TOKEN)) as port:
            rig.collector.start()
            try:
                rig.wait_until_verified()
                wait_until(lambda: "BTCUSDT" in get(port, "/api/ticks"), "a tick")
                yield rig, port
            finally:
                rig.collector.stop()


def test_a_tick_is_a_trade_that_is_stored(served: tuple[Rig, int]) -> None:
    _, port = served
    wait_until(lambda: get(port, "/api/ticks")["BTCUSDT"]["trade_id"], "a trade")
    tick = get(port, "/api/ticks/BTCUSDT")

    def stored() -> list[Any]:
        page = get(port, "/api/trades/BTCUSDT", limit=5000)
        named = [dict(zip(page["columns"], row, strict=True)) for row in page["rows"]]
        return [one for one in named if one["trade_id"] == tick["trade_id"]]

    wait_until(stored, "its row")
    (row,) = stored()
    expected = (row["price"], row["size"], row["exchange_timestamp"])
    assert (tick["price"], tick["quantity"], tick["timestamp"]) == expected


def test_a_book_is_the_verified_one_with_its_sequence(served: tuple[Rig, int]) -> None:
    rig, port = served
    book = get(port, "/api/books/BTC%2FUSDT%3AUSDT", depth=20)
    assert (book["state"], book["verification"], book["channel"]) == ("verified", "sequence", "book.50")
    assert len(book["bids"]) == len(book["asks"]) == 20
    assert book["bids"] == sorted(book["bids"], reverse=True)
    states = rig.simulator.truth.books("bybit", BTC, "book.50")
    (state,) = {one.sequence: one for one in states if one.sequence == book["sequence"]}.values()
    assert [tuple(level) for level in book["bids"]] == list(state.bids[:20])
    assert [tuple(level) for level in book["asks"]] == list(state.asks[:20])


def test_everything_is_taken_in_at_a_glance(served: tuple[Rig, int]) -> None:
    rig, port = served
    wait_until(lambda: get(port, "/api/overview")["health"]["state"] == "healthy", "healthy")
    wait_until(lambda: get(port, "/api/overview")["streams"][0]["updates_per_s"], "a rate")
    overview = get(port, "/api/overview")
    assert (overview["live"], overview["session_id"]) == (True, rig.collector.session.session_id)
    assert overview["identity"]["difference"] == 0
    assert get(port, "/api/stats")["total"]["received"] >= overview["identity"]["received"] > 0
    book = {one["channel"]: one for one in overview["streams"]}["book.50"]
    assert (book["name"], book["kind"], book["state"]) == ("BTCUSDT", "book", "verified")
    assert book["bid"] < book["microprice"] < book["ask"]
    assert book["bid"] < book["mid"] < book["ask"]
    assert -1 <= book["imbalance"] <= 1
    assert overview["writer"]["breaker"] == "closed"
    assert overview["exchanges"] == [
        {**overview["exchanges"][0], "exchange": "bybit", "state": "verified", "streams": 3, "verified": 3}
    ]
    assert {one["kind"] for one in overview["events"]} >= {"segment", "system_state"}
    assert [one["state"] for one in get(port, "/api/sessions")["sessions"]] == ["running"]


def test_the_document_has_health_and_metrics_beside_the_api(served: tuple[Rig, int]) -> None:
    _, port = served
    paths = get(port, "/openapi.json")["paths"]
    assert set(paths) >= {"/live", "/health", "/metrics", "/api/ticks", "/api/symbols/{symbol}"}
    assert set(paths["/api/symbols/{symbol}"]) == {"post", "delete"}
    assert asked(port, "/docs").status == 200


def test_a_client_gets_what_it_asks_for_and_nothing_else(served: tuple[Rig, int]) -> None:
    _, port = served
    with listening(port) as client:
        client.say(op="subscribe", channel="books", symbol="BTCUSDT")
        assert client.until("subscribed")["to"] == [
            {"channel": "books", "exchange": "bybit", "symbol": BTC, "interval": None}
        ]
        first, seen = client.until("book"), len(client.events)
        while client.until("book") == first or client.events[-1]["sequence"] == first["sequence"]:
            client.events = client.events[seen:]
            client.until("book")
        assert (first["name"], first["state"], len(first["bids"])) == ("BTCUSDT", "verified", 10)
        assert {event["type"] for event in client.events} <= {"subscribed", "ready", "book"}
        client.say(op="subscribe", channel="features")
        feature = client.until("feature")
        assert feature["spread"] == pytest.approx(feature["ask_price_1"] - feature["bid_price_1"])
        client.say(op="subscribe", channel="ticks", exchange="bybit")
        tick = client.until("tick")
        assert tick["side"] in {"buy", "sell"}
        client.say(op="subscribe", channel="bars", interval="1m")
        assert client.until("bar")["interval"] == "1m"
        client.say(op="subscribe", channel="overview")
        assert client.until("overview")["live"] is True


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no json", "no JSON object"),
        ("[1]", "no JSON object"),
        ('{"op": "buy"}', "op is not understood"),
        ('{"op": "subscribe"}', "no channel"),
        ('{"op": "subscribe", "channel": "all"}', "there is no channel 'all'"),
        ('{"op": "subscribe", "channel": "ticks", "symbol": "NOPE"}', "no market here is called 'NOPE'"),
        ('{"op": "subscribe", "channel": "ticks", "symbol": 7}', "symbol is not understood"),
    ],
)
def test_a_command_that_is_not_understood_is_answered(
    served: tuple[Rig, int], text: str, reason: str
) -> None:
    _, port = served
    with listening(port) as client:
        client.send(text)
        error = client.until("error")
        assert error["reason"] == reason
        assert error["expected"]


def test_a_page_from_elsewhere_gets_no_websocket(served: tuple[Rig, int]) -> None:
    _, port = served
    with pytest.raises(InvalidStatus), listening(port, origin="http://evil.example"):
        pass
    with listening(port, origin=f"http://127.0.0.1:{port}") as client:
        client.say(op="ping")
        client.until("pong")


def test_a_client_that_wants_nothing_or_sends_too_much_is_let_go(
    served: tuple[Rig, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, port = served
    monkeypatch.setattr(websocket_route, "FIRST_WANT_S", 0.05)
    with listening(port) as client, pytest.raises(ConnectionClosed, match="nothing is asked for"):
        client.until("pong")
    with listening(port) as client:
        client.send("x" * 5_000)
        with pytest.raises(ConnectionClosed, match="1009"):
            client.until("pong")


def test_a_slow_client_loses_its_oldest_and_is_told_how_many(
    served: tuple[Rig, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig, port = served
    monkeypatch.setattr(
        websocket_route, "Outbox", partial(Outbox, most=2)
    )  # slow as soon as three come at once
    with listening(port) as client:
        client.say(op="subscribe", channel="ticks")
        client.until("ready")
        rig.simulator.publish(200, BTC)
        assert client.until("lost")["count"] > 0
        client.until("tick")


async def crowd(port: int, clients: int) -> int:
    """Connect so many clients at once; return how many got both a tick and a book."""
    together = asyncio.Barrier(clients)

    async def one() -> bool:
        async with websockets.asyncio.client.connect(f"ws://127.0.0.1:{port}/ws", proxy=None) as connection:
            for channel in ("ticks", "books"):
                await connection.send(json.dumps({"op": "subscribe", "channel": channel}))
            missing = {"tick", "book"}
            while missing:
                missing -= {event["type"] for event in json.loads(await connection.recv())}
            await together.wait()  # all of them are there
            return True

    async with asyncio.timeout(90.0):
        return sum(await asyncio.gather(*(one() for _ in range(clients))))


@pytest.mark.parametrize("clients", [20, pytest.param(500, marks=pytest.mark.proof)])
def test_many_clients_are_served_at_once_and_collecting_goes_on(
    served: tuple[Rig, int], clients: int
) -> None:
    rig, port = served
    written = rig.written(BTC)
    assert asyncio.run(crowd(port, clients)) == clients
    wait_until(lambda: rig.written(BTC) > written, "rows meanwhile")
    assert get(port, "/api/stats")["total"]["dropped"] == 0
    wait_until(lambda: asked(port, "/api/ticks").status == 200, "an answer for the next")


def test_the_same_is_pushed_as_server_sent_events(served: tuple[Rig, int]) -> None:
    _, port = served
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30.0)
    connection.request("GET", "/api/stream?channels=overview,ticks,books&symbol=BTCUSDT")
    answer = connection.getresponse()
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    missing = {"overview", "tick", "book"}
    while missing:
        line = answer.readline().decode()
        if line.startswith("event: "):
            event = line.removeprefix("event: ").strip()
            told = json.loads(answer.readline().decode().removeprefix("data: "))
            assert told["type"] == event
            missing.discard(event)
    connection.close()


def test_nothing_is_listened_to_once_the_last_client_has_gone(served: tuple[Rig, int]) -> None:
    rig, port = served
    bus = rig.collector.events
    with listening(port) as client:
        client.say(op="subscribe", channel="ticks")
        client.until("ready")
        assert bus.wanted(Trade)
    wait_until(lambda: not bus.wanted(Trade), "no handler of trades")


@pytest.mark.parametrize("starts", [1, pytest.param(20, marks=pytest.mark.proof)])
def test_a_server_that_is_closed_lets_its_clients_go(served: tuple[Rig, int], starts: int) -> None:
    rig, _ = served
    bus = rig.collector.events
    before, attached = set(threading.enumerate()), len(bus._attached)
    for _ in range(starts):
        with ExitStack() as open_ones:
            with serving_collector(rig) as port:
                client = open_ones.enter_context(listening(port))
                client.say(op="subscribe", channel="ticks")
                client.until("ready")
                stream = http.client.HTTPConnection("127.0.0.1", port, timeout=30.0)
                open_ones.callback(stream.close)
                stream.request("GET", "/api/stream?channels=bars")
                stream.getresponse().readline()
                get(port, "/api/events")
                assert bus.wanted(Trade)
                began_s = time.monotonic()
            assert time.monotonic() - began_s < 30.0
            with pytest.raises(ConnectionClosed):
                client.until("never")
        assert not bus.wanted(Trade)
    assert len(bus._attached) == attached
    ours = [one for one in set(threading.enumerate()) - before if "websockets" not in one.name]
    wait_until(lambda: not any(one.is_alive() for one in ours), "no thread stays")


def test_no_secret_is_in_an_answer(tmp_path: Path) -> None:
    """A driver's error may hold the password of its database."""
    with Simulator(updates_per_s=50.0) as simulator:
        rig = Rig(simulator, str(tmp_path / "live.db"), [BTC], health__every_s=0.1)
        secret = "hunter2-secret"
        settings = rig.settings.model_copy(update={"serve": ServeSettings(port=0, token=SecretStr(secret))})
        server = server_of(settings, rig.collector, by_default=True)
        assert server is not None
        assert server.start()
        rig.collector.start()
        try:
            port = port_of(server)
            halt = PotentialHalt("", "database", f"no way in with {secret}", 1)
            rig.collector.events.publish(halt)
            told = [event["text"] for event in wait_for_halt(port)]
            assert told == ["database: no way in with ****"]
            wait_until(
                lambda: [
                    one for one in get(port, "/api/events")["events"] if one["kind"] == "potential_halt"
                ],
                "its row",
            )
            for path in ("/api/events", "/api/overview", "/openapi.json"):
                answer = asked(port, path)
                assert answer.status == 200
                assert secret not in answer.body.decode()
        finally:
            rig.collector.stop()
            server.close()


def wait_for_halt(port: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    def is_there() -> bool:
        answer = asked(port, "/api/overview")
        events = answer.json["events"] if answer.status == 200 else []
        found[:] = [one for one in events if one["kind"] == "potential_halt"]
        return bool(found)

    wait_until(is_there, "the halt among the events")
    return found


def test_markets_are_collected_and_left_until_the_next_start(served: tuple[Rig, int]) -> None:
    rig, port = served
    for headers in ((), ("Authorization: Bearer another",), (READS,)):
        for method, name in (("POST", "ETHUSDT"), ("DELETE", "BTCUSDT")):
            answer = asked(port, f"/api/symbols/{name}", *headers, method=method)
            assert (answer.status, answer.json["reason"]) == (401, "no token, or another one")
    assert list(get(port, "/api/ticks")) == ["BTCUSDT"]
    begun = asked(port, "/api/symbols/ETHUSDT", BEARER, method="POST").json
    assert (begun["symbol"], sorted(begun["streams"])) == (ETH, sorted(CHANNELS))
    assert begun["lasts"].startswith("until the next start")
    wait_until(lambda: "ETHUSDT" in get(port, "/api/ticks"), "a tick of it")
    ended = asked(port, "/api/symbols/BYBIT:ETHUSDT", BEARER, method="DELETE").json
    assert (ended["symbol"], sorted(ended["streams"])) == (ETH, sorted(CHANNELS))
    wait_until(lambda: "ETHUSDT" not in get(port, "/api/ticks"), "it is left")
    for method in ("POST", "DELETE"):
        refused = asked(port, "/api/symbols/NOPEUSDT", BEARER, method=method)
        assert refused.status == 400
        assert "NOPEUSDT" in refused.json["reason"]
    assert rig.collector.view().refused == ()  # a name that was mistyped is no trouble of what is collected


def test_without_a_token_nothing_can_be_changed(tmp_path: Path) -> None:
    with Simulator(updates_per_s=50.0) as simulator:
        rig = Rig(simulator, str(tmp_path / "live.db"), [BTC])
        with serving_collector(rig) as port:
            answer = asked(port, "/api/symbols/ETHUSDT", BEARER, method="POST")
            assert (answer.status, answer.json["expected"][:9]) == (403, "COLLECTOR")
            starting = asked(port, "/api/overview")
            assert (starting.status, starting.json["expected"]) == (503, "the same question, later")


def test_a_book_that_is_not_verified_shows_nothing_and_is_told(tmp_path: Path) -> None:
    with Simulator(updates_per_s=100.0) as simulator:
        rig = Rig(simulator, str(tmp_path / "live.db"), [BTC], stream__backoff_max_s=0.2)
        rig.collector.start()
        try:
            rig.wait_until_verified()
            with serving_collector(rig) as port, listening(port) as client:
                client.say(op="subscribe", channel="states", symbol="BTCUSDT")
                client.until("ready")
                simulator.faults.refuse("bybit", count=100_000)
                simulator.faults.close("bybit")
                lost = client.until("state")
                assert (lost["symbol"], lost["state"], lost["cause"]) == (BTC, "syncing", "disconnect")
                book = get(port, "/api/books/BTCUSDT")
                assert (book["bids"], book["asks"], book["sequence"]) == ([], [], None)
                assert book["state"] in {"syncing", "down"}
                wait_until(lambda: get(port, "/api/gaps")["gaps"], "the hole, while it lasts")
                (gap,) = get(port, "/api/gaps")["gaps"]
                assert (gap["symbol"], gap["cause"]) == (BTC, "disconnect")
                simulator.calm()
                client.events.clear()
                assert client.until("state")["state"] == "verified"
        finally:
            rig.collector.stop()


@contextmanager
def wedged(rig: Rig) -> Iterator[None]:
    """Hold up the loop that collects."""
    begun, over = threading.Event(), threading.Event()

    def wedge() -> None:
        begun.set()
        over.wait(60.0)

    caller = threading.Thread(target=rig.collector.stream.call, args=(wedge, 60.0))
    caller.start()
    try:
        assert begun.wait(30.0)
        yield
    finally:
        over.set()
        caller.join()


def test_a_wedged_loop_is_waited_for_a_second_and_what_is_stored_is_still_given(
    served: tuple[Rig, int],
) -> None:
    rig, port = served
    get(port, "/api/features/BTCUSDT", limit=1)
    with wedged(rig):
        answer = asked(port, "/api/books/BTCUSDT")
        assert (answer.status, answer.json["reason"]) == (
            503,
            "the loop that collects did not answer within 1 s",
        )
        assert get(port, "/api/events", limit=1)["events"]
        assert get(port, "/api/overview")["live"] is True
    wait_until(lambda: asked(port, "/api/books/BTCUSDT").status == 200, "an answer again")


def test_a_task_that_is_cancelled_while_the_loop_is_asked_ends(served: tuple[Rig, int]) -> None:
    """What pushes is cancelled when its last client goes: it must not take that for an answer, and go on."""
    rig, _ = served
    collector = rig.collector

    async def cancelled() -> None:
        recent = RecentEvents(collector.events)
        shown, reads = ShownCollector(collector), ShortReads(collector.database_url)
        source = LiveSource(collector, shown, reads, recent)
        asking = asyncio.create_task(source.now())
        while not source._lock.locked():  # noqa: ASYNC110  (there is no event for that)
            await asyncio.sleep(0)
        asking.cancel()
        recent.close()
        with pytest.raises(asyncio.CancelledError):
            await asking

    with wedged(rig):
        asyncio.run(cancelled())


def test_a_command_is_answered_while_the_loop_is_wedged(served: tuple[Rig, int]) -> None:
    rig, port = served
    with listening(port) as client:
        client.say(op="subscribe", channel="ticks")
        client.until("ready")
        with wedged(rig):
            wait_until(lambda: asked(port, "/api/ticks").status == 503, "nothing that is remembered")
            client.say(op="subscribe", channel="ticks", symbol="BTCUSDT")
            error = client.until("error")
        assert error["reason"] == "the loop that collects did not answer within 1 s"
        client.say(op="subscribe", channel="ticks", symbol="BTCUSDT")
        client.until("ready")
