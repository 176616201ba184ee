"""The dashboard in a browser, over the demo: prices move, an exchange is cut and comes back, a restart."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from collector.app import Collector, make_collector
from collector.cli.commands.demo import demo_markets, demo_settings
from collector.serve import Server, server_of
from collector.settings import ServeSettings, Settings
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from browser_rig import LOOKS, browsing, seen

CUT = "kraken"
ROW = f'#rows tr[data-key^="{CUT} "]'
MID = "document.querySelector('#readouts dd').textContent"


Demo = tuple[Simulator, Settings, Collector]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Run what `demo` runs, more slowly, for all tests here; each leaves it healthy."""
    with Simulator(symbols=demo_markets(), updates_per_s=2.0) as simulator:
        database = tmp_path_factory.mktemp("demo") / "demo.db"
        settings = demo_settings(simulator, str(database), {"COLLECTOR_SERVE__PORT": "0"})
        collector = make_collector(settings)
        collector.start()
        try:
            yield simulator, settings, collector
        finally:
            collector.stop()


@contextmanager
def serving_demo(demo: Demo, port: int = 0) -> Iterator[str]:
    server = _server(demo, port)
    try:
        assert server.url is not None
        yield server.url
    finally:
        server.close()


def _server(demo: Demo, port: int) -> Server:
    _, settings, collector = demo
    listening = settings.model_copy(update={"serve": ServeSettings(port=port)})
    server = server_of(listening, collector, by_default=True)
    assert server is not None
    assert server.start()
    return server


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsing() as one:
        yield one


def test_prices_move_and_an_exchange_is_cut_and_recovers(browser: Any, demo: Demo) -> None:
    simulator, *_ = demo
    with serving_demo(demo) as url, seen(browser, url) as tab:
        tab.wait_for_text("#state-word", "Healthy")
        assert tab.page.title().startswith("● Healthy")
        before = tab.page.evaluate(MID)
        tab.wait(f"{MID} !== arg && /^[\\d.]+$/.test({MID})", arg=before)
        tab.wait("document.querySelector('#ladder .price.bid').textContent.length > 3")
        assert tab.text("#identity .difference td") == "0"

        simulator.faults.refuse(CUT, count=100_000)
        simulator.faults.close(CUT)
        tab.wait_for_text("#state-word", "Degraded")
        tab.wait(f"[...document.querySelectorAll('{ROW}')].every(row => row.dataset.state !== 'verified')")
        tab.wait_for_text("#why", CUT)
        assert tab.page.get_attribute("#banner", "data-state") == "degraded"

        simulator.calm()
        tab.wait_for_text("#state-word", "Healthy")
        tab.page.click(f"{ROW} button")
        tab.wait_for_text("#detail-title", CUT)
        tab.page.click("#holes button")  # what was missed while it was away, and why
        tab.wait_for_text("#events-title", "Events around")
        tab.wait_for_text("#events", "disconnected")


def test_the_page_outlives_the_server(browser: Any, demo: Demo) -> None:
    server = _server(demo, 0)
    url, port = server.url, server.port
    assert url is not None
    assert port is not None
    with seen(browser, url) as tab:
        tab.wait_for_text("#link-word", "live")
        server.close()
        tab.wait_for_text("#state-word", "No answer")
        tab.wait_for_text("#since", "ago")
        assert tab.page.get_attribute("body", "class") == "old"
        with serving_demo(demo, port):
            tab.wait_for_text("#state-word", "Healthy")
            tab.wait("document.body.className === ''")


def test_the_jobs_tell_what_came_of_a_run(browser: Any, demo: Demo) -> None:
    job = "[...document.querySelectorAll('#jobs-rows tr')].find(row => row.innerText.includes('tidy'))"
    _, _, collector = demo
    with serving_demo(demo) as url, seen(browser, url) as tab:
        tab.wait_for_text("#state-word", "Healthy")
        assert tab.page.locator("#jobs-rows tr").count() == 0  # not asked for while nobody looks
        tab.page.locator("#jobs").scroll_into_view_if_needed()
        tab.wait(f"{job}?.innerText.includes('not yet')")
        collector.jobs.begin("tidy")
        tab.wait(f"{job}.dataset.state === 'healthy' && {job}.innerText.includes('done')")
        assert tab.page.evaluate(f"() => {job}.innerText.includes('every 3600 s')")
        assert "jobs run NAME" in tab.text("#jobs")
        assert tab.violations() == []


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_nothing_is_found_against_the_page(
    browser: Any, demo: Demo, size: dict[str, int], scheme: str
) -> None:
    with serving_demo(demo) as url, seen(browser, url, size, scheme) as tab:
        tab.wait_for_text("#state-word", "Healthy")
        assert tab.violations() == []
        tab.page.click("#tab-day")
        tab.page.click("#theme")  # from the system's to the light one
        tab.wait_for_text("#day-note", "5 min")
        assert tab.violations() == []
        tab.page.locator("#jobs").scroll_into_view_if_needed()
        tab.wait_for_text("#jobs-rows", "heartbeat")
        wide_px = tab.page.evaluate("document.documentElement.scrollWidth")
        assert wide_px == size["width"], "the page is wider than the window"
