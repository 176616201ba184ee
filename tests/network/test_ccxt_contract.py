"""What we lean on in ccxt.pro, held against the pinned version; and its holes, which must not become ours."""

import asyncio
import gc
import inspect
import json
import socket
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ccxt
import ccxt.pro
import pytest
import sqlalchemy as sa
from ccxt.async_support.base.exchange import Exchange
from ccxt.async_support.base.ws.client import Client

sys.path.insert(0, str(Path(__file__).parents[1]))
from ready_tables import lay_tables

from collector.app.wiring import make_collector
from collector.errors import StreamError
from collector.events.batch import StreamKey
from collector.events.notices import SegmentChanged
from collector.exchanges.addresses import dialled
from collector.exchanges.exchange import MarketKind
from collector.exchanges.registry import EXCHANGES
from collector.network.allowance import Allowance, Need
from collector.network.failures import Failure, classify, classify_close
from collector.network.markets import Markets, Source, load_markets
from collector.network.tap import TakeText, dialler
from collector.network.turn_queue import Waiting
from collector.query.database import reading
from collector.settings import load_settings
from collector.simulator import Simulator
from collector.streams.book_stream import BookStream

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
DEADLINE_S = 60.0
LONG = pytest.mark.proof
CONNECT_TIMEOUT_S = 1.0  # the shortest that ccxt can be told


@dataclass
class Bases:
    rest: str
    ws: str


@dataclass
class Ear:
    """A tap that writes down what it hears."""

    takes: bool = True
    frames: list[tuple[Any, str]] = field(default_factory=list)
    downs: list[tuple[Any, str]] = field(default_factory=list)
    ups: list[Any] = field(default_factory=list)
    heartbeats: int = 0
    unread: list[tuple[str, Exception]] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)  # as ccxt's own hook is told them

    def reader_of(self, client: Any) -> TakeText:
        def take(text: str) -> bool:
            self.frames.append((client, text))
            return self.takes

        return take

    def on_heartbeat(self, client: Any) -> None:
        del client
        self.heartbeats += 1

    def on_up(self, client: Any) -> None:
        self.ups.append(client)

    def on_unread(self, client: Any, text: str, error: Exception) -> None:
        del client
        self.unread.append((text, error))

    def on_down(self, client: Any, failure: Failure) -> None:
        self.downs.append((client, str(failure)))

    @property
    def causes(self) -> list[str]:
        return [cause for _, cause in self.downs]


def source(bases: Bases, exchange: str, *kinds: MarketKind) -> Source:
    return Source(exchange, "live", bases, kinds)


def bases_of(simulator: Simulator, exchange: str) -> Bases:
    return Bases(**simulator.endpoints(exchange))


def address(bases: Bases, exchange: str, kind: MarketKind) -> str:
    return next(url for url in dialled(exchange, "live", bases, (kind,)) if url.startswith("ws"))


@asynccontextmanager
async def dialling(
    bases: Bases, ear: Ear, exchange: str = "bybit", kind: MarketKind = "linear", **websocket: int
) -> AsyncIterator[Any]:
    """Give the ccxt object of a connection, changed only where a test says so; close it in any case."""
    none_yet = getattr(ccxt, exchange)()
    none_yet.set_markets([])
    ccxts = dialler(source(bases, exchange, kind), Markets(none_yet, (kind,)), CONNECT_TIMEOUT_S, ear)
    ccxts.enableRateLimit = False  # as for snapshots: ccxt's own queue would not take our parameters
    ccxts.options["ws"].update(websocket)
    told = ccxts.on_error

    def on_error(client: Any, error: Exception) -> None:
        ear.errors.append(error)
        told(client, error)

    ccxts.on_error = on_error
    ccxts.open()
    try:
        yield ccxts
    finally:
        await ccxts.close()


def dial(ccxts: Any, url: str) -> Any:
    client = ccxts.client(url)
    client.connect(ccxts.session, 0)
    return client


async def until(condition: Callable[[], object], what: str) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {DEADLINE_S:g} s: {what}"
        await asyncio.sleep(0.005)


async def elsewhere(work: Callable[..., Any], *arguments: Any) -> Any:
    """Ask the simulator, which answers from its own thread."""
    return await asyncio.to_thread(work, *arguments)


@contextmanager
def unanswered_port(*, listens: bool) -> Iterator[Bases]:
    """Give an address that refuses (bound only), or takes the connection and never says a word."""
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        if listens:
            mute.listen()
        port = mute.getsockname()[1]
        yield Bases(f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}")


# What is installed, and what it looks like


@pytest.mark.parametrize("library", ["ccxt", "aiohttp"])
def test_the_pinned_version_is_the_one_tested(library: str) -> None:
    pins = (Path(__file__).parents[2] / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert f"{library}=={version(library)}" in pins


SIGNATURES = [
    (Client.handle_message, ["self", "message"], False),
    (Client.handle_text_or_binary_message, ["self", "data"], False),
    (Client.connect, ["self", "session", "backoff_delay"], False),
    (Client.send, ["self", "message"], True),
    (Client.aiohttp_close, ["self"], True),
    (Client.closed, ["self"], False),
    (Exchange.open, ["self", "lazy"], False),
    (Exchange.client, ["self", "url"], False),
    (Exchange.on_connected, ["self", "client", "message"], False),
    (Exchange.on_error, ["self", "client", "error"], False),
    (Exchange.on_close, ["self", "client", "error"], False),
    (Exchange.close, ["self", "clean_instance_data"], True),
    (Exchange.set_markets, ["self", "markets", "currencies"], False),
    (Exchange.set_sandbox_mode, ["self", "enabled"], False),
    (ccxt.Exchange.load_markets, ["self", "reload", "params"], False),
]


@pytest.mark.parametrize(
    ("method", "names", "is_coroutine"), SIGNATURES, ids=[method.__qualname__ for method, _, _ in SIGNATURES]
)
def test_the_methods_we_lean_on_take_what_we_give(
    method: Callable[..., Any], names: list[str], is_coroutine: bool
) -> None:
    assert list(inspect.signature(method).parameters) == names
    assert inspect.iscoroutinefunction(method) is is_coroutine


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_no_exchange_of_ours_has_hooks_of_its_own_that_ours_would_hide(exchange: str) -> None:
    theirs = getattr(ccxt.pro, exchange)
    for name in ("client", "on_connected", "on_error", "on_close"):
        assert getattr(theirs, name) is getattr(Exchange, name), name


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_the_addresses_that_we_replace_are_there(exchange: str) -> None:
    addresses = EXCHANGES[exchange].addresses
    urls = getattr(ccxt.pro, exchange)().urls
    for key in addresses.ccxt_urls_key.values():
        assert set(addresses.ccxt_rest) <= set(urls[key]) or exchange == "bybit", key
        theirs, ours = urls[key]["ws"], addresses.ccxt_ws
        assert isinstance(theirs, str) if isinstance(ours, str) else set(ours) <= set(theirs), key


# Frames


@pytest.mark.parametrize("count", [500, pytest.param(5000, marks=LONG)])
@pytest.mark.parametrize(
    ("exchange", "kind", "symbol", "channel"),
    [
        ("bybit", "linear", BTC, "book.50"),
        ("bybit", "spot", "BTC/USDT", "book.50"),
        ("binance", "linear", BTC, "book.50"),
        ("binance", "spot", "BTC/USDT", "book.50"),
    ],
)
def test_the_tap_hears_every_frame_in_order(
    exchange: str, kind: MarketKind, symbol: str, channel: str, count: int
) -> None:
    ear = Ear()
    with Simulator(symbols={exchange: [symbol]}, updates_per_s=0.0) as simulator:
        asyncio.run(_hear_all(simulator, ear, exchange, kind, symbol, channel, count))
        sent = [one.sequence for one in simulator.truth.sent(exchange, symbol, channel)]
    messages = [json.loads(text) for _, text in ear.frames]
    heard = [
        message["data"]["u"] if exchange == "bybit" else message["u"]
        for message in messages
        if _is_book(message)
    ]
    assert len(heard) >= count
    assert heard == sent


def _is_book(message: dict[str, Any]) -> bool:
    return "u" in message or "topic" in message


async def _hear_all(
    simulator: Simulator, ear: Ear, exchange: str, kind: MarketKind, symbol: str, channel: str, frames: int
) -> None:
    bases, wire = bases_of(simulator, exchange), EXCHANGES[exchange].topics
    async with dialling(bases, ear, exchange, kind) as ccxts:
        client = dial(ccxts, address(bases, exchange, kind))
        await until(lambda: ear.ups, "up")
        await client.send(dict(wire.subscribe([wire.topic("BTCUSDT", symbol, channel)], "1")))
        await until(lambda: ear.frames, "an answer")
        await elsewhere(simulator.wait_for_subscription, exchange, symbol, channel)
        await elsewhere(simulator.prepare, frames)
        await elsewhere(simulator.release)
        count = len(simulator.truth.sent(exchange, symbol, channel))
        await until(lambda: len(ear.frames) > count, "every frame")


def test_krakens_frames_come_through_the_same_tap() -> None:
    ear = Ear()
    with Simulator(symbols={"kraken": ["BTC/USD"]}, updates_per_s=0.0) as simulator:
        asyncio.run(_hear_kraken(simulator, ear))
        sent = len(simulator.truth.sent("kraken", "BTC/USD", "book.10"))
    assert sent > 1000
    assert _krakens_books(ear) == sent


async def _hear_kraken(simulator: Simulator, ear: Ear) -> None:
    bases = bases_of(simulator, "kraken")
    async with dialling(bases, ear, "kraken", "spot") as ccxts:
        client = dial(ccxts, address(bases, "kraken", "spot"))
        await until(lambda: ear.ups, "up")
        params = {"channel": "book", "symbol": ["BTC/USD"], "depth": 10}
        await client.send({"method": "subscribe", "params": params, "req_id": 1})
        await elsewhere(simulator.wait_for_subscription, "kraken", "BTC/USD", "book.10")
        await elsewhere(simulator.publish, 1000)
        sent = len(simulator.truth.sent("kraken", "BTC/USD", "book.10"))
        await until(lambda: _krakens_books(ear) == sent, "every frame")


def _krakens_books(ear: Ear) -> int:
    return sum(text.startswith('{"channel":"book"') for _, text in ear.frames)


def test_an_error_in_ccxts_own_handler_is_told_and_does_not_end_the_receiving() -> None:
    ear = Ear(takes=False)
    with Simulator(symbols={"bybit": [BTC]}, updates_per_s=0.0) as simulator:

        async def run() -> None:
            bases = bases_of(simulator, "bybit")
            async with dialling(bases, ear) as ccxts:
                ccxts.handle_message = _stumble  # taken up as the client is made
                dial(ccxts, address(bases, "bybit", "linear"))
                await until(lambda: ear.ups, "up")
                for number in range(1, 4):
                    await elsewhere(simulator.faults.raw_frame, "bybit", '{"topic":"x"}')
                    await until(lambda number=number: len(ear.frames) == number, "the next frame")

        asyncio.run(run())
    assert [(text, repr(error)) for text, error in ear.unread] == [
        ('{"topic":"x"}', "KeyError('stumbled')")
    ] * 3


def _stumble(*_: object) -> None:
    raise KeyError("stumbled")


def test_frames_of_a_replaced_socket_can_be_told_from_those_of_the_new_one() -> None:
    ear = Ear()
    with Simulator(symbols={"bybit": [BTC]}, updates_per_s=0.0) as simulator:

        async def run() -> tuple[Any, Any]:
            bases = bases_of(simulator, "bybit")
            async with dialling(bases, ear) as ccxts:
                url = address(bases, "bybit", "linear")
                first = dial(ccxts, url)
                await until(lambda: ear.ups == [first], "the first socket")
                assert ccxts.client(url) is first
                del ccxts.clients[url]
                second = dial(ccxts, url)
                await until(lambda: ear.ups == [first, second], "the second socket")
                await elsewhere(simulator.faults.raw_frame, "bybit", '{"topic":"x"}')
                await until(lambda: len(ear.frames) == 2, "a frame on each")
                await first.aiohttp_close()
                assert first.closed()
                assert not second.closed()
                return first, second

        first, second = asyncio.run(run())
    assert first is not second
    assert {id(client) for client, _ in ear.frames} == {id(first), id(second)}


# The ends of a connection


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1012, 4001])
def test_a_close_is_told_first_by_its_code_then_at_most_as_1006(code: int) -> None:
    ear = _lost(lambda simulator: simulator.faults.close("bybit", code))
    assert ear.causes[0] == f"{classify_close(code).cause}: closed with code {code}"
    assert ear.causes[1:] in ([], ["close_1006: closed with code 1006"])
    assert ear.errors == []


def test_a_close_brings_the_words_of_the_peer() -> None:
    ear = _lost(lambda simulator: simulator.faults.close("bybit", 1012, reason="Service Restart"))
    assert ear.causes[0] == "close_1012: closed with code 1012: Service Restart"


@pytest.mark.parametrize("how", ["cut", "reset"])
def test_a_lost_socket_is_told_once_as_1006(how: str) -> None:
    ear = _lost(lambda sim: sim.faults.close("bybit") if how == "cut" else sim.faults.reset("bybit"))
    assert ear.causes == ["close_1006: closed with code 1006"]
    assert ear.errors == []


def test_a_frame_over_the_limit_is_told_as_an_error_before_the_close() -> None:
    ear = _lost(lambda simulator: simulator.faults.huge_frame("bybit", 12_000_000))
    assert [classify(error).cause for error in ear.errors] == ["close_1009"]
    assert ear.causes[0].startswith("close_1009: ")
    assert ear.causes[1:] in ([], ["close_1006: closed with code 1006"])
    assert ear.frames == []


def _lost(fault: Callable[[Simulator], object]) -> Ear:
    """Connect, lose the socket, and hear whatever ccxt tells of it until the client is gone."""
    ear = Ear()
    with Simulator(symbols={"bybit": [BTC]}, updates_per_s=0.0) as simulator:

        async def run() -> None:
            bases = bases_of(simulator, "bybit")
            async with dialling(bases, ear) as ccxts:
                client = dial(ccxts, address(bases, "bybit", "linear"))
                await until(lambda: ear.ups, "up")
                await elsewhere(fault, simulator)
                await until(lambda: ear.downs and client.closed(), "told of the end")
                assert ccxts.clients == {}  # the next `client(url)` is a new one
                await asyncio.sleep(0.1)  # whatever ccxt has still to say
                assert ear.ups == [client]
                assert {id(told) for told, _ in ear.downs} == {id(client)}

        asyncio.run(run())
    return ear


@pytest.mark.parametrize(
    ("exchange", "status", "kind", "suspicious"),
    [
        ("bybit", 403, "rate_limit", True),
        ("binance", 418, "rate_limit", False),
        ("binance", 429, "rate_limit", False),
        ("binance", 451, "transient", True),
        ("bybit", 401, "permanent", False),
        ("bybit", 503, "transient", False),
    ],
)
def test_a_refused_handshake_is_told_once_with_its_status(
    exchange: str, status: int, kind: str, suspicious: bool
) -> None:
    with Simulator(symbols={exchange: [BTC]}, updates_per_s=0.0) as simulator:
        simulator.faults.refuse(exchange, status)
        ear = _refused(bases_of(simulator, exchange), exchange)
    failure = classify(ear.errors[0], exchange)
    assert (failure.kind, failure.cause, failure.suspicious) == (kind, f"http_{status}", suspicious)


@pytest.mark.parametrize(("listens", "cause"), [(False, "refused"), (True, "timeout")])
def test_a_dial_that_is_refused_or_never_answered_is_told_once(listens: bool, cause: str) -> None:
    began_s = time.monotonic()
    with unanswered_port(listens=listens) as bases:
        ear = _refused(bases, "bybit")
    assert classify(ear.errors[0]).cause == cause
    assert listens is (time.monotonic() - began_s > CONNECT_TIMEOUT_S)


def test_a_name_that_does_not_resolve_is_told_as_such() -> None:
    ear = _refused(Bases("http://name.invalid", "ws://name.invalid"), "bybit")
    assert classify(ear.errors[0]).cause in {"no_such_host", "dns"}  # the latter where no resolver answers


def _refused(bases: Bases, exchange: str) -> Ear:
    ear = Ear()

    async def run() -> None:
        async with dialling(bases, ear, exchange) as ccxts:
            client = dial(ccxts, address(bases, exchange, "linear"))
            await until(lambda: ear.downs, "told of the failure")
            assert ccxts.clients == {}
            assert client.closed()

    asyncio.run(run())
    assert ear.ups == []
    assert len(ear.downs) == len(ear.errors) == 1
    return ear


# Options of the socket


@pytest.mark.parametrize("changed", [{}, {"keepAlive": 50}], ids=["ours", "theirs"])
def test_ccxt_pings_unless_it_is_told_not_to(changed: dict[str, int]) -> None:
    with Simulator(symbols={"bybit": [BTC]}, updates_per_s=0.0) as simulator:

        async def run() -> bool:
            bases, ear = bases_of(simulator, "bybit"), Ear()
            async with dialling(bases, ear, **changed) as ccxts:
                client = dial(ccxts, address(bases, "bybit", "linear"))
                await until(lambda: ear.ups, "up")
                if changed:
                    await until(lambda: ear.frames, "an answer to ccxt's ping")
                else:
                    await until(
                        lambda: client.ping_looper and client.ping_looper.done(), "the end of ccxt's pings"
                    )
                (connection,) = await elsewhere(simulator.connections)
                return bool(connection.last_client_ns > connection.opened_ns)

        assert asyncio.run(run()) is bool(changed)


@pytest.mark.parametrize(("changed", "taken"), [({}, 0), ({"compress": 15}, 1)], ids=["ours", "theirs"])
def test_compression_is_agreed_only_if_it_is_asked_for(changed: dict[str, int], taken: int) -> None:
    with Simulator(symbols={"bybit": [BTC]}, updates_per_s=0.0) as simulator:

        async def run() -> int:
            bases, ear = bases_of(simulator, "bybit"), Ear()
            async with dialling(bases, ear, **changed) as ccxts:
                dial(ccxts, address(bases, "bybit", "linear"))
                await until(lambda: ear.ups, "up")
                return int(await elsewhere(simulator.faults.bomb, "bybit", 1_000_000))

        assert asyncio.run(run()) == taken


@pytest.mark.parametrize(("exchange", "offered"), [("bybit", False), ("okxus", True)])
def test_compression_is_offered_where_nobody_knows_whether_the_gateway_asks_for_it(
    exchange: str, offered: bool
) -> None:
    heard: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(asyncio.IncompleteReadError):  # who dials again may leave at once
            heard.append((await reader.readuntil(b"\r\n\r\n")).decode())

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        bases = Bases(f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}")
        async with server, dialling(bases, Ear(), exchange, "spot") as ccxts:
            dial(ccxts, bases.ws)
            await until(lambda: heard, "the handshake")

    asyncio.run(run())
    assert ("Sec-WebSocket-Extensions: permessage-deflate" in heard[0]) is offered


def test_a_websockets_own_ping_is_answered_and_heard() -> None:
    ear = Ear()
    with Simulator(symbols={"binance": [BTC]}, updates_per_s=0.0) as simulator:

        async def run() -> None:
            bases = bases_of(simulator, "binance")
            async with dialling(bases, ear, "binance") as ccxts:
                client = dial(ccxts, address(bases, "binance", "linear"))
                await until(lambda: ear.ups, "up")
                await client.connection.ping()
                await until(lambda: ear.heartbeats, "the pong")

        asyncio.run(run())
    assert ear.heartbeats == 1


def test_sending_into_a_closed_socket_raises_what_we_catch() -> None:
    with Simulator(symbols={"bybit": [BTC]}, updates_per_s=0.0) as simulator:

        async def run() -> None:
            bases, ear = bases_of(simulator, "bybit"), Ear()
            async with dialling(bases, ear) as ccxts:
                client = dial(ccxts, address(bases, "bybit", "linear"))
                await until(lambda: ear.ups, "up")
                await client.aiohttp_close()
                with pytest.raises(ConnectionError):
                    await client.send({"op": "ping"})

        asyncio.run(run())


# Markets and REST


@pytest.mark.parametrize(
    ("exchange", "symbol"), [("bybit", BTC), ("binance", "BTC/USDT"), ("kraken", "BTC/USD")]
)
def test_markets_loaded_once_serve_every_connection(exchange: str, symbol: str) -> None:
    kind: MarketKind = "linear" if ":" in symbol else "spot"
    with Simulator(symbols={exchange: [symbol]}, updates_per_s=0.0) as simulator:
        bases = bases_of(simulator, exchange)
        markets = load_markets(source(bases, exchange, kind), 5.0)
    # From here on nobody answers: what is known now must be enough.

    async def run() -> None:
        async with dialling(bases, Ear(), exchange, kind) as ccxts:
            markets.share_with(ccxts)
            market = ccxts.market(symbol)
            assert market is markets.by_symbol[symbol]
            assert await ccxts.load_markets() is ccxts.markets
            assert {"id", "symbol", "base", "spot", "linear", "info"} <= set(market)
            assert market[kind]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("method", "symbol", "kind"),
    [("publicGetDepth", "BTC/USDT", "spot"), ("fapiPublicGetDepth", BTC, "linear")],
)
def test_a_snapshot_by_rest_is_the_raw_answer_and_its_headers_are_kept(
    method: str, symbol: str, kind: MarketKind
) -> None:
    with Simulator(symbols={"binance": [symbol]}, updates_per_s=0.0) as simulator:

        async def run() -> None:
            bases = bases_of(simulator, "binance")
            async with dialling(bases, Ear(), "binance", kind) as ccxts:
                answer = await getattr(ccxts, method)({"symbol": "BTCUSDT", "limit": "100"})
                assert isinstance(answer["lastUpdateId"], int)
                assert all(isinstance(number, str) for level in answer["bids"] for number in level)
                headers = {name.lower(): value for name, value in ccxts.last_response_headers.items()}
                assert float(headers["x-mbx-used-weight-1m"]) > 0
                simulator.faults.rest_status("binance", 418, path="depth", retry_after_s=1234)
                with pytest.raises(ccxt.DDoSProtection) as caught:
                    await getattr(ccxts, method)({"symbol": "BTCUSDT", "limit": "100"})
                failure = classify(caught.value, "binance", ccxts.last_response_headers)
                assert (failure.kind, failure.cause, failure.retry_after_s) == (
                    "rate_limit",
                    "http_418",
                    1234.0,
                )

        asyncio.run(run())


@pytest.mark.parametrize(
    ("status", "kind", "suspicious"),
    [
        (403, "rate_limit", True),
        (404, "transient", True),
        (451, "transient", True),
        (500, "transient", False),
        (502, "transient", False),
    ],
)
def test_the_status_of_a_rest_answer_is_found_in_ccxts_words(
    status: int, kind: str, suspicious: bool
) -> None:
    with Simulator(symbols={"binance": [BTC]}, updates_per_s=0.0) as simulator:

        async def run() -> ccxt.BaseError:
            async with dialling(bases_of(simulator, "binance"), Ear(), "binance") as ccxts:
                simulator.faults.rest_html("binance", path="depth", status=status)
                with pytest.raises(ccxt.BaseError) as caught:
                    await ccxts.fapiPublicGetDepth({"symbol": "BTCUSDT", "limit": "100"})
                return caught.value

        failure = classify(asyncio.run(run()), "binance")
    assert (failure.kind, failure.cause, failure.suspicious) == (kind, f"http_{status}", suspicious)


@pytest.mark.parametrize(
    ("listens", "cause"), [(False, "refused"), (True, "timeout")], ids=["refused", "never answered"]
)
def test_why_markets_could_not_be_loaded_is_found_beneath_two_libraries(listens: bool, cause: str) -> None:
    with unanswered_port(listens=listens) as bases, pytest.raises(StreamError) as caught:
        load_markets(source(bases, "bybit", "linear"), 0.5)
    assert classify(caught.value, "bybit").cause == cause


def test_a_geo_block_of_the_markets_is_found_beneath_two_libraries() -> None:
    with Simulator(symbols={"binance": [BTC]}, updates_per_s=0.0) as simulator:
        simulator.faults.rest_html("binance", count=10, status=451)
        with pytest.raises(StreamError) as caught:
            load_markets(source(bases_of(simulator, "binance"), "binance", "linear"), 5.0)
    failure = classify(caught.value, "binance")
    assert (failure.cause, failure.suspicious) == ("http_451", True)


# The holes of ccxt.pro, on our own path: everything that is stored is a state that the exchange published.


class Collected:
    """A collector on the simulator, and what it stored."""

    def __init__(
        self,
        simulator: Simulator,
        folder: Path,
        exchange: str,
        symbols: Sequence[str],
        channels: Sequence[str],
    ) -> None:
        self.simulator = simulator
        self.exchange = exchange
        self._database = str(folder / "live.db")
        bases = bases_of(simulator, exchange)
        section = f"exchanges.{exchange}"
        overrides = {
            f"{section}.symbols": list(symbols),
            f"{section}.channels": list(channels),
            f"{section}.endpoints.rest": bases.rest,
            f"{section}.endpoints.ws": bases.ws,
            "database.url": self._database,
            "database.auto_migrate": True,
            "stream.backoff_base_s": 0.05,
            "stream.subscribe_timeout_s": 2.0,
        }
        lay_tables(self._database)
        self.collector = make_collector(load_settings(overrides=overrides, environ={}, env_file=None))
        self.changes: list[SegmentChanged] = []
        self.collector.events.attach(SegmentChanged, self.changes.append)

    def verified(self, symbol: str, channel: str) -> int:
        """Count how often a book was verified from the ground up."""
        return sum((one.symbol, one.channel, one.verified) == (symbol, channel, True) for one in self.changes)

    def ends(self, symbol: str) -> list[str]:
        return [one.cause for one in self.changes if one.symbol == symbol and not one.verified]

    def received(self, symbol: str, channel: str) -> int:
        counts, _ = self.collector.buffer.snapshot()
        key = StreamKey(self.exchange, symbol, channel)
        return counts[key][0].received if key in counts else 0

    def stop_and_check(self, symbol: str, channel: str) -> list[int]:
        """Hold every row against the truth; return the sequences of the segments' first rows."""
        report = self.collector.stop()
        assert report.good, report
        states = defaultdict(list)
        for state in self.simulator.truth.books(self.exchange, symbol, channel):
            states[state.sequence].append((*state.bids[0], *state.asks[0]))
        first: dict[int, int] = {}
        for row in self._rows(symbol, channel):
            best = tuple(row[name] for name in ("bid_price_1", "bid_size_1", "ask_price_1", "ask_size_1"))
            assert best in states[row["sequence"]], (row["sequence"], best)
            first.setdefault(row["segment_id"], row["sequence"])
        assert first
        return list(first.values())

    def _rows(self, symbol: str, channel: str) -> list[dict[str, Any]]:
        with reading(self._database) as (connection, tables):
            hot, coverage = tables.hot, tables.coverage
            mine = sa.select(coverage.c.segment_id).where(
                coverage.c.symbol == symbol, coverage.c.channel == channel
            )
            question = sa.select(hot).where(hot.c.segment_id.in_(mine)).order_by(hot.c.id)
            return [dict(row) for row in connection.execute(question).mappings()]


@contextmanager
def collecting(
    folder: Path,
    exchange: str,
    symbols: Sequence[str],
    channels: Sequence[str] = ("book.50",),
    before: Callable[[Simulator], object] = bool,
) -> Iterator[Collected]:
    """Collect from a simulator on which `before` was done; both are stopped in any case."""
    with Simulator(symbols={exchange: list(symbols)}, updates_per_s=200.0) as simulator:
        before(simulator)
        collected = Collected(simulator, folder, exchange, symbols, channels)
        collected.collector.start()
        try:
            yield collected
        finally:
            collected.collector.stop()


def wait_until(condition: Callable[[], object], what: str) -> None:
    asyncio.run(until(condition, what))


def wait_for_rows(collected: Collected, symbol: str, channel: str, updates: int = 30) -> None:
    wait_until(lambda: collected.verified(symbol, channel), f"{symbol} {channel} verified")
    before = collected.received(symbol, channel)
    wait_until(
        lambda: collected.received(symbol, channel) > before + updates, f"updates of {symbol} {channel}"
    )


@pytest.mark.parametrize(
    ("exchange", "channels"),
    [
        pytest.param("bybit", ("book.50", "bbo"), id="best prices beside-bybit", marks=LONG),
        pytest.param("binance", ("book.50", "bbo"), id="best prices beside-binance"),
        pytest.param("bybit", ("book.50", "book.200"), id="two depths-bybit"),
        pytest.param("binance", ("book.50", "book.200"), id="two depths-binance", marks=LONG),
    ],
)
def test_a_symbols_channels_are_books_of_their_own(
    tmp_path: Path, exchange: str, channels: tuple[str, str]
) -> None:
    """In ccxt best prices collapse the book beside them, and a second depth is never subscribed."""
    with collecting(tmp_path, exchange, [BTC], channels) as collected:
        for channel in channels:
            wait_for_rows(collected, BTC, channel, updates=20)
        assert [collected.verified(BTC, channel) for channel in channels] == [1, 1]
        for channel in channels:
            collected.stop_and_check(BTC, channel)


@pytest.mark.parametrize("exchange", [pytest.param("bybit", marks=LONG), "binance"])
def test_spot_and_perpetual_of_one_name_are_not_mixed(tmp_path: Path, exchange: str) -> None:
    """Ccxt tells them apart by a word in the address: both are called BTCUSDT."""
    with collecting(tmp_path, exchange, ["BTC/USDT", BTC]) as collected:
        for symbol in ("BTC/USDT", BTC):
            wait_for_rows(collected, symbol, "book.50")
        for symbol in ("BTC/USDT", BTC):
            collected.stop_and_check(symbol, "book.50")


@pytest.mark.parametrize("exchange", ["bybit", "binance"])
def test_a_gap_in_one_symbol_is_noticed_and_leaves_the_others_alone(tmp_path: Path, exchange: str) -> None:
    """Ccxt sees no gap on Bybit, and on Binance fetches every symbol of the list again."""
    with collecting(tmp_path, exchange, [BTC, ETH]) as collected:
        for symbol in (BTC, ETH):
            wait_for_rows(collected, symbol, "book.50")
        collected.simulator.faults.gap(exchange, BTC)
        wait_until(lambda: collected.verified(BTC, "book.50") == 2, "verified again")
        wait_for_rows(collected, BTC, "book.50")
        assert collected.ends(BTC) == ["sequence_gap"]
        assert collected.ends(ETH) == []
        assert len(collected.stop_and_check(BTC, "book.50")) == 2
        assert len(collected.stop_and_check(ETH, "book.50")) == 1


def test_a_bybit_book_begins_anew_with_a_snapshot_after_a_gap(tmp_path: Path) -> None:
    """Ccxt unsubscribes another topic than it subscribed, and goes on from deltas alone."""
    with collecting(tmp_path, "bybit", [BTC]) as collected:
        wait_for_rows(collected, BTC, "book.50")
        collected.simulator.faults.gap("bybit", BTC)
        wait_until(lambda: collected.verified(BTC, "book.50") == 2, "verified again")
        wait_for_rows(collected, BTC, "book.50")
        begun = collected.stop_and_check(BTC, "book.50")
        sent = collected.simulator.truth.sent("bybit", BTC, "book.50")
        assert begun == [one.sequence for one in sent if one.kind == "snapshot"]


def test_deltas_before_a_bybit_snapshot_are_no_book(tmp_path: Path) -> None:
    """Ccxt applies them to an empty book and hands it out."""
    with collecting(
        tmp_path, "bybit", [BTC], before=lambda simulator: simulator.faults.ignore_subscription("bybit")
    ) as collected:
        wait_until(
            lambda: collected.simulator.faults.raw_frame("bybit", a_delta(7, [["100", "1"]])), "a connection"
        )
        wait_until(lambda: collected.received(BTC, "book.50"), "a delta without a snapshot")
        for sequence in range(8, 18):
            collected.simulator.faults.raw_frame("bybit", a_delta(sequence, [["100", "2"]]))
        wait_until(lambda: collected.received(BTC, "book.50") > 10, "more deltas without a snapshot")
        assert collected.verified(BTC, "book.50") == 0
        wait_for_rows(collected, BTC, "book.50")  # the subscription was made again
        assert len(collected.stop_and_check(BTC, "book.50")) == 1
        counts, _ = collected.collector.buffer.snapshot()
        assert counts[StreamKey("bybit", BTC, "book.50")][0].rejected["unsynced"] >= 11


def a_delta(sequence: int, bids: list[list[str]]) -> str:
    data = {"s": "BTCUSDT", "b": bids, "a": [], "u": sequence, "seq": 1}
    frame = {"topic": "orderbook.50.BTCUSDT", "type": "delta", "ts": 1, "data": data, "cts": 1}
    return json.dumps(frame, separators=(",", ":"))


def test_a_bybit_book_keeps_no_more_levels_than_were_subscribed(tmp_path: Path) -> None:
    """Ccxt's has no limit, and lives by the server's deletes."""
    with collecting(tmp_path, "bybit", [BTC]) as collected:
        wait_for_rows(collected, BTC, "book.50")
        collected.simulator.pause()
        sent = collected.simulator.truth.sent("bybit", BTC, "book.50")
        wait_until(lambda: collected.received(BTC, "book.50") == len(sent), "all received")
        wide = a_delta(sent[-1].sequence + 1, [[f"{10 + number}", "1"] for number in range(500)])
        assert collected.simulator.faults.raw_frame("bybit", wide) == 1
        wait_until(lambda: collected.received(BTC, "book.50") == len(sent) + 1, "the wide frame")
        assert collected.ends(BTC) == []
        (stream,) = (
            each
            for each in gc.get_objects()
            if isinstance(each, BookStream) and each._buffer is collected.collector.buffer
        )
        assert (len(stream._book.book.bids), len(stream._book.book.asks)) == (50, 50)


@pytest.mark.parametrize("symbol", ["BTC/USDT", pytest.param(BTC, marks=LONG)])
def test_a_stale_binance_snapshot_is_no_book_and_is_fetched_again(tmp_path: Path, symbol: str) -> None:
    """Ccxt hands the unsynced book out once, and tells of the error later."""
    with collecting(
        tmp_path, "binance", [symbol], before=lambda sim: sim.faults.stale_snapshot("binance", symbol, 500)
    ) as collected:
        asked = depth_requests(collected.simulator)
        collected.simulator.publish(600)
        wait_until(lambda: len(asked) >= 3, "asked again")
        assert collected.verified(symbol, "book.50") == 0
        collected.simulator.faults.stale_snapshot("binance", symbol, 0)
        wait_for_rows(collected, symbol, "book.50")
        collected.stop_and_check(symbol, "book.50")


def test_a_failed_binance_snapshot_is_fetched_again(tmp_path: Path) -> None:
    """Ccxt leaves the book dead, its cache growing, until somebody watches again."""
    with collecting(
        tmp_path, "binance", [BTC], before=lambda sim: sim.faults.rest_html("binance", 3, "depth")
    ) as collected:
        wait_for_rows(collected, BTC, "book.50")
        collected.stop_and_check(BTC, "book.50")


def test_a_narrow_binance_book_is_refilled_from_below(tmp_path: Path) -> None:
    """Ccxt cuts the book to the depth asked for, and never learns the levels beneath again."""
    with collecting(tmp_path, "binance", [BTC], ["book.5"]) as collected:
        wait_for_rows(collected, BTC, "book.5")
        for _ in range(5):
            collected.simulator.faults.sweep("binance", BTC, levels=30)
            wait_for_rows(collected, BTC, "book.5", updates=10)
        assert collected.ends(BTC) == []
        collected.stop_and_check(BTC, "book.5")


def test_a_binance_answer_sets_off_no_snapshot_outside_our_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In ccxt every confirmed subscription sets off a request of its own."""
    budgeted: list[float] = []
    begin = Allowance.begin

    def counted(allowance: Allowance, one: Waiting, now_s: float) -> None:
        if one.priority != Need.MARKETS:
            budgeted.append(one.weight)
        begin(allowance, one, now_s)

    monkeypatch.setattr(Allowance, "begin", counted)
    asked: list[str] = []
    with collecting(
        tmp_path, "binance", [BTC, ETH], before=lambda sim: depth_requests(sim, asked)
    ) as collected:
        for symbol in (BTC, ETH):
            wait_for_rows(collected, symbol, "book.50")
        for number in range(1, 10):
            collected.simulator.faults.raw_frame("binance", f'{{"result":null,"id":{number}}}')
        collected.simulator.faults.gap("binance", BTC)  # what follows it comes after the answers
        wait_until(lambda: collected.verified(BTC, "book.50") == 2, "verified again")
        wait_for_rows(collected, BTC, "book.50")
        collected.collector.stop()
    assert len(asked) == len(budgeted) >= 3


def depth_requests(simulator: Simulator, asked: list[str] | None = None) -> list[str]:
    """Write down from now on what is asked of the simulator's depth by REST."""
    written = [] if asked is None else asked
    world = simulator._world
    answer = world.rest

    def rest(exchange: Any, request: Any, now_ms: int) -> Any:
        if request.path.endswith("/depth"):
            written.append(request.query["symbol"])
        return answer(exchange, request, now_ms)

    world.rest = rest  # type: ignore[method-assign]
    return written
