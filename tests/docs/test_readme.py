"""What README says is what the program does."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from collector.database import STORED_LEVELS
from collector.version import __version__

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
_WORDS = {10: "ten"}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def fenced(mark: str) -> list[str]:
    return re.findall(rf"<!-- {mark} -->\n```\w+\n(.*?)```", README, re.DOTALL)


def test_the_examples_run_on_what_the_run_command_leaves(tmp_path: Path) -> None:
    (command,) = fenced("run command")
    words = command.split("&&")[1].split()
    assert words[:2] == ["python", "run.py"]
    words[words.index("--seconds") + 1] = "2"
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, str(ROOT / "run.py"), *words[2:]],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        env=environ,
    )
    examples = fenced("example")
    assert len(examples) == 2
    check = "\nassert len(globals().get('ticks', globals().get('frame')))\n"
    # One process, which imports pandas once; each example has the names that it makes itself.
    program = f"for example in {[example + check for example in examples]}: exec(example, {{}})"
    subprocess.run([sys.executable, "-W", "error", "-c", program], cwd=tmp_path, check=True, env=environ)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert len(fenced("test command")) == 1
    assert "<!-- test command -->" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def helped() -> str:
    words = [sys.executable, str(ROOT / "run.py"), "--help"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_named_in_the_docs_exist(page: Path, helped: str) -> None:
    named = set(re.findall(r"python run\.py ([a-z]+)", page.read_text(encoding="utf-8")))
    assert {word for word in named if not re.search(rf"│ {word} ", helped)} == set()


def test_changelog_and_version_agree() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## [Unreleased]" in changelog
    assert __version__ == "0.1.0" or f"## [{__version__}]" in changelog


def test_the_first_page_says_how_much_of_a_book_is_stored() -> None:
    offered = README.split("## What you get")[1].split("\n- ")[1]
    assert f"stored with their best {_WORDS[STORED_LEVELS]} levels a side" in offered
    first_part = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8").split("\n## ")[0]
    assert f"keep the best {_WORDS[STORED_LEVELS]} levels a side" in first_part
