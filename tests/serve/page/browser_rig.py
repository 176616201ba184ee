"""A real browser on the page; it is the machine's own Chromium, and its absence is a failure in CI."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
WIDE, PHONE = {"width": 1440, "height": 1000}, {"width": 390, "height": 844}
LOOKS = [  # the narrow one is where a page grows too wide, and it begins in the light scheme
    pytest.param(PHONE, "light", id="phone"),
    pytest.param(WIDE, "dark", id="wide", marks=pytest.mark.proof),
]
POINTER_STEP_PX = 8  # a hole is told of within four pixels of it
WITHIN_MS = 60_000.0  # what fails to come does so on the busiest machine

sys.path.insert(0, str(Path(__file__).parents[1]))


@contextmanager
def browsing() -> Iterator[Any]:
    """Start the browser. Not beside an event loop in the same thread: Playwright has one there."""
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415
    except ModuleNotFoundError:
        if os.environ.get("CI"):
            raise
        pytest.skip("the page is not looked at: no playwright here (pip install -e '.[dev]')")
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        assert not os.environ.get("CI"), f"no browser: expected one of {', '.join(NAMES)}"
        pytest.skip("the page is not looked at: no Chromium here (apt-get install chromium)")
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=as_root)
        try:
            yield browser
        finally:
            browser.close()


class Seen:
    """One tab, and what went wrong in it."""

    def __init__(self, browser: Any, size: dict[str, int], scheme: str = "dark") -> None:
        self.context = browser.new_context(viewport=size, color_scheme=scheme)
        self.context.set_default_timeout(WITHIN_MS)
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._said)
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))

    def _said(self, message: Any) -> None:
        is_network = message.text.startswith("Failed to load resource")  # a server that is away, a 401
        if message.type in ("error", "warning") and not is_network:
            self.errors.append(message.text)

    def text(self, selector: str) -> str:
        return str(self.page.inner_text(selector))

    def wait(self, expression: str, *, arg: object = None) -> None:
        """Wait until a JavaScript expression, of `arg`, is true; fail, telling it, when that does not come.

        It is sent as a function: an expression would be evaluated by the page, which its policy forbids.
        """
        self.page.wait_for_function(f"arg => {expression}", arg=arg)

    def wait_for_text(self, selector: str, part: str) -> None:
        self.wait("document.querySelector(arg[0])?.innerText.includes(arg[1])", arg=[selector, part])

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)

    def tab_to(self, selector: str, *, most: int) -> None:
        """Press Tab until an element has the focus, so often at most; it must be seen to have it."""
        passed = []
        for _ in range(most):
            self.press("Tab")
            if self.page.evaluate("wanted => document.activeElement.matches(wanted)", selector):
                outline = self.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert outline != "none", f"{selector} does not show that it has the focus"
                return
            passed.append(self.page.evaluate("document.activeElement.outerHTML.slice(0, 80)"))
        raise AssertionError(f"no {selector} within {most} Tabs: {passed}")

    def along(self, selector: str) -> list[str]:
        """Move the pointer along an element; return what the tooltip said on the way."""
        self.page.locator(selector).scroll_into_view_if_needed()
        box = self.page.locator(selector).bounding_box()
        told = []
        for x in range(2, int(box["width"]), POINTER_STEP_PX):
            self.page.mouse.move(box["x"] + x, box["y"] + box["height"] / 2)
            told.append(self.text("#tip"))
        return told

    def violations(self) -> list[str]:
        """Return what axe-core finds against the page as it stands."""
        from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415

        found = Axe().run(self.page).response["violations"]
        return [f"{one['id']}: {[node['target'] for node in one['nodes']]}" for one in found]


@contextmanager
def seen(
    browser: Any, url: str, size: dict[str, int] = WIDE, scheme: str = "dark", *, only_its_server: bool = True
) -> Iterator[Seen]:
    """Open a page; nothing may have gone wrong in it, and it may have asked nobody but its server."""
    tab = Seen(browser, size, scheme)
    try:
        tab.page.goto(url)
        yield tab
        assert tab.errors == []
        assert not only_its_server or tab.hosts == {urlsplit(url).netloc}
    finally:
        tab.context.close()
