"""Serve what is stored: features, trades, bars, page by page."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from collector.query import (
    Asked,
    Cursor,
    Page,
    bars_page,
    intervals_stored,
    last_states,
    rows_page,
)
from collector.serve.api import documents, shapes
from collector.serve.api.answers import Reading, answers_with, json_answer
from collector.serve.api.asked import (
    CursorText,
    End,
    Exchange,
    Kind,
    Limit,
    Order,
    Start,
    Symbol,
    refused,
    span_ns,
)
from collector.serve.api.known_markets import KnownMarkets

MOST_POINTS = 2_000
Depth = Annotated[
    int | None, Query(ge=1, le=100_000, description="The book of this depth; else the deepest.")
]
Points = Annotated[
    int | None,
    Query(ge=1, le=MOST_POINTS, description="The last state before each of so many even instants instead."),
]
Interval = Annotated[
    str | None, Query(min_length=1, max_length=8, description="Like 1m; needed where there are several.")
]


def history_routes(reading: Reading, known: KnownMarkets) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["stored"])

    async def asked_for(
        symbol: Symbol,
        exchange: Exchange = None,
        market: Kind = None,
        start: Start = None,
        end: End = None,
        limit: Limit = 500,
        order: Order = None,
        cursor: CursorText = None,
    ) -> Asked:
        found = await known.find(symbol, exchange, market)
        newest_first = order == "newest" or (order is None and start is None)
        behind = None if cursor is None else Cursor.of(cursor)
        return Asked(found.exchange, found.symbol, *span_ns(start, end), limit, newest_first, behind)

    @router.get("/api/features/{symbol:path}", responses=answers_with(shapes.Rows))
    async def features(
        asked: Annotated[Asked, Depends(asked_for)], depth: Depth = None, points: Points = None
    ) -> Response:
        """Return the stored states of a market's book with their features."""

        def read(connection: Any, tables: Any) -> Page:
            if points is not None:
                return last_states(connection, tables, asked, points, depth=depth)
            return rows_page(connection, tables, asked, depth=depth)

        if points is not None and (asked.start_ns is None or asked.end_ns is None):
            raise refused(HTTPStatus.BAD_REQUEST, "points without a span", "start and end as well")
        return json_answer(documents.rows(await reading(read)))

    @router.get("/api/trades/{symbol:path}", responses=answers_with(shapes.Rows))
    async def trades(asked: Annotated[Asked, Depends(asked_for)]) -> Response:
        """Return the stored trades of a market."""
        page = await reading(lambda connection, tables: rows_page(connection, tables, asked, trades=True))
        return json_answer(documents.rows(page))

    @router.get("/api/ohlcv/{symbol:path}", responses=answers_with(shapes.Rows))
    async def ohlcv(asked: Annotated[Asked, Depends(asked_for)], interval: Interval = None) -> Response:
        """Return the stored bars of a market, each as it was told last."""

        def read(connection: Any, tables: Any) -> Page:
            stored = intervals_stored(connection, tables, asked.exchange, asked.symbol)
            return bars_page(connection, tables, asked, _interval(asked.symbol, interval, stored))

        return json_answer(documents.rows(await reading(read)))

    return router


def _interval(symbol: str, wanted: str | None, stored: list[str]) -> str:
    if wanted in stored and wanted is not None:
        return wanted
    if wanted is None and len(stored) == 1:
        return stored[0]
    what = f"no bars of {symbol} are stored" if not stored else "the interval is not said"
    reason = what if wanted is None or not stored else f"no bars of {wanted} are stored"
    expected = f"interval={' or '.join(stored)}" if stored else "a market with a channel ohlcv"
    raise refused(HTTPStatus.NOT_FOUND, reason, expected)
