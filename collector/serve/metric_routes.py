"""Serve `/metrics` in the form that the scraper asks for, made once for each check."""

from typing import TYPE_CHECKING

from fastapi import APIRouter
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response

from collector.serve.exposition import metrics_of
from collector.serve.shown import Shown

if TYPE_CHECKING:
    from collector.app import Checked

MOST_KEPT = 4  # forms of one answer


def metric_routes(shown: Shown) -> APIRouter:
    """Return the route."""
    router = APIRouter()
    kept: dict[str, tuple[Checked | None, bytes]] = {}

    @router.get("/metrics")
    async def metrics(request: Request) -> Response:
        """Return every metric of docs/metrics.md, as of the last check."""
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        latest = shown.latest
        of, body = kept.get(content_type, (None, b""))
        if of is not latest or latest is None:  # however many ask, it costs once
            body = encode(metrics_of(latest))
            if len(kept) >= MOST_KEPT:
                kept.clear()
            kept[content_type] = latest, body
        return Response(body, media_type=None, headers={"content-type": content_type})

    return router
