"""The daily report in a browser: the worst first, another day, 400 streams, hostile text."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from api_rig import EXAMPLE, serving_database

from collector.cli.program import run as run_command

sys.path.insert(0, str(Path(__file__).parent))
from browser_rig import LOOKS, browsing, seen
from reported import DAYS, reported

STREAMS, WRONG = 400, 33
FIRST = "#quality-rows tr:first-child"
SHOWN = "[...document.querySelectorAll('#quality-rows tr')].filter(row => !row.hidden)"
HOSTILE = "<img src=x onerror=\"document.title='caught'\">"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsing() as one:
        yield one


def look(tab: Any) -> None:
    tab.page.locator("#quality").scroll_into_view_if_needed()
    tab.wait(f"{SHOWN}.length > 0")


def test_the_worst_stream_stands_first_of_many(browser: Any, tmp_path: Path) -> None:
    with (
        serving_database(reported(tmp_path / "many.db", STREAMS, wrong=WRONG)) as port,
        seen(browser, f"http://127.0.0.1:{port}/") as tab,
    ):
        look(tab)
        assert tab.page.evaluate(f"() => {SHOWN}.map(row => row.dataset.key.split('/')[0].split(' ')[1])")[
            :3
        ] == ["C033", "C380", "C360"]  # one that a witness found wrong, then by the longest hole
        assert tab.text("#quality-note") == (
            "400 streams · 1 with a book that disagreed · 19 with holes · 380 whole"
        )
        assert "sequence_gap 19 (19 min 0 s)" in tab.text("#quality-rows tr:nth-child(2)")

        tab.page.click("#quality-head button:text-is('p95')")
        tab.wait_for_text(FIRST, "C399")
        assert tab.page.get_attribute("#quality-head th:has-text('p95')", "aria-sort") == "descending"
        tab.page.click("#quality-head button:text-is('p95')")
        tab.wait_for_text(FIRST, "C000")
        tab.page.fill("#quality-find", "bybit stale")
        tab.wait(f"{SHOWN}.length === 6")
        tab.page.click("#quality-worst")
        tab.wait(f"{SHOWN}[0].innerText.includes('C340')")

        tab.page.fill("#quality-find", "")
        tab.page.select_option("#quality-day", DAYS[0])
        tab.wait_for_text(FIRST, "C380")  # the day before no book was wrong
        tab.wait_for_text("#quality-note", "400 streams · 19 with holes")


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_nothing_is_found_against_the_report(
    browser: Any, tmp_path: Path, size: dict[str, int], scheme: str
) -> None:
    with (
        serving_database(reported(tmp_path / "some.db", 21, wrong=3)) as port,
        seen(browser, f"http://127.0.0.1:{port}/", size, scheme) as tab,
    ):
        look(tab)
        assert tab.violations() == []
        assert tab.page.evaluate("document.documentElement.scrollWidth") == size["width"]
        assert "sequence_gap 1 (1 min 0 s)" in tab.text("#quality-rows")


def test_a_stream_of_the_report_opens_its_day(browser: Any, tmp_path: Path) -> None:
    stored = Path(shutil.copy(EXAMPLE, tmp_path / "stored.db"))
    assert run_command(["jobs", "run", "quality", "--db", str(stored)]) == 0
    with serving_database(stored) as port, seen(browser, f"http://127.0.0.1:{port}/") as tab:
        look(tab)
        tab.wait_for_text(FIRST, "disconnect")
        tab.page.click(f"{FIRST} button")
        tab.wait_for_text("#detail-title", tab.text(f"{FIRST} .symbol"))
        assert tab.page.input_value("#day-date") == tab.text("#quality-day option:checked")
        tab.wait("document.querySelectorAll('#holes button').length > 0")


def test_text_of_a_report_stays_text(browser: Any, tmp_path: Path) -> None:
    with (
        serving_database(reported(tmp_path / "hostile.db", 21, cause=HOSTILE)) as port,
        seen(browser, f"http://127.0.0.1:{port}/") as tab,
    ):
        look(tab)
        tab.wait_for_text("#quality-rows", HOSTILE)
        assert tab.page.locator("#quality img").count() == 0
