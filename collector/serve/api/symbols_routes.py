"""Serve the requests that change something: collect one market more or fewer, until the next start."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from collector.exchanges import is_registered
from collector.serve.api import shapes
from collector.serve.api.answers import answers_with, json_answer
from collector.serve.api.asked import Exchange, Symbol, Tokens, check_token
from collector.serve.api.source import Source


def symbols_routes(source: Source, tokens: Tokens) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["change"])

    @router.post("/api/symbols/{symbol:path}", responses=answers_with(shapes.Changed))
    async def collect(request: Request, symbol: Symbol, exchange: Exchange = None) -> Response:
        """Collect one more market until the next start; wants the token, on loopback as well."""
        check_token(request, tokens)
        where, name = _placed(symbol, exchange)
        return json_answer(await source.change(where, name, collect=True))

    @router.delete("/api/symbols/{symbol:path}", responses=answers_with(shapes.Changed))
    async def leave(request: Request, symbol: Symbol, exchange: Exchange = None) -> Response:
        """Collect a market no more until the next start; wants the token, on loopback as well."""
        check_token(request, tokens)
        where, name = _placed(symbol, exchange)
        return json_answer(await source.change(where, name, collect=False))

    return router


def _placed(symbol: str, exchange: str | None) -> tuple[str | None, str]:
    """Return the exchange and the name on it: `BYBIT:BTCUSDT` says both."""
    prefix, colon, rest = symbol.partition(":")
    if exchange is None and colon and is_registered(prefix.lower()):
        return prefix.lower(), rest
    return exchange, symbol
