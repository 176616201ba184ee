"""Serve the present: ticks, books, the identity, everything at a glance."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from collector.app import DOWN, LEFT, SYNCING, VERIFIED
from collector.events import Channel, StreamKey
from collector.serve.api import documents, shapes
from collector.serve.api.answers import answers_with, json_answer
from collector.serve.api.asked import Exchange, Kind, Symbol, refused
from collector.serve.api.known_markets import KnownMarkets
from collector.serve.api.names import Names
from collector.serve.api.source import Source

MOST_LEVELS = 1_000
Levels = Annotated[int, Query(ge=1, le=MOST_LEVELS, description="Levels a side, at most.")]


def now_routes(source: Source, known: KnownMarkets) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["now"])

    @router.get("/api/overview", responses=answers_with(dict[str, Any]))
    async def overview() -> Response:
        """Return everything at a glance: health, streams, the writer, the identity, the last events."""
        return json_answer(await source.overview())

    @router.get("/api/stats", responses=answers_with(shapes.Stats))
    async def stats() -> Response:
        """Return what became of every event: of this session, or of all sessions of a database."""
        return json_answer(await source.stats())

    @router.get("/api/ticks", responses=answers_with(dict[str, shapes.Tick]))
    async def ticks(exchange: Exchange = None, market: Kind = None) -> Response:
        """Return the latest trade of each market, by the name that it alone has."""
        now = await known.now()
        names = Names(documents.markets_of(now.streams))
        return json_answer(documents.ticks(now.streams, names, names.chosen(exchange, market)))

    @router.get("/api/ticks/{symbol:path}", responses=answers_with(shapes.Tick))
    async def tick(symbol: Symbol, exchange: Exchange = None, market: Kind = None) -> Response:
        """Return the latest trade of one market."""
        now = await known.now()
        names = Names(documents.markets_of(now.streams))
        found = names.find(symbol, exchange, market)
        for one in documents.ticks(now.streams, names, [found]).values():
            return json_answer(one)
        raise refused(HTTPStatus.NOT_FOUND, f"{found.symbol} has no price yet", "the same question, later")

    @router.get("/api/books/{symbol:path}", responses=answers_with(shapes.Book))
    async def book(
        symbol: Symbol, exchange: Exchange = None, market: Kind = None, depth: Levels = 50
    ) -> Response:
        """Return the verified book of a market as it stands now, the deepest that is collected."""
        now = await known.now()
        found = Names(documents.markets_of(now.streams)).find(symbol, exchange, market)
        own = [one.key for one in now.streams if one.key[:2] == found[:2]]
        key = max((one for one in own if Channel.of(one.channel).is_book), key=_depth, default=None)
        if key is None:
            raise refused(HTTPStatus.NOT_FOUND, f"no book of {found.symbol} is collected", "a channel book.N")
        for one in await source.books({key: depth}):
            state = state_of(now.states, key, is_verified=one.book is not None)
            return json_answer(documents.book(one, found, state, depth))
        raise refused(HTTPStatus.NOT_FOUND, f"{found.symbol} is left", "a market that is collected")

    return router


def state_of(states: Mapping[StreamKey, str], key: StreamKey, *, is_verified: bool) -> str:
    """Return the state of a book that was just copied: what was told of its stream may be a second old."""
    told = states.get(key, "syncing")
    if is_verified and told != LEFT:
        return VERIFIED
    return told if told in (DOWN, LEFT) else SYNCING


def _depth(key: StreamKey) -> int:
    return Channel.of(key.channel).depth
