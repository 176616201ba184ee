"""What a hostile client, or a page led here, gets: over bare sockets, case by case."""

import asyncio
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from fastapi import APIRouter, Request, WebSocket
from starlette.responses import Response
from websockets.sync.client import connect as websocket

from collector.serve.access import Access
from collector.serve.gate import SECURITY_HEADERS
from collector.serve.limits import HttpLimits

sys.path.insert(0, str(Path(__file__).parent))
from serve_rig import ANSWERS_WITHIN_S, TOKEN, Answer, ask, ask_raw, connect, serving

HEAD = b"GET /health HTTP/1.1\r\nConnection: close\r\n"
OPEN = Access("0.0.0.0", names=["metrics.example"], token=TOKEN)
LARGE = 16 * 1024 + 4096


def headed(*headers: bytes) -> bytes:
    return HEAD + b"".join(one + b"\r\n" for one in headers) + b"\r\n"


REQUESTS: list[tuple[str, bytes, int]] = [
    ("by address", headed(b"Host: 127.0.0.1:8000"), 200),
    ("by name, in any case", headed(b"Host: LocalHost"), 200),
    ("by IPv6 address", headed(b"Host: [::1]:8000"), 200),
    ("another name", headed(b"Host: evil.example"), 421),
    ("another address", headed(b"Host: 10.0.0.1"), 421),
    ("a name that begins alike", headed(b"Host: localhost.evil.example"), 421),
    ("a path in the name", headed(b"Host: 127.0.0.1/x?"), 421),
    ("a user in the name", headed(b"Host: localhost@evil.example"), 421),
    ("a port that is none", headed(b"Host: localhost:80x"), 421),
    ("an empty name", headed(b"Host: "), 421),
    ("no name", headed(), 400),
    ("two names", headed(b"Host: localhost", b"Host: evil.example"), 400),
    ("no name, by HTTP/1.0", b"GET /health HTTP/1.0\r\n\r\n", 421),
    (
        "another target",
        b"GET http://evil.example/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        404,
    ),
    ("a page from elsewhere", headed(b"Host: localhost", b"Origin: https://evil.example"), 403),
    ("a page from another port", headed(b"Host: localhost:8000", b"Origin: http://localhost:9"), 403),
    ("a page without an origin", headed(b"Host: localhost", b"Origin: null"), 403),
    ("a page of this server", headed(b"Host: localhost:8000", b"Origin: http://localhost:8000"), 200),
    ("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64, 400),
    ("a broken line", b"GET\r\n\r\n", 400),
    ("a large header", headed(b"Host: localhost", b"X: " + b"a" * LARGE), 400),
    ("many headers", headed(b"Host: localhost", *[b"X-%d: a" % number for number in range(4000)]), 400),
    ("a long path", b"GET /" + b"a" * LARGE + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    (
        "a path upwards",
        b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        404,
    ),
    ("a large body, told", headed(b"Host: localhost", b"Content-Length: 99999999"), 413),
    ("a length that is none", headed(b"Host: localhost", b"Content-Length: -1"), 400),
    ("two lengths", headed(b"Host: localhost", b"Content-Length: 1", b"Content-Length: 2"), 400),
    (
        "length and chunks",
        headed(b"Host: localhost", b"Content-Length: 1", b"Transfer-Encoding: chunked"),
        400,
    ),
    ("another method", b"POST /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 405),
    ("a method of proxies", b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
    ("another protocol", headed(b"Host: localhost", b"Upgrade: h2c"), 200),
    ("a line within a header", headed(b"Host: localhost", b"X: a\x00b"), 400),
    ("nothing served there", b"GET /docs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404),
]


@pytest.fixture(scope="module")
def local_port() -> Any:
    with serving() as port:
        yield port


@pytest.mark.parametrize(
    ("request_bytes", "status"), [one[1:] for one in REQUESTS], ids=[one[0] for one in REQUESTS]
)
def test_a_request_has_its_answer(local_port: int, request_bytes: bytes, status: int) -> None:
    answer = ask_raw(local_port, request_bytes)
    assert answer.status == status
    check_headers(answer)
    if status != 200:
        assert set(answer.json) == {"error", "reason", "expected"}
    assert ask(local_port).status == 200  # and others are served as before


def check_headers(answer: Answer) -> None:
    """Every answer forbids scripts from elsewhere, frames, guessing of types; no other page may read it."""
    for name, value in SECURITY_HEADERS:
        assert answer.headers[name.decode()] == value.decode()
    assert answer.headers["cache-control"] == "no-store"
    assert not [name for name in answer.headers if name.startswith("access-control") or name == "server"]
    assert "unsafe" not in answer.headers["content-security-policy"]


TOKENS: list[tuple[str, str, tuple[str, ...], str, int]] = [
    ("none", "/health", (), "localhost", 401),
    ("the right one", "/health", (f"Authorization: Bearer {TOKEN}",), "localhost", 200),
    (
        "the right one, by a configured name",
        "/health",
        (f"Authorization: bearer {TOKEN}",),
        "metrics.example",
        200,
    ),
    ("the right one, by address", "/health", (f"Authorization: Bearer {TOKEN}",), "10.0.0.1:8000", 200),
    ("the right one, by another name", "/health", (f"Authorization: Bearer {TOKEN}",), "evil.example", 421),
    ("a shorter one", "/health", (f"Authorization: Bearer {TOKEN[:-1]}",), "localhost", 401),
    ("a longer one", "/health", (f"Authorization: Bearer {TOKEN}x",), "localhost", 401),
    ("of another kind", "/health", (f"Authorization: Basic {TOKEN}",), "localhost", 401),
    ("twice", "/health", (f"Authorization: Bearer {TOKEN}",) * 2, "localhost", 401),
    ("in the address", f"/health?token={TOKEN}", (), "localhost", 401),
    ("none, to be told a word", "/live", (), "evil.example", 200),
    ("none, for metrics", "/metrics", (), "localhost", 401),
    ("the right one, for metrics", "/metrics", (f"Authorization: Bearer {TOKEN}",), "10.0.0.1", 200),
    ("none, for what is not there", "/nothing", (), "localhost", 401),
]


@pytest.fixture(scope="module")
def open_port() -> Any:
    with serving(access=OPEN) as port:
        yield port


@pytest.mark.parametrize(
    ("path", "headers", "host", "status"), [one[1:] for one in TOKENS], ids=[one[0] for one in TOKENS]
)
def test_where_others_can_reach_it_a_token_is_wanted(
    open_port: int, path: str, headers: tuple[str, ...], host: str, status: int
) -> None:
    answer = ask(open_port, path, *headers, host=host)
    assert answer.status == status
    assert TOKEN.encode() not in answer.raw
    assert (answer.headers.get("www-authenticate") == "Bearer") == (status == 401)
    check_headers(answer)


def closed_after_s(port: int, *pieces: bytes, every_s: float = 0.0) -> float:
    """Send pieces, and wait for the server to close; returns how long that took."""
    began_s = time.monotonic()
    with connect(port) as slow:
        try:
            for piece in pieces:
                slow.sendall(piece)
                if every_s:
                    slow.settimeout(every_s)
                    try:
                        if not slow.recv(65536):
                            break
                    except TimeoutError:
                        continue
            slow.settimeout(ANSWERS_WITHIN_S)
            while slow.recv(65536):
                pass
        except (ConnectionResetError, BrokenPipeError):
            pass
    return time.monotonic() - began_s


SHORT = HttpLimits(connections=8, request_s=0.3, idle_s=1.0, stalled_s=0.3, body_bytes=1000)


def test_who_sends_slowly_or_nothing_is_cut_off() -> None:
    """Half a head, a byte at a time, half a body, half a second request: none holds a connection for long."""
    asked = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    body = b"POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc"
    with serving(limits=SHORT) as port:
        for pieces, every_s in (
            ((), 0.0),
            ((HEAD,), 0.0),
            (tuple(bytes([byte]) for byte in HEAD * 3), 0.1),
            ((body,), 0.0),
            ((asked + HEAD,), 0.0),
            ((asked,), 0.0),
        ):
            assert closed_after_s(port, *pieces, every_s=every_s) < ANSWERS_WITHIN_S / 2
        assert ask(port).status == 200


def test_too_many_connections_are_told_so_and_others_go_on() -> None:
    with serving(limits=HttpLimits(connections=4, request_s=30.0)) as port:
        held = [connect(port) for _ in range(4)]
        refused = ask_raw(port, b"")
        held[0].sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answered = held[0].recv(65536)
        for one in held:
            one.close()
    assert (refused.status, refused.json["reason"]) == (503, "too many connections")
    check_headers(refused)
    assert answered.startswith(b"HTTP/1.1 200")


def more_routes() -> APIRouter:
    router = APIRouter()

    @router.get("/large")
    async def large() -> Response:
        return Response(b"x" * 30_000_000)

    @router.post("/echo")
    async def echo(request: Request) -> Response:
        return Response(str(len(await request.body())))

    @router.websocket("/flood")
    async def flood(websocket: WebSocket) -> None:
        await websocket.accept()
        with suppress(TimeoutError):
            while True:
                async with asyncio.timeout(0.3):
                    await websocket.send_text("x" * 1_000_000)

    @router.get("/broken")
    async def broken() -> Response:
        raise RuntimeError(TOKEN)

    return router


def test_an_answer_that_nobody_reads_is_given_up() -> None:
    with serving(limits=SHORT, routers=[more_routes()]) as port, connect(port) as deaf:
        deaf.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        until_s, got = time.monotonic() + ANSWERS_WITHIN_S, b""
        time.sleep(2.5)  # does not read, for longer than is waited
        try:
            while time.monotonic() < until_s and (piece := deaf.recv(1 << 20)):
                got += piece
        except ConnectionResetError:
            pass
    assert len(got) < 30_000_000


def test_a_websocket_that_nobody_reads_is_given_up() -> None:
    """It holds one of the connections that there are, until it is cut: what waits for it is never sent."""
    few = replace(SHORT, connections=1)
    with (
        serving(limits=few, routers=[more_routes()]) as port,
        websocket(f"ws://127.0.0.1:{port}/flood", proxy=None, max_size=None, max_queue=1),
    ):
        until_s = time.monotonic() + ANSWERS_WITHIN_S
        while (status := ask(port).status) == 503 and time.monotonic() < until_s:
            time.sleep(0.1)
        assert status == 200


def test_a_body_without_a_length_is_bounded_as_it_comes() -> None:
    chunk = b"%x\r\n%s\r\n" % (900, b"a" * 900)
    head = (
        b"POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with serving(limits=SHORT, routers=[more_routes()]) as port:
        taken, refused = (
            ask_raw(port, head + chunk + b"0\r\n\r\n"),
            ask_raw(port, head + chunk * 2 + b"0\r\n\r\n"),
        )
    assert (taken.status, taken.body) == (200, b"900")
    assert refused.status == 413
    check_headers(refused)


def test_a_fault_of_ours_tells_nothing_of_itself() -> None:
    with structlog.testing.capture_logs() as lines, serving(routers=[more_routes()]) as port:
        answer = ask(port, "/broken")
        assert ask(port).status == 200
    assert (answer.status, answer.json["reason"]) == (500, "a fault of this server")
    assert TOKEN.encode() not in answer.raw
    check_headers(answer)
    assert "serve.failed" in [line["event"] for line in lines]
