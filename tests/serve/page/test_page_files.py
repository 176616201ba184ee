"""What the dashboard is made of: few bytes, nothing from elsewhere, nothing inline, no HTML made of data."""

import hashlib
import re
import sys
from pathlib import Path

import pytest

from collector.serve.access import PAGE_FILES
from collector.serve.page.router import STATIC, page_files, page_router

sys.path.insert(0, str(Path(__file__).parents[1]))
from serve_rig import ask, serving

MOST_BYTES = 175_000
FILES = page_files()
OURS = {address: file.body.decode() for address, file in FILES.items() if "/vendor/" not in address}
SCRIPTS = {address: text for address, text in OURS.items() if address.endswith(".js")}
TO_HTML = (
    "innerHTML",
    "outerHTML",
    "AdjacentHTML",
    "document.write",
    "DOMParser",
    "eval(",
    "Function(",
)
ADDRESS = re.compile(r"(?:https?:|(?<![:\w])//)[\w.]+")
NAMESPACE = "http://www.w3.org/2000/svg"  # a name, which nobody fetches
IMPORT = re.compile(r'^(?:import|export) .* from "(\./[\w-]+\.js)";$', re.MULTILINE)


def test_the_whole_page_is_small() -> None:
    assert sum(path.stat().st_size for path in STATIC.rglob("*") if path.is_file()) < MOST_BYTES


def test_nothing_comes_from_elsewhere() -> None:
    foreign = {
        address: found
        for address, text in OURS.items()
        if (found := [one for one in ADDRESS.findall(_code(text)) if not NAMESPACE.startswith(one)])
    }
    assert foreign == {}


def _code(text: str) -> str:
    """Leave out the comments of a script."""
    return re.sub(r"^\s*//.*$|(?<=[;{]) +// .*$", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("word", TO_HTML)
def test_no_script_makes_html_or_code_of_text(word: str) -> None:
    assert [address for address, text in SCRIPTS.items() if word in text] == []


def test_nothing_is_inline() -> None:
    index = OURS["/"]
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", index)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", index))


def test_every_file_is_used_and_every_name_is_there() -> None:
    """Each is named by the index, or imported by a module that is."""
    used = {"/", *re.findall(rf'(?:src|href)="({PAGE_FILES}[^"]+)"', OURS["/"])}
    waiting = [one for one in used if one in SCRIPTS]
    while waiting:
        for name in IMPORT.findall(SCRIPTS[waiting.pop()]):
            address = f"{PAGE_FILES}js/{name.removeprefix('./')}"
            if address not in used:
                used.add(address)
                waiting.append(address)
    assert used == set(FILES)


def test_every_element_that_a_script_asks_for_is_in_the_index() -> None:
    ids = set(re.findall(r'\bid="([\w-]+)"', OURS["/"]))
    asked = {name for text in SCRIPTS.values() for name in re.findall(r'\bbyId\("([\w-]+)"\)', text)}
    assert asked - ids == set()
    assert len(asked) > 40


def test_what_is_vendored_is_as_it_was_fetched() -> None:
    folder = STATIC / "vendor"
    table = (folder / "VENDOR.md").read_text()
    told = dict(re.findall(r"^\| `([\w.]+)` .* `([0-9a-f]{64})` \|$", table, re.MULTILINE))
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.suffix in (".js", ".css")
    }
    assert told == found
    assert (folder / "uPlot-LICENSE").is_file()


def test_the_hash_to_fetch_by_is_told_once() -> None:
    makefile = (Path(__file__).parents[3] / "Makefile").read_text()
    told = (STATIC / "vendor" / "VENDOR.md").read_text()
    (version,) = re.findall(r"^UPLOT = (.+)$", makefile, re.MULTILINE)
    (sha512,) = re.findall(r"^UPLOT_SHA512 = (.+)$", makefile, re.MULTILINE)
    assert f"uplot@{version}`" in told
    assert f"`sha512-{sha512}`" in told


def test_files_are_given_out_with_a_tag_and_a_strict_policy() -> None:
    with serving(routers=[page_router()]) as port:
        index = ask(port, "/")
        assert (index.status, index.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert index.headers["cache-control"] == "no-cache"
        policy = index.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert index.body == FILES["/"].body
        assert ask(port, "/", method="HEAD").body == b""
        for address, file in FILES.items():
            answer = ask(port, address, f"If-None-Match: {file.tag}")
            assert (answer.status, answer.headers["etag"]) == (304, file.tag)


@pytest.mark.parametrize("path", ["/page/", "/page/none.js", "/page/../router.py", "/page/%2e%2e/router.py"])
def test_nothing_else_of_the_disk_is_given_out(path: str) -> None:
    with serving(routers=[page_router()]) as port:
        assert ask(port, path).status == 404
