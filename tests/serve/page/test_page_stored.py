"""The dashboard in a browser, over a database that nobody writes: behind a token, a day, hostile text."""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from collector.serve.access import COOKIE, Access
from collector.serve.api import StoredSource, api_routers
from collector.serve.page import page_router, session_router

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))
from ready_tables import lay_tables
from serve_rig import TOKEN, ask, ask_raw, serving

sys.path.insert(0, str(Path(__file__).parent))
from browser_rig import PHONE, browsing, seen

EXAMPLE = Path(__file__).parents[3] / "trading_bot_live.db.example"
HOSTILE = "<img src=x onerror=\"document.title='caught'\"><b>bold</b>"
ROW = '#rows tr[data-key="bybit ETH/USDT:USDT book.50"]'  # the stream that was cut off once
ROWS_SHOWN = "[...document.querySelectorAll('#rows tr')].filter(row => !row.hidden).length"
HERE = Access("127.0.0.1")
FROM_ELSEWHERE = Access("0.0.0.0", (), TOKEN)  # as if other machines could reach it


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsing() as one:
        yield one


@contextmanager
def serving_stored(database: Path, access: Access) -> Iterator[int]:
    routers = [page_router(), session_router(access), *api_routers(StoredSource(str(database)), access)]
    with serving(access=access, routers=routers) as port:
        yield port


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    database = tmp_path / "stored.db"
    shutil.copy(EXAMPLE, database)
    return database


def hand_in(port: int, token: str) -> Any:
    body = json.dumps({"token": token})
    of_body = ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    head = ["POST /api/session HTTP/1.1", "Host: localhost", "Connection: close", *of_body, "", ""]
    return ask_raw(port, ("\r\n".join(head) + body).encode())


def test_the_token_is_exchanged_for_a_cookie_that_reads_and_no_more(stored: Path) -> None:
    with serving_stored(stored, FROM_ELSEWHERE) as port:
        assert ask(port, "/").status == 200
        assert ask(port, "/api/overview").status == 401
        refused = hand_in(port, "another")
        assert refused.status == 401
        assert "set-cookie" not in refused.headers
        taken = hand_in(port, TOKEN)
        cookie = taken.headers["set-cookie"]
        assert taken.status == 204
        assert TOKEN not in cookie
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        pair = f"Cookie: other=1; {cookie.partition(';')[0]}"
        assert ask(port, "/api/overview", pair).status == 200
        assert ask(port, "/api/overview", f"Cookie: {COOKIE}={'0' * 64}").status == 401
        for method in ("POST", "DELETE"):
            for path in (
                "/api/symbols/BTCUSDT?exchange=bybit",
                "/api/symbols/BTC%2FUSDT:USDT?exchange=bybit",
            ):
                by_cookie = ask(port, path, pair, method=method)
                assert (by_cookie.status, by_cookie.json["reason"]) == (401, "no token, or another one")
                assert "Authorization: Bearer" in by_cookie.json["expected"]
                by_header = ask(port, path, pair, f"Authorization: Bearer {TOKEN}", method=method)
                assert (by_header.status, by_header.json["reason"]) == (400, "nobody collects here")


def test_without_a_token_there_is_nothing_to_exchange(stored: Path) -> None:
    with serving_stored(stored, HERE) as port:
        assert hand_in(port, "x").status == 401
        assert hand_in(port, "").status == 422


def test_the_page_asks_for_the_token_then_shows_what_was_collected(browser: Any, stored: Path) -> None:
    with serving_stored(stored, FROM_ELSEWHERE) as port, seen(browser, f"http://127.0.0.1:{port}/") as tab:
        tab.wait_for_text("#state-word", "Locked")
        assert tab.violations() == []
        tab.page.fill("#token", "another")
        tab.page.keyboard.press("Enter")
        tab.wait_for_text("#login-error", "not the token")
        tab.page.fill("#token", TOKEN)
        tab.page.keyboard.press("Enter")
        tab.wait_for_text("#state-word", "Not collecting")
        assert tab.page.is_hidden("#login")
        assert TOKEN not in tab.page.url
        assert tab.page.evaluate("document.cookie") == ""
        tab.wait("document.querySelectorAll('#rows tr').length > 2")
        tab.wait_for_text("#day-note", "5 min")
        tab.wait("/[1-9]/.test(document.querySelector('#day-charts .plot').getAttribute('aria-label') ?? '')")
        assert tab.violations() == []


def test_an_empty_database_is_said_to_be_empty(browser: Any, tmp_path: Path) -> None:
    database = tmp_path / "empty.db"
    lay_tables(f"sqlite:///{database}")
    with serving_stored(database, HERE) as port, seen(browser, f"http://127.0.0.1:{port}/", PHONE) as tab:
        tab.wait_for_text("#no-rows", "Nothing has been collected yet.")
        assert tab.text("#detail-title") == "No stream chosen"
        assert tab.violations() == []


@pytest.mark.proof
def test_a_file_that_is_no_database_of_ours_is_told_of(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "other.db").touch()
    with (
        serving_stored(tmp_path / "other.db", HERE) as port,
        seen(browser, f"http://127.0.0.1:{port}/") as tab,
    ):
        tab.wait_for_text("#state-word", "No data")
        tab.wait_for_text("#why", "has no table")


def test_text_from_an_exchange_stays_text(browser: Any, stored: Path) -> None:
    with serving_stored(stored, HERE) as port:
        overview = ask(port, "/api/overview").json
        for one in (*overview["streams"], *overview["events"], *overview["exchanges"]):
            one |= {name: HOSTILE for name, value in one.items() if isinstance(value, str)}
        overview |= {"database": HOSTILE, "version": HOSTILE, "session_id": HOSTILE}
        pushed = f"event: overview\ndata: {json.dumps(overview)}\n\n"
        with seen(browser, "about:blank", only_its_server=False) as tab:
            answer = {"body": pushed, "content_type": "text/event-stream"}
            tab.page.route("**/api/stream*", lambda route: route.fulfill(**answer))
            tab.page.goto(f"http://127.0.0.1:{port}/")
            tab.wait_for_text("#events", HOSTILE)
            tab.wait_for_text("#rows", HOSTILE)
            assert tab.page.locator("img, #events b, #rows b").count() == 0
            assert "caught" not in tab.page.title()


def test_everything_is_reached_by_the_keyboard(browser: Any, stored: Path) -> None:
    with serving_stored(stored, HERE) as port, seen(browser, f"http://127.0.0.1:{port}/") as tab:
        tab.wait("document.querySelectorAll('#rows tr').length > 2")

        tab.tab_to(".skip", most=1)
        tab.press("Enter")
        tab.wait("document.activeElement.id === 'streams'")
        tab.tab_to("#filter", most=2)
        tab.page.keyboard.type("eth book")
        tab.wait(f"{ROWS_SHOWN} === 1")
        assert tab.page.get_attribute(f"{ROW} button", "aria-pressed") == "false"
        tab.tab_to(f"{ROW} button", most=2)
        tab.press("Enter")
        tab.wait(f"document.querySelector('{ROW} button').ariaPressed === 'true'")
        tab.wait_for_text("#detail-title", "ETH/USDT:USDT")

        tab.wait("document.querySelectorAll('#holes button').length === 1")
        tab.tab_to("#holes button", most=12)
        tab.press("Enter")
        tab.wait_for_text("#events-title", "Events around")
        tab.wait("document.activeElement.id === 'events-title'")  # a screen reader reads on from there
        tab.wait_for_text("#events", "disconnect")
        tab.tab_to("#events-back", most=1)
        tab.press("Enter")
        tab.wait_for_text("#events-title", "Last events")


@pytest.mark.proof
def test_a_ribbon_tells_a_hole_s_cause_under_the_pointer(browser: Any, stored: Path) -> None:
    with serving_stored(stored, HERE) as port, seen(browser, f"http://127.0.0.1:{port}/") as tab:
        tab.wait("document.querySelectorAll('#rows tr').length > 2")
        tab.page.click(f"{ROW} button")
        in_table, of_day = f"{ROW} canvas", "#large-ribbon"
        for ribbon in (in_table, of_day):
            tab.wait("document.querySelector(arg).ariaLabel.includes('1 hole')", arg=ribbon)
            told = tab.along(ribbon)
            (hole,) = {text for text in told if text.startswith("Hole, ")}
            assert "disconnect" in hole
            assert of_day == ribbon or any(text.startswith("Verified, ") for text in told)
            tab.page.mouse.move(0, 0)
            tab.wait("document.querySelector('#tip').hidden")
