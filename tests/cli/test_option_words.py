"""Mistakes on the command line are answered in its own words: options, commands, and what was typed."""

import re
import sys
from pathlib import Path

import pytest
import typer

from collector.cli.option_words import in_option_words, options_of
from collector.cli.program import app

sys.path.insert(0, str(Path(__file__).parent))
from program import BTC, Run

OPTIONS = {"depth": "--depth", "end": "--end", "every": "--every", "symbol": "SYMBOL", "form": "--format"}
OF_PYTHON = re.compile(r"\b[a-z_]+=|\w\(|\bpd\.|iter_features|columns")


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("BTC is stored with several: 1, 50; say which: depth=...", "say which: --depth"),
        ("end '2026' is before start '2027'", "--end '2026' is before start '2027'"),
        ("every is '1', a number without a unit", "--every is '1', a number without a unit"),
        ("choose a longer every=, a shorter span", "choose a longer --every, a shorter span"),
        ("symbols() lists what is stored", "python run.py symbols lists what is stored"),
        ("the weekend is 'over' and depth 5 stays", "the weekend is 'over' and depth 5 stays"),
        ('pass data_source="*" for all', 'pass data_source="*" for all'),
    ],
)
def test_arguments_become_options(told: str, said: str) -> None:
    assert said in in_option_words(told, OPTIONS)


def test_a_command_says_its_own_options() -> None:
    group = typer.main.get_command(app)
    assert options_of(group, ["plot", BTC, "--every", "1"])["every"] == "--every"
    assert options_of(group, ["plot", BTC])["symbol"] == "SYMBOL"
    assert options_of(group, ["migrate", "up", "--to", "1"])["to"] == "--to"
    assert options_of(group, ["jobs", "run", "tidy"])["name"] == "NAME"


MISTAKES = {
    "a symbol": (["plot", "BTC/UDST:USDT"], f"did you mean {BTC}?"),
    "an exchange": (["plot", BTC, "--exchange", "bybt"], "did you mean bybit?"),
    "a depth": (["plot", BTC, "--depth", "7"], "with depth 7; here: 50"),
    "a number for a step": (["plot", BTC, "--every", "1"], "--every is '1'"),
    "seconds for an instant": (["plot", BTC, "--start", "1795891130"], "--start is 1795891130"),
    "a span that ends before": (
        ["plot", BTC, "--start", "2026-11-29T12:00", "--end", "2026-11-29T11:00"],
        "--end '2026-11-29T11:00' is before --start",
    ),
    "a grid that no memory holds": (
        ["plot", BTC, "--every", "1ns"],
        "choose a longer --every, a shorter span",
    ),
    "a form of picture": (["plot", BTC, "--to", "a.xyz"], "expected png"),
    "a folder of pictures": (["plot", BTC, "--to", "no/such/a.png"], "folder no/such for the picture"),
    "rows": (["tail", "trade"], "did you mean trades?"),
    "a kind of export": (["export", "out", "--kinds", "trade"], "did you mean trades?"),
    "a form of export": (["export", "out", "--format", "parqet"], "did you mean parquet?"),
    "a span of nothing": (["export", "out", "--start", "2027-01-01"], "python run.py symbols lists what is"),
    "an option": (["coverage", "--symbl", BTC], "--symbol"),
    "a job": (["jobs", "run", "tidyy"], "did you mean tidy?"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_by_what_was_typed(run: Run, sound: Path, mistake: str) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("pyarrow")
    words, expected = MISTAKES[mistake]
    to = ["--to", "a.png"] if words[0] == "plot" and "--to" not in words else []
    done = run(*words, *to, "--db", str(sound))
    assert done.returncode == 2
    assert expected in done.stderr
    assert not OF_PYTHON.search(done.stderr.replace(str(sound), "")), done.stderr
    assert "Traceback" not in done.stderr


def test_what_a_command_logs_is_no_result(run: Run, sound: Path) -> None:
    done = run("plot", BTC, "--db", str(sound), "--to", "a.png")
    assert [line[:6] for line in done.stdout.splitlines()] == ["drawn:"]
