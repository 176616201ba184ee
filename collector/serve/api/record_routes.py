"""Serve what the database tells of collecting: coverage, holes, events, sessions, symbols."""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from collector.query import CoverageAsked, coverage_page, events_page, sessions_page
from collector.serve.api import documents, shapes
from collector.serve.api.answers import Reading, answers_with, json_answer
from collector.serve.api.asked import CursorText, End, Exchange, Start, refused, span_ns
from collector.serve.api.happened import described
from collector.serve.api.known_markets import KnownMarkets
from collector.serve.api.source import Source

HOURS_SHOWN_NS = 6 * 3600 * 1_000_000_000  # where no span is asked for
MOST_LISTED = 1_000

SymbolName = Annotated[str | None, Query(max_length=100, description="Of this market only.")]
ChannelName = Annotated[str | None, Query(max_length=40, description="Of this channel only, like book.50.")]
Few = Annotated[int, Query(ge=1, le=MOST_LISTED, description="So many at most.")]

Covered = tuple[dict[str, int], list[dict[str, Any]], str | None]  # the span, its streams, the next page


def record_routes(source: Source, reading: Reading, known: KnownMarkets) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["stored"])

    async def covered(
        exchange: Exchange = None,
        symbol: SymbolName = None,
        channel: ChannelName = None,
        start: Start = None,
        end: End = None,
        cursor: CursorText = None,
    ) -> Covered:
        start_ns, end_ns = span_ns(start, end)
        if end_ns is None:
            end_ns = (await known.now()).at_ns
        if start_ns is None:
            start_ns = end_ns - HOURS_SHOWN_NS
        if symbol is not None:
            exchange, symbol = (await known.find(symbol, exchange, None))[:2]
        behind = None if cursor is None else CoverageAsked.cursor_of(cursor)
        asked = CoverageAsked(start_ns, end_ns, exchange, symbol, channel, behind)
        streams, following = await reading(
            lambda connection, tables: coverage_page(connection, tables, asked)
        )
        _mask(streams, source.masked)
        return {"start_ns": start_ns, "end_ns": end_ns}, streams, following

    @router.get("/api/coverage", responses=answers_with(shapes.Coverage))
    async def coverage(found: Annotated[Covered, Depends(covered)]) -> Response:
        """Return what is covered, and the holes in it; by default of the last six hours."""
        span, streams, following = found
        return json_answer({**span, "streams": streams, "next": following})

    @router.get("/api/gaps", responses=answers_with(shapes.Gaps))
    async def gaps(found: Annotated[Covered, Depends(covered)]) -> Response:
        """Return the holes alone; by default of the last six hours."""
        span, streams, following = found
        names = ("exchange", "symbol", "channel")
        holes = [{**{name: one[name] for name in names}, **hole} for one in streams for hole in one["holes"]]
        return json_answer({**span, "gaps": holes, "next": following})

    @router.get("/api/events", responses=answers_with(shapes.Events))
    async def events(
        before: CursorText = None,
        cursor: CursorText = None,
        start: Start = None,
        end: End = None,
        limit: Few = 100,
    ) -> Response:
        """Return what happened, the newest first; `before` is the id to end before, as is `cursor`."""
        start_ns, end_ns = span_ns(start, end)
        end_id = _number(before or cursor)
        found, following = await reading(
            lambda *both: events_page(*both, before=end_id, limit=limit, start_ns=start_ns, end_ns=end_ns)
        )
        return json_answer({"events": described(found, source.masked), "next": _text(following)})

    @router.get("/api/sessions", responses=answers_with(shapes.Sessions))
    async def sessions(cursor: CursorText = None, limit: Few = 50) -> Response:
        """Return the runs of the program, the newest first, and what each was to collect."""
        before_ns = _number(cursor)
        found, following = await reading(lambda *both: sessions_page(*both, before_ns=before_ns, limit=limit))
        listed = documents.sessions(found, source.session_id)
        return json_answer({"sessions": listed, "next": _text(following)})

    @router.get("/api/symbols", responses=answers_with(shapes.Symbols))
    async def symbols() -> Response:
        """Return the markets that are collected now or stored, and the names that they have here."""
        now, stored = await known.now(), await known.stored()
        collected = now.streams if source.is_live else ()
        return json_answer(documents.symbols(stored, collected, await known.all()))

    return router


def _mask(streams: Iterable[dict[str, Any]], masked: Callable[[str], str]) -> None:
    for part in (part for one in streams for part in (*one["segments"], *one["holes"])):
        part["detail"] = masked(part["detail"])


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 19):  # noqa: PLR2004  (of 64 bits)
        raise refused(HTTPStatus.BAD_REQUEST, "the cursor is none of ours", "the `next` of the page before")
    return int(text)


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)
