"""Frames are read inside aiohttp's parser where it offers that, and in order either way."""

import asyncio
import base64
import hashlib
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import aiohttp
import ccxt
import pytest
from aiohttp._websocket.reader import WebSocketReader
from aiohttp.base_protocol import BaseProtocol

from collector.exchanges.addresses import Endpoints
from collector.exchanges.exchange import Rate
from collector.network import inline
from collector.network.failures import Failure
from collector.network.inline import InlineQueue, is_offered
from collector.network.markets import Markets, Source
from collector.network.pacing import Pacer
from collector.network.socket import Socket

DEADLINE_S = 60.0
WAYS = ["inside the parser", "ccxt's loop"]
GREETING = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # of RFC 6455
PING, CLOSE = b"\x89\x00", b"\x88\x02\x03\xe9"  # 1001: going away


def text_frame(text: str) -> bytes:
    data = text.encode()
    assert len(data) < 2**16
    return b"\x81" + (bytes([len(data)]) if len(data) < 126 else b"\x7e" + len(data).to_bytes(2)) + data


class Lines:
    """A reader that writes down what comes, in order."""

    def __init__(self, taken: Callable[[str], bool] = lambda _text: True) -> None:
        self.frames: list[str] = []
        self.unread: list[str] = []
        self.failures: list[str] = []
        self.alive = 0
        self._taken = taken

    def on_text(self, text: str) -> bool:
        self.frames.append(text)
        return self._taken(text)

    def on_unread(self, text: str, error: Exception) -> None:
        self.unread.append(f"{text}: {type(error).__name__}")

    def on_sign_of_life(self) -> None:
        self.alive += 1

    def on_gone(self, failure: Failure) -> None:
        self.failures.append(str(failure))


@pytest.fixture(params=WAYS, autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    is_offered.cache_clear()
    if request.param == "ccxt's loop":
        monkeypatch.setattr(inline, "_QUEUE", "a name that this aiohttp does not know")
    yield request.param
    is_offered.cache_clear()


def test_this_aiohttp_offers_it(way: str) -> None:
    assert is_offered() == (way == "inside the parser")


def told(
    way: str, lines: Lines, at_once: bytes, later: list[bytes], until: Callable[[], object]
) -> list[bytes]:
    """Send bytes in the handshake's own packet and after it; return what the peer heard."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        (key,) = (
            one.split(b": ")[1] for one in head.split(b"\r\n") if one.lower().startswith(b"sec-websocket-key")
        )
        accept = base64.b64encode(hashlib.sha1(key + GREETING).digest())
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + at_once
        )
        for one in later:
            await asyncio.sleep(0)
            writer.write(one)
            await writer.drain()
        while data := await reader.read(1000):
            heard.append(data)
            if b"\x88" in data:  # it closes: say so too, or it waits for that
                writer.write(CLOSE)
        writer.close()

    async def scene() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        none_yet = ccxt.bybit()
        none_yet.set_markets([])
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        source = Source("bybit", "live", Endpoints(ws=url), ("linear",))
        socket = Socket(source, Markets(none_yet, ("linear",)), url, 5.0, Pacer([Rate(1000, 1.0)]))
        try:
            await socket.open(lines)
            queue = socket._client.connection._reader
            assert isinstance(queue, InlineQueue) == (way == "inside the parser")
            deadline_s = time.monotonic() + DEADLINE_S
            while not until():
                assert time.monotonic() < deadline_s
                await asyncio.sleep(0.002)
            await socket.disconnect()
        finally:
            await socket.close()
            server.close()

    asyncio.run(scene())
    return heard


def test_frames_come_in_order_from_the_handshakes_own_packet_on(way: str) -> None:
    """The last frame of that packet is cut off within its text."""
    texts = [f'{{"n":{n}}}' for n in range(3000)]
    whole = b"".join(text_frame(one) for one in texts)
    lines = Lines()
    cuts = [whole[at : at + 997] for at in range(5000, len(whole), 997)]
    told(way, lines, whole[:5000], cuts, lambda: len(lines.frames) == 3000)
    assert lines.frames == texts
    assert not lines.unread


def test_pings_are_answered_and_a_close_is_told_after_the_last_frame(way: str) -> None:
    lines = Lines()
    later = [text_frame("one") + PING + text_frame("two"), PING, text_frame("three") + CLOSE]
    heard = told(way, lines, PING + text_frame("zero"), later, lambda: lines.failures)
    assert lines.frames == ["zero", "one", "two", "three"]
    assert lines.alive >= 3
    assert "1001" in lines.failures[0]
    assert b"".join(heard).count(b"\x8a") >= 1  # pongs


def test_a_frame_on_which_ccxt_raises_ends_nothing(way: str) -> None:
    lines = Lines(taken=lambda text: "for ccxt" not in text)
    odd = '{"op":"for ccxt","topic":7}'
    told(way, lines, b"", [text_frame(odd) + text_frame("after")], lambda: len(lines.frames) == 2)
    assert lines.frames == [odd, "after"]


class Connection(BaseProtocol):
    """What a queue asks of its connection, and what a client asks of aiohttp's."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: int) -> None:
        super().__init__(loop)
        self._upgraded = True
        self._reader = InlineQueue(self, limit, loop=loop)


def test_a_queue_that_filled_before_somebody_took_reads_on() -> None:
    """aiohttp stops reading where its queue is full, and goes on only where the queue is read."""

    async def scene() -> None:
        connection = Connection(asyncio.get_running_loop(), 1000)
        queue = connection._reader
        taken: list[str] = []
        client = SimpleNamespace(
            connection=connection, handle_message=lambda message: taken.append(message.data)
        )
        parser = WebSocketReader(queue, 2**20, compress=False, decode_text=True)
        texts = [str(n) * 90 for n in range(10)] * 10
        parser.feed_data(b"".join(text_frame(one) for one in texts))
        assert connection._reading_paused
        inline.read_inline(client)
        assert (await queue.read()).type is aiohttp.WSMsgType.PONG  # as ccxt's loop does next
        parser.feed_data(text_frame("last"))
        assert not connection._reading_paused
        assert taken == [*texts, "last"]

    asyncio.run(scene())


def test_sockets_of_other_sessions_stay_as_they_are(way: str) -> None:
    async def scene() -> Any:
        async with aiohttp.ClientSession() as ours, aiohttp.ClientSession() as other:
            inline.make_sockets_inline(ours)
            inline.make_sockets_inline(ours)  # a second dial of the same session
            return "_ws_connect" in vars(ours), "_ws_connect" in vars(other)

    assert asyncio.run(scene()) == (way == "inside the parser", False)
