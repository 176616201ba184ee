"""Serve `/ws`: a client says what it wants, and gets arrays of events.

{"op": "subscribe", "channel": "books", "symbol": "BTCUSDT"}   also: exchange, interval
{"op": "unsubscribe", ...}  {"op": "ping"}
"""

import asyncio
from contextlib import suppress
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect

from collector.errors import CollectorError, UserError
from collector.serve.api.documents import markets_of
from collector.serve.api.known_markets import KnownMarkets
from collector.serve.api.names import Names
from collector.serve.api.push.hub import Hub
from collector.serve.api.push.outbox import Message, Outbox
from collector.serve.api.push.wants import CHANNELS, MOST_WANTS, Want, text_of, wants_of

MOST_CLIENTS = 520  # websockets and event streams together
FIRST_WANT_S = 10.0  # a client that wants nothing is let go
UNREAD_S = 30.0  # so is one that reads nothing
BETWEEN_COMMANDS_S = 0.01
MOST_COMMAND_CHARACTERS = 4_096
TOO_MANY, POLICY, UNSUPPORTED, TOO_LARGE = 1013, 1008, 1003, 1009
OPERATIONS = ("subscribe", "unsubscribe", "ping")


def websocket_routes(hub: Hub, known: KnownMarkets) -> APIRouter:
    """Return the routes."""
    router = APIRouter()

    @router.websocket("/ws")
    async def ws(websocket: WebSocket) -> None:
        """Push events until either side goes."""
        await websocket.accept()
        if hub.clients >= MOST_CLIENTS:
            await websocket.close(TOO_MANY, "too many clients")
            return
        outbox = Outbox()
        hub.join(outbox)
        writing = asyncio.create_task(_write(websocket, outbox))
        reading = asyncio.create_task(_read(websocket, hub, known, outbox))
        try:
            await asyncio.wait((writing, reading), return_when=asyncio.FIRST_COMPLETED)
        finally:
            hub.leave(outbox)
            for task in (writing, reading):
                task.cancel()
            await asyncio.gather(writing, reading, return_exceptions=True)

    return router


async def _write(websocket: WebSocket, outbox: Outbox) -> None:
    """Send what comes; end where the client reads nothing for too long, or is gone."""
    with suppress(WebSocketDisconnect, RuntimeError, TimeoutError, OSError):
        while True:
            texts = [one.text for one in await outbox.take()]
            async with asyncio.timeout(UNREAD_S):
                await websocket.send_text((b"[" + b",".join(texts) + b"]").decode())


async def _read(websocket: WebSocket, hub: Hub, known: KnownMarkets, outbox: Outbox) -> None:
    """Do what the client says."""
    with suppress(WebSocketDisconnect, RuntimeError):
        while True:
            try:
                async with asyncio.timeout(None if hub.wants(outbox) else FIRST_WANT_S):
                    message = await websocket.receive()
            except TimeoutError:
                await websocket.close(POLICY, "nothing is asked for")
                return
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            if text is None or len(text) > MOST_COMMAND_CHARACTERS:
                code = UNSUPPORTED if text is None else TOO_LARGE
                await websocket.close(code, f"text of at most {MOST_COMMAND_CHARACTERS} characters expected")
                return
            outbox.put(await _answer(text, hub, known, outbox))
            await asyncio.sleep(BETWEEN_COMMANDS_S)


async def _answer(text: str, hub: Hub, known: KnownMarkets, outbox: Outbox) -> Message:
    try:
        command = _command(text)
        if command["op"] == "ping":
            return Message.of("pong", {})
        wants = await _wants(command, known)
        if command["op"] == "unsubscribe":
            hub.unwant(outbox, wants)
            return Message.of("unsubscribed", {"to": [one._asdict() for one in wants]})
        if len(hub.wants(outbox) | set(wants)) > MOST_WANTS:
            raise UserError(f"too many subscriptions; expected at most {MOST_WANTS} of one client")
        outbox.put(Message.of("subscribed", {"to": [one._asdict() for one in wants]}))
        hub.want(outbox, wants)
        return Message.of("ready", {"subscriptions": len(hub.wants(outbox))})
    except CollectorError as error:
        reason, _, expected = str(error).partition("; expected ")
        return Message.of("error", {"reason": reason, "expected": expected})


def _command(text: str) -> dict[str, Any]:
    try:
        command = orjson.loads(text)
    except ValueError:
        command = None
    if not isinstance(command, dict):
        raise UserError('no JSON object; expected one like {"op": "subscribe", "channel": "ticks"}')
    if command.get("op") not in OPERATIONS:
        raise UserError(f"op is not understood; expected one of {', '.join(OPERATIONS)}")
    return command


async def _wants(command: dict[str, Any], known: KnownMarkets) -> list[Want]:
    channel, exchange = text_of(command, "channel"), text_of(command, "exchange")
    symbol, interval = text_of(command, "symbol"), text_of(command, "interval")
    if channel is None:
        raise UserError(f"no channel; expected one of {', '.join(CHANNELS)}")
    names = Names(()) if symbol is None else Names(markets_of((await known.now()).streams))
    return wants_of([channel], names, exchange, [] if symbol is None else [symbol], interval)
