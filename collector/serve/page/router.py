"""Give out the files of the dashboard, from memory: a fixed table of paths, and nothing else of the disk."""

import hashlib
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from collector.serve.access import PAGE_FILES, PAGE_PATH

STATIC = Path(__file__).parent / "static"
INDEX = "index.html"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class PageFile(NamedTuple):
    """One file as it is sent."""

    body: bytes
    media_type: str
    tag: str  # changes with the body: a browser asks whether its copy is still right, each time


def page_files() -> dict[str, PageFile]:
    """Return each file by the path of its address: the index at `/`, the others below `/page/`."""
    return dict(_read(STATIC))


def page_router() -> APIRouter:
    """Return the routes of the page. They need no token: nothing of the data is in them."""
    router = APIRouter(include_in_schema=False)
    for address, file in page_files().items():
        router.add_api_route(address, _sender(file), methods=["GET", "HEAD"])
    return router


def _read(folder: Path) -> Iterator[tuple[str, PageFile]]:
    for path in sorted(folder.rglob("*")):
        if path.suffix not in MEDIA_TYPES:
            continue  # a folder, or a licence and a note beside what they are about
        name = path.relative_to(folder).as_posix()
        body = path.read_bytes()
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        yield PAGE_PATH if name == INDEX else PAGE_FILES + name, PageFile(body, MEDIA_TYPES[path.suffix], tag)


def _sender(file: PageFile) -> Callable[[Request], Awaitable[Response]]:
    headers = {"ETag": file.tag, "Cache-Control": "no-cache"}

    async def send(request: Request) -> Response:
        if request.headers.get("if-none-match") == file.tag:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(file.body, media_type=file.media_type, headers=headers)

    return send
