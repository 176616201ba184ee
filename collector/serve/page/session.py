"""Exchange the token for a cookie that no script can read, so that the page never keeps the token itself."""

from http import HTTPStatus

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from collector.serve.access import COOKIE, SESSION_PATH, Access

LONGEST_TOKEN = 1_000


class Handed(BaseModel):
    """What the page hands in."""

    token: str = Field(min_length=1, max_length=LONGEST_TOKEN)


def session_router(access: Access) -> APIRouter:
    """Return the route where the page hands in the token."""
    router = APIRouter(tags=["access"])

    @router.post(SESSION_PATH, status_code=HTTPStatus.NO_CONTENT, response_class=Response)
    async def open_session(handed: Handed, request: Request) -> Response:
        """Set the cookie by which a browser may read; changing what is collected wants the token itself."""
        if not access.is_token(handed.token):
            reason = "another token" if access.has_token else "no token is configured"
            raise HTTPException(HTTPStatus.UNAUTHORIZED, {"reason": reason, "expected": "serve.token"})
        answer = Response(status_code=HTTPStatus.NO_CONTENT)
        is_encrypted = request.url.scheme == "https"
        answer.set_cookie(COOKIE, access.cookie or "", httponly=True, samesite="strict", secure=is_encrypted)
        return answer

    return router
