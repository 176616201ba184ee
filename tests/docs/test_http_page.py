"""docs/http.md names every path of the API, every channel that is pushed, and its limits."""

import re
from pathlib import Path

from collector.serve.api.push.outbox import MOST_WAITING
from collector.serve.api.push.wants import CHANNELS
from collector.serve.api.push.websocket_route import FIRST_WANT_S, MOST_CLIENTS, OPERATIONS, UNREAD_S
from collector.serve.limits import HttpLimits

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "http.md").read_text(encoding="utf-8")


def cells(heading: str) -> set[str]:
    rows = PAGE.split(heading, 1)[1].split("|---", 1)[1].split("\n\n", 1)[0].splitlines()[1:]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])}


def test_the_page_names_every_path() -> None:
    from fastapi import FastAPI  # noqa: PLC0415  (only what serves needs it)

    from collector.serve.access import Access  # noqa: PLC0415
    from collector.serve.api import StoredSource, api_routers  # noqa: PLC0415

    example = Path(__file__).resolve().parents[2] / "trading_bot_live.db.example"
    app = FastAPI()
    for router in api_routers(StoredSource(example), Access("127.0.0.1")):
        app.include_router(router)
    served = set(app.openapi()["paths"])
    assert served == (cells("# The API") - {"/ws"}) | {"/api/symbols/{symbol}", "/api/jobs/{name}"}
    assert "`/api/jobs/{name}`" in PAGE
    assert "`/api/symbols/{symbol}?exchange=...`" in PAGE


def test_the_page_names_every_channel_and_command() -> None:
    assert cells("## Pushed") == set(CHANNELS)
    assert all(f"`{one}`" in PAGE or f'"{one}"' in PAGE for one in OPERATIONS)


def test_the_page_tells_the_limits() -> None:
    assert MOST_WAITING == 1_000
    assert f"{MOST_CLIENTS} may listen at once" in PAGE
    assert f"nothing for {UNREAD_S:g} s" in PAGE
    assert f"(every {HttpLimits().ping_s:g} s) or asks for nothing within {FIRST_WANT_S:g} s" in PAGE
