"""Give out the OpenAPI document, and a page of it that a person reads: made here, without a script."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from collector.serve.api.answers import json_answer

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; border-top: 1px solid #8886; padding-top: 1rem; }
h2 code { font-size: 1.05rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; }
td { border-top: 1px solid #8883; }
code { font-family: ui-monospace, monospace; }
"""
INTRODUCTION = (
    "What this server answers. The document for programs is <a href='/openapi.json'>/openapi.json</a>; "
    "events are pushed over <code>/ws</code> and <code>/api/stream</code>. Times are nanoseconds since "
    "1970, UTC, unless the name says ms. A refusal says its reason, and what was expected."
)

Part = Mapping[str, Any]


def docs_routes() -> APIRouter:
    """Return the routes."""
    router = APIRouter(include_in_schema=False)

    @router.get("/openapi.json")
    async def document(request: Request) -> Response:
        """Return the OpenAPI document."""
        return json_answer(request.app.openapi())

    @router.get("/docs")
    async def page(request: Request) -> Response:
        """Return the page."""
        return HTMLResponse(docs_html(request.app.openapi()))

    @router.get("/docs.css")
    async def style() -> Response:
        """Return how the page looks."""
        return Response(STYLE, media_type="text/css")

    return router


def docs_html(document: Part) -> str:
    """Write a page of an OpenAPI document."""
    schemas = document.get("components", {}).get("schemas", {})
    body = "\n".join(
        part
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        for part in _operation(path, method, operation, schemas)
    )
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>collector: the API</title>\n"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        "<link rel='stylesheet' href='/docs.css'></head>\n"
        f"<body><main><h1>The API</h1>\n<p>{INTRODUCTION}</p>\n{body}\n</main></body></html>\n"
    )


def _operation(path: str, method: str, operation: Part, schemas: Part) -> Iterator[str]:
    yield f"<h2><code>{escape(method.upper())} {escape(path)}</code></h2>"
    yield f"<p>{escape(operation.get('description') or operation.get('summary', ''))}</p>"
    parameters = operation.get("parameters", [])
    if parameters:
        yield "<table><thead><tr><th>parameter</th><th>where</th><th>value</th><th></th></tr></thead><tbody>"
        for one in parameters:
            cells = (
                f"<code>{escape(one['name'])}</code>",
                escape(one["in"]),
                escape(_kind(one.get("schema", {}))),
                escape(one.get("description", "")),
            )
            yield f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        yield "</tbody></table>"
    answer = operation.get("responses", {}).get("200", {}).get("content", {})
    for media, content in answer.items():
        fields = _fields(content.get("schema", {}), schemas)
        yield f"<p>Answers {escape(media)}{': ' + escape(fields) if fields else ''}</p>"


def _kind(schema: Part) -> str:
    """Say in a few words what a value is."""
    kinds = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    words = [" or ".join(map(str, one.get("enum", [one.get("type", "")]))) for one in kinds]
    bounds = [f"{kinds[0][key]}" for key in ("minimum", "maximum") if kinds and key in kinds[0]]
    default = f", default {schema['default']}" if schema.get("default") is not None else ""
    return f"{' or '.join(words)}{' from ' + ' to '.join(bounds) if bounds else ''}{default}"


def _fields(schema: Part, schemas: Part) -> str:
    """Name the fields of an answer."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return ", ".join(schemas.get(name, {}).get("properties", {}))
