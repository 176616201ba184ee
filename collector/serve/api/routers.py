"""Put the routes of the API together."""

from fastapi import APIRouter

from collector.events import EventBus
from collector.serve.api.answers import Reading
from collector.serve.api.asked import Tokens
from collector.serve.api.docs_page import docs_routes
from collector.serve.api.history_routes import history_routes
from collector.serve.api.job_routes import job_routes
from collector.serve.api.known_markets import KnownMarkets
from collector.serve.api.now_routes import now_routes
from collector.serve.api.push import Hub, stream_routes, websocket_routes
from collector.serve.api.record_routes import record_routes
from collector.serve.api.source import Source
from collector.serve.api.symbols_routes import symbols_routes


def api_routers(source: Source, tokens: Tokens, bus: EventBus | None = None) -> list[APIRouter]:
    """Return the routers of one source, in the server's loop; `bus` is where what happens is published."""
    reading = Reading(source.reads)
    known = KnownMarkets(source, reading)
    hub = Hub(source, bus)
    return [
        now_routes(source, known),
        history_routes(reading, known),
        record_routes(source, reading, known),
        symbols_routes(source, tokens),
        job_routes(source, tokens, reading),
        stream_routes(hub, known),
        websocket_routes(hub, known),
        docs_routes(),
    ]
