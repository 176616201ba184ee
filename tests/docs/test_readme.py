"""What README says is what the program does."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
import typer

from collector.cli.program import app
from collector.database import STORED_LEVELS
from collector.version import __version__

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ROWS_WITHIN_S = 100.0
_WORDS = {10: "ten"}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def fenced(mark: str) -> list[str]:
    return re.findall(rf"<!-- {mark} -->\n```\w+\n(.*?)```", README, re.DOTALL)


def wait_for_rows(demo: "subprocess.Popen[bytes]", path: Path) -> None:
    """Wait until each table that the examples read has rows of their market."""
    tables = ("l2_training_data_practical", "collector_trades", "collector_ohlcv")
    query = " + ".join(f"(SELECT count(*) > 0 FROM {one} WHERE symbol = 'BTC/USDT:USDT')" for one in tables)
    deadline_s = time.monotonic() + ROWS_WITHIN_S
    found = 0
    while found < len(tables):
        assert demo.poll() is None, "the demo has ended by itself"
        assert time.monotonic() < deadline_s, f"only {found} of {tables} have rows"
        time.sleep(0.05)
        with (
            suppress(sqlite3.OperationalError),
            closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as open_file,
        ):
            ((found,),) = open_file.execute(f"SELECT {query}").fetchall()


def run_words() -> list[str]:
    """Return the words behind `python run.py` of the command that a reader runs first."""
    (command,) = fenced("run command")
    words = command.split("&&")[1].split()
    assert words[:2] == ["python", "run.py"]
    return words[2:]


def test_the_run_command_is_one_of_the_program() -> None:
    """The examples run on an example of what it leaves: test_example_database.py."""
    name, *options = run_words()
    command = typer.main.get_command(app)
    assert name == "demo"
    chosen = command.commands[name].make_context(name, options).params  # type: ignore[attr-defined]
    assert chosen["seconds"] >= 10
    database = chosen["db"].removeprefix("./")
    assert all(f'"{database}"' in example for example in fenced("example"))


@pytest.mark.proof
def test_the_examples_run_on_what_the_run_command_leaves(tmp_path: Path) -> None:
    words = run_words()
    seconds = words.index("--seconds")
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    # Not for so many seconds, but until there is what the examples read; then as Ctrl-C ends it.
    program = [sys.executable, str(ROOT / "run.py"), *words[:seconds], *words[seconds + 2 :]]
    with subprocess.Popen(program, cwd=tmp_path, stdout=subprocess.DEVNULL, env=environ) as demo:
        wait_for_rows(demo, tmp_path / "demo.db")
        demo.send_signal(signal.SIGINT)
    assert demo.returncode == 0
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_named_in_the_docs_exist(page: Path) -> None:
    named = set(re.findall(r"python run\.py ([a-z]+)", page.read_text(encoding="utf-8")))
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert named - {name for name, one in commands.items() if not one.hidden} == set()


def test_changelog_and_version_agree() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## [Unreleased]" in changelog
    assert __version__ == "0.1.0" or f"## [{__version__}]" in changelog


def test_the_first_page_says_how_much_of_a_book_is_stored() -> None:
    offered = README.split("## What you get")[1].split("\n- ")[1]
    assert f"stored with their best {_WORDS[STORED_LEVELS]} levels a side" in offered
    first_part = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8").split("\n## ")[0]
    assert f"keep the best {_WORDS[STORED_LEVELS]} levels a side" in first_part
