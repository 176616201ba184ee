"""Serve `/live`, `/ready` and `/health`."""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from collector.app import health_now
from collector.clock import NS_A_SECOND
from collector.health import Verdict, is_wedged
from collector.serve.gate import TRUSTED
from collector.serve.shown import Phase, Shown


def health_routes(shown: Shown) -> APIRouter:
    """Return the routes."""
    router = APIRouter()

    @router.head("/live", include_in_schema=False)
    @router.get("/live")
    async def live() -> JSONResponse:
        """Tell whether the process is worth keeping: 503 only while the loop that collects is wedged."""
        return _answer(live_state(shown), {})

    @router.head("/ready", include_in_schema=False)
    @router.get("/ready")
    async def ready(request: Request) -> JSONResponse:
        """Tell whether data is collected and kept; degraded is."""
        body = health_body(shown)
        return _answer(Verdict(body["status"]), body if request.scope["state"][TRUSTED] else {})

    @router.head("/health", include_in_schema=False)
    @router.get("/health")
    async def health() -> JSONResponse:
        """Tell the state of each part, and why it is so."""
        body = health_body(shown)
        return _answer(Verdict(body["status"]), body)

    return router


def live_state(shown: Shown) -> Verdict:
    """Return healthy or unhealthy. A collector that starts or stops is alive."""
    if shown.phase is not Phase.RUNNING:
        return Verdict.HEALTHY
    wedged = is_wedged(shown.loop_silent_s, shown.limits, ended=shown.loop_ended)
    return Verdict.UNHEALTHY if wedged else Verdict.HEALTHY


def health_body(shown: Shown) -> dict[str, Any]:
    """Return the state of the whole and of each part, as plain values."""
    latest, phase = shown.latest, shown.phase
    if latest is None or phase is not Phase.RUNNING:
        return {"status": Verdict.UNHEALTHY.value, "phase": phase.value, "reasons": [f"it is {phase.value}"]}
    age_s = shown.checked_ago_s or 0.0
    state, reasons = health_now(latest, age_s, shown.limits.every_s)
    return {
        "status": state.value,
        "phase": phase.value,
        "since_s": round((latest.at_ns - latest.since_ns) / NS_A_SECOND + age_s, 3),
        "checked_s_ago": round(age_s, 3),
        "uptime_s": round(latest.view.uptime_s, 3),
        "session": latest.view.session_id,
        "reasons": [shown.masked(text) for text in reasons],
        "parts": {
            part.name: {"status": part.state.value, "reason": shown.masked(part.reason), **part.figures}
            for part in latest.health.parts
        },
    }


def _answer(state: Verdict, body: dict[str, Any]) -> JSONResponse:
    status = HTTPStatus.SERVICE_UNAVAILABLE if state is Verdict.UNHEALTHY else HTTPStatus.OK
    return JSONResponse({"status": state.value, **body}, status)
