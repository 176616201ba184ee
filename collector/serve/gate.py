"""Stand before the application: refuse who may not ask, bound bodies, set the headers of every answer."""

import json
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import HTTPException

from collector.loggers import get_logger
from collector.serve.access import Access, Header, Refusal, values

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS: Final[tuple[Header, ...]] = (
    (b"content-security-policy", CONTENT_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
NO_STORE: Final[Header] = (b"cache-control", b"no-store")
TRUSTED = "trusted"  # in the state of a request: whether it may read everything
POLICY_VIOLATION = 1008
FAULT = Refusal(500, "a fault of this server", "an answer; its log says more")

log = get_logger(__name__)


class Gate:
    """An ASGI application around another."""

    def __init__(self, inner: Asgi, access: Access, *, body_bytes: int) -> None:
        self._inner = inner
        self._access = access
        self._body_bytes = body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a request or a websocket."""
        if scope["type"] not in ("http", "websocket"):
            return
        headers: Sequence[Header] = scope["headers"]
        refusal = self._refusal(scope, headers)
        scope.setdefault("state", {})[TRUSTED] = refusal is None and self._access.is_trusted(headers)
        if scope["type"] == "websocket":
            await self._websocket(refusal, scope, receive, send)
        else:
            await self._request(refusal, scope, receive, send)

    def _refusal(self, scope: Scope, headers: Sequence[Header]) -> Refusal | None:
        refusal = self._access.refusal(scope["path"], headers)
        if refusal is None and not self._access.is_same_origin(headers):
            return Refusal(403, "asked by a page from elsewhere", "a page of this server, or no page")
        return refusal

    async def _websocket(self, refusal: Refusal | None, scope: Scope, receive: Receive, send: Send) -> None:
        if refusal is None:
            await self._inner(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": refusal.reason})

    async def _request(self, refusal: Refusal | None, scope: Scope, receive: Receive, send: Send) -> None:
        begun = complete = False

        async def send_with_headers(message: Message) -> None:
            nonlocal begun, complete
            if message["type"] == "http.response.start":
                begun = True
                message["headers"] = with_headers(message.get("headers", ()))
            elif message["type"] == "http.response.body":
                complete = not message.get("more_body", False)
            await send(message)

        refusal = refusal or self._body_refusal(scope["headers"])
        if refusal is not None:
            await answer(send_with_headers, refusal)
            return
        bounded = _Bounded(receive, self._body_bytes)
        try:
            await self._inner(scope, bounded, send_with_headers)
        except Exception:
            log.exception("serve.failed", path=scope["path"][:200])
            if not begun:
                await answer(send_with_headers, FAULT)
            elif not complete:
                raise  # the connection is cut: the client must not take half an answer for a whole one

    def _body_refusal(self, headers: Sequence[Header]) -> Refusal | None:
        lengths = values(headers, b"content-length")
        if lengths and values(headers, b"transfer-encoding"):  # a proxy may see another end than we do
            return Refusal(400, "a length and chunks", "one of them")
        is_large = any(not one.isdecimal() or int(one) > self._body_bytes for one in lengths)
        return too_large(self._body_bytes) if is_large else None


class _Bounded:
    """Receives a body up to a size, however it comes."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._most = self._left = most

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            refusal = too_large(self._most)  # answered by the application, which asked for the body
            raise HTTPException(refusal.status, refusal._asdict())
        return message


def too_large(most: int) -> Refusal:
    """Return the refusal of a body of more bytes."""
    return Refusal(413, "a body that is too large", f"at most {most} bytes")


def with_headers(headers: Sequence[Header]) -> list[Header]:
    """Return the headers of an answer with those that every answer has."""
    there = {name.lower() for name, _ in headers}
    always = SECURITY_HEADERS if b"cache-control" in there else (*SECURITY_HEADERS, NO_STORE)
    return [*headers, *always]


def body_of(refusal: Refusal) -> bytes:
    """Return the JSON of a refusal."""
    word = HTTPStatus(refusal.status).phrase
    return json.dumps({"error": word, "reason": refusal.reason, "expected": refusal.expected}).encode()


async def answer(send: Send, refusal: Refusal) -> None:
    """Send a refusal; the connection is closed, since what else comes on it was not read."""
    body = body_of(refusal)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    if refusal.status == HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
