"""Make the application: routers of what is shown, behind the gate."""

from collections.abc import Sequence
from http import HTTPStatus

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from collector.errors import CollectorError
from collector.serve.access import Access
from collector.serve.api import refusal_of
from collector.serve.gate import FAULT, Gate, body_of
from collector.serve.limits import HttpLimits
from collector.version import __version__


def make_application(access: Access, limits: HttpLimits, routers: Sequence[APIRouter]) -> Gate:
    """Return the ASGI application. A router is made by a function of what it shows: see `health_routes`."""
    app = FastAPI(title="collector", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    for router in routers:
        app.include_router(router)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(CollectorError, _not_answered)
    app.add_exception_handler(RequestValidationError, _mistaken)
    app.add_exception_handler(Exception, _failed)
    return Gate(app, access, body_bytes=limits.body_bytes)


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    """Answer in the form that every refusal has."""
    assert isinstance(error, HTTPException)  # noqa: S101  (registered for these)
    word = HTTPStatus(error.status_code).phrase
    detail: object = error.detail
    given: dict[str, str] = detail if isinstance(detail, dict) else {}
    content = {"error": word, "reason": word.lower(), "expected": ""}
    content |= {name: given[name] for name in content.keys() & given.keys()}
    if error.status_code == HTTPStatus.NOT_FOUND and not given:
        content |= {
            "reason": "nothing is served at this path",
            "expected": "/health, /ready, /live, /metrics, or a path that /docs lists",
        }
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        content |= {"reason": "not with this method", "expected": (error.headers or {}).get("allow", "GET")}
    return JSONResponse(content, error.status_code, headers=error.headers)


async def _not_answered(request: Request, error: Exception) -> JSONResponse:
    """Answer where an error of ours says why there is no answer."""
    assert isinstance(error, CollectorError)  # noqa: S101  (registered for these)
    return await _refused(request, refusal_of(error))


async def _mistaken(_request: Request, error: Exception) -> JSONResponse:
    """Answer a request whose values are wrong, without repeating them."""
    assert isinstance(error, RequestValidationError)  # noqa: S101  (registered for these)
    mistakes = [f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors()]
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    content = {"error": status.phrase, "reason": "values that are not taken", "expected": "; ".join(mistakes)}
    return JSONResponse(content, status)


async def _failed(_request: Request, _error: Exception) -> Response:
    """Answer after a fault of ours, without a word of it; the gate logs it."""
    return Response(body_of(FAULT), FAULT.status, media_type="application/json")
