"""Serve `/api/stream`: the events of `/ws` as server-sent events, for a page and for curl."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from collector.serve.api.answers import ERRORS
from collector.serve.api.asked import Exchange, refused
from collector.serve.api.documents import markets_of
from collector.serve.api.known_markets import KnownMarkets
from collector.serve.api.names import Names
from collector.serve.api.push.hub import Hub
from collector.serve.api.push.outbox import Message, Outbox
from collector.serve.api.push.wants import CHANNELS, Want, wants_of
from collector.serve.api.push.websocket_route import MOST_CLIENTS

SIGN_OF_LIFE_S = 10.0
RETRY_MS = 2_000
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}

ChannelsText = Annotated[
    str, Query(max_length=100, description=f"Some of {', '.join(CHANNELS)}, separated by commas.")
]
SymbolsText = Annotated[
    str | None, Query(max_length=2_000, description="Of these markets only, separated by commas.")
]
Interval = Annotated[str | None, Query(max_length=8, description="Bars of this interval only.")]
TEXT: dict[int | str, dict[str, Any]] = {
    200: {"description": "Events, for as long as the client stays.", "content": {"text/event-stream": {}}}
}


def stream_routes(hub: Hub, known: KnownMarkets) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["now"])

    @router.get("/api/stream", responses={**TEXT, **ERRORS}, response_class=StreamingResponse)
    async def stream(
        channels: ChannelsText = "overview",
        symbol: SymbolsText = None,
        exchange: Exchange = None,
        interval: Interval = None,
    ) -> Response:
        """Push events; their JSON is that of /ws, and `lost` says how many a slow client did not get."""
        if hub.clients >= MOST_CLIENTS:
            raise refused(HTTPStatus.SERVICE_UNAVAILABLE, "too many clients", "fewer at once")
        names = Names(markets_of((await known.now()).streams))
        wants = wants_of(_listed(channels), names, exchange, _listed(symbol or ""), interval)
        return StreamingResponse(_events(hub, wants), media_type="text/event-stream", headers=HEADERS)

    return router


def _listed(text: str) -> list[str]:
    return [part for one in text.split(",") if (part := one.strip())]


async def _events(hub: Hub, wants: Sequence[Want]) -> AsyncIterator[bytes]:
    """Yield what happens, and now and then a sign of life."""
    outbox = Outbox()
    hub.join(outbox)
    try:
        hub.want(outbox, wants)
        yield f"retry: {RETRY_MS}\n\n".encode()
        while True:
            try:
                async with asyncio.timeout(SIGN_OF_LIFE_S):
                    messages = await outbox.take()
            except TimeoutError:
                yield b": still here\n\n"
            else:
                yield b"".join(map(_framed, messages))
    finally:
        hub.leave(outbox)


def _framed(message: Message) -> bytes:
    """Return an event as it is sent; JSON has no line breaks in it."""
    return b"event: %s\ndata: %s\n\n" % (message.event.encode(), message.text)
