"""On a terminal, on one that can do nothing, and with the keyboard."""

import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from program import config, count_rows
from terminal import COLOURS, Terminal

Open = Callable[..., Terminal]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Open]:
    opened: list[Terminal] = []

    def open_terminal(*words: str, **options: object) -> Terminal:
        opened.append(Terminal(*words, cwd=tmp_path, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield open_terminal
    for one in opened:
        one.close()


@pytest.mark.parametrize("columns", [80, pytest.param(140, marks=pytest.mark.proof)])
def test_a_terminal_shows_the_live_table_and_ctrl_c_the_accounting(
    terminal: Open, tmp_path: Path, simulator: Simulator, columns: int
) -> None:
    shown = terminal("collect", "--config", config(tmp_path, simulator), columns=columns)
    shown.read_until("1 of 1 streams verified")
    shown.read_until("last commit")
    assert COLOURS.search(shown.raw)
    shown.type("\x03")
    assert shown.end() == 0
    assert "stopping: writing what is held" in shown.text
    assert "identity: exact, every event is accounted for" in shown.text
    assert shown.raw.rindex("\x1b[?25h") > shown.raw.rindex("\x1b[?25l")  # the cursor is back


@pytest.mark.proof
def test_no_color_means_none(terminal: Open, tmp_path: Path, simulator: Simulator) -> None:
    shown = terminal("collect", "--config", config(tmp_path, simulator), NO_COLOR="1")
    shown.read_until("1 of 1 streams verified")
    shown.type("\x03")
    assert shown.end() == 0
    assert not COLOURS.search(shown.raw)


@pytest.mark.proof
@pytest.mark.parametrize(
    ("words", "environ"),
    [
        pytest.param((), {"TERM": "dumb"}, id="dumb", marks=pytest.mark.proof),
        pytest.param(("--plain",), {"NO_COLOR": "1"}, id="plain"),
    ],
)
def test_plain_lines_where_a_table_cannot_be_drawn(
    terminal: Open, tmp_path: Path, simulator: Simulator, words: tuple[str, ...], environ: dict[str, str]
) -> None:
    shown = terminal("collect", "--config", config(tmp_path, simulator), *words, **environ)
    shown.read_until("coverage.begun")
    shown.type("\x03")
    assert shown.end() == 0
    assert "streams verified" not in shown.text
    assert "\x1b" not in shown.raw


@pytest.mark.proof
def test_a_second_ctrl_c_forces_and_what_was_committed_stays(
    terminal: Open, tmp_path: Path, simulator: Simulator
) -> None:
    """Another program holds the database, so that draining cannot end."""
    shown = terminal("collect", "--config", config(tmp_path, simulator))
    database = tmp_path / "live.db"
    shown.read_until(lambda: count_rows(database) > 50)
    holder = sqlite3.connect(database, isolation_level=None, timeout=10)
    holder.execute("BEGIN IMMEDIATE")
    held = count_rows(database)
    shown.type("\x03")
    shown.read_until("stopping: writing what is held")
    shown.type("\x03")
    assert shown.end(5) == -signal.SIGINT
    holder.execute("ROLLBACK")
    holder.close()
    assert "forced to stop" in shown.text
    assert "\x1b[?25h" in shown.raw
    assert count_rows(database) == held


def test_ctrl_c_ends_the_simulated_exchanges(terminal: Open) -> None:
    shown = terminal("simulate", "--port", "0")
    shown.read_until("Ctrl-C stops")
    shown.type("\x03")
    assert shown.end() == 0
    assert "Traceback" not in shown.text


def test_verify_shows_how_far_it_is_and_how_fast(terminal: Open, sound: Path) -> None:
    shown = terminal("verify", "--db", str(sound), columns=120)
    assert shown.end() == 0
    assert "rows/s" in shown.text
    assert "verified:" in shown.text
