"""`init` asks four questions, or takes their answers as options, and writes a file that can be used."""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector.settings import Settings, load_settings
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from meanwhile import RunWhile
from program import CLEAN, ROOT, Run
from terminal import COLOURS, Terminal

Open = Callable[..., Terminal]
WHOLE = (
    "init",
    "--exchanges",
    "bybit,kraken",
    "--markets",
    "BTC",
    "--purpose",
    "training",
    "--db",
    "live.db",
)
POSTGRES = "postgresql://me:s3cret@host/market"


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Open]:
    opened: list[Terminal] = []

    def open_terminal(*words: str, **options: object) -> Terminal:
        opened.append(Terminal(*words, cwd=tmp_path, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield open_terminal
    for one in opened:
        one.close()


def loaded(path: Path) -> Settings:
    return load_settings(path, environ={}, env_file=None)


def answer(shown: Terminal, question: str, *typed: str) -> None:
    """Answer once the prompt stands; of several answers all but the last are asked again."""
    shown.read_until(question)
    for number, text in enumerate(typed, 1):
        shown.read_until(lambda count=number: shown.text.split(question, 1)[1].count(") > ") >= count)
        shown.type(f"{text}\n")


def test_with_all_options_nothing_is_asked_and_the_file_can_be_used(run: Run, tmp_path: Path) -> None:
    done = run(*WHOLE)
    assert done.returncode == 0, done.stderr
    assert "?" not in done.stdout
    settings = loaded(tmp_path / "collector.yaml")
    found = {name: (one.symbols, one.channels) for name, one in settings.exchanges.items()}
    assert found == {
        "bybit": (("BTC/USDT:USDT",), ("book.50", "trade", "ohlcv.1m")),
        "kraken": (("BTC/USD",), ("book.100", "trade", "ohlcv.1m")),
    }
    assert settings.database.url == "live.db"
    assert "bybit: BTC/USDT:USDT\nkraken: BTC/USD\n" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["collector.yaml"]


def test_the_plan_shown_is_the_plan_of_the_file(run: Run) -> None:
    done = run(*WHOLE)
    planned = run("plan", "--config", "collector.yaml").stdout.splitlines()
    *same, room = planned
    assert "\n".join(same) in done.stdout
    assert "GB/day" in same[0]
    assert room.split(":")[1].split()[:2] == ["full", "in"]
    assert "full in" in done.stdout


def test_one_row_a_second_is_what_the_plan_counts_with(run: Run, tmp_path: Path) -> None:
    done = run("init", "-e", "bybit", "-s", "BTC", "--purpose", "light", "--db", "live.db")
    sample = loaded(tmp_path / "collector.yaml").exchanges["bybit"].sample
    assert (sample.mode, sample.interval_ms) == ("interval", 1000)
    (book,) = [line.split() for line in done.stdout.splitlines() if "book.50" in line]
    assert book[3:5] == ["50.0", "1"]


def test_every_line_of_the_file_is_told_why(run: Run, tmp_path: Path) -> None:
    run(*WHOLE)
    lines = (tmp_path / "collector.yaml").read_text().splitlines()
    first = lines[: lines.index("  kraken:")]
    for key in ("symbols:", "channels:", "sample:"):
        assert first[first.index(f"    {key}") - 1].startswith("    # ")
    assert all(
        " # " in line for line in lines if line.startswith(("      - book", "      - trade", "      mode"))
    )
    assert "docs/configuration.md" in "\n".join(lines[:5])


def test_the_last_line_is_the_next_command_and_the_head_says_how_to_make_it_again(
    run: Run, tmp_path: Path
) -> None:
    done = run(*WHOLE)
    program, *words = shlex.split(done.stdout.splitlines()[-1])
    assert words[-2:] == ["--config", "collector.yaml"]
    assert (shutil.which(program), words[0]) == (sys.executable, str(ROOT / "run.py"))
    assert run("plan", *words[1:]).returncode == 0
    path = tmp_path / "collector.yaml"
    text = path.read_text()
    again = text.splitlines()[1].removeprefix("# Made by: ")
    path.unlink()
    subprocess.run(again, shell=True, cwd=tmp_path, env=CLEAN, check=True, capture_output=True)
    assert path.read_text() == text


def test_what_is_written_collects(
    run: Run, run_while: RunWhile, tmp_path: Path, simulator: Simulator
) -> None:
    assert run("init", "-e", "bybit", "-s", "BTC", "--purpose", "bot", "--db", "live.db").returncode == 0
    addresses = {
        f"COLLECTOR_EXCHANGES__BYBIT__ENDPOINTS__{side.upper()}": url
        for side, url in simulator.endpoints("bybit").items()
    }
    done = run_while(
        lambda running: running.wait_for_rows(tmp_path / "live.db", 1),
        *("--config", "collector.yaml"),
        **addresses,
    )
    assert done.returncode == 0, done.stderr
    assert "identity: exact" in done.stdout


def test_without_a_terminal_the_missing_options_are_named_with_a_command_that_works(
    run: Run, tmp_path: Path
) -> None:
    done = run("init", "--exchange", "kraken", "--output", "k.yaml")
    assert done.returncode == 2
    message, command = done.stderr.splitlines()
    assert "no terminal to ask on, expected --markets, --purpose, --db as well" in message
    assert list(tmp_path.iterdir()) == []
    *_, program = (words := shlex.split(command))[: words.index("init")]
    assert program.endswith("run.py")
    assert run(*words[words.index("init") :]).returncode == 0
    assert list(loaded(tmp_path / "k.yaml").exchanges) == ["kraken"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--purpose", "trade"), "'trade' is no purpose, expected one of training, bot, light"),
        (("--exchanges", "bybti"), "did you mean bybit?"),
        (("--markets", "BTC/USD:BTC"), "is not collected from bybit"),
        (("--db", "no/such/live.db"), "does not exist; create it first"),
        (("--output", "no/such.yaml"), "the folder no for --output does not exist"),
        (("--output", "."), "is a folder"),
    ],
)
def test_a_wrong_option_ends_it_and_writes_nothing(
    run: Run, tmp_path: Path, words: tuple[str, ...], problem: str
) -> None:
    done = run(*WHOLE, *words)
    assert done.returncode == 2
    assert problem in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_in_the_environment_ends_it_and_writes_nothing(run: Run, tmp_path: Path) -> None:
    done = run(*WHOLE, COLLECTOR_BUFFER__MAX_ROWS="5")
    assert done.returncode == 2
    assert "COLLECTOR_BUFFER__MAX_ROWS" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_outranks_the_file_is_told(run: Run) -> None:
    done = run(*WHOLE, COLLECTOR_EXCHANGES__BYBIT__CHANNELS="trade", COLLECTOR_DATABASE__URL="live.db")
    assert "outrank the file in exchanges.bybit.channels\n" in done.stdout
    assert "book.50" not in done.stdout
    assert "outrank the file" not in run(*WHOLE, "--force").stdout


def test_a_file_that_exists_is_replaced_with_force_only(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "collector.yaml"
    path.write_text("mine")
    done = run(*WHOLE)
    assert done.returncode == 2
    assert "--force replaces it, --output names another file" in done.stderr
    assert path.read_text() == "mine"
    real = path.rename(tmp_path / "real.yaml")
    path.symlink_to(real)
    assert run(*WHOLE, "--force").returncode == 0
    assert path.is_symlink()
    assert "exchanges:" in real.read_text()


def test_a_password_is_neither_written_nor_shown_and_tables_are_made_first(run: Run, tmp_path: Path) -> None:
    done = run(*WHOLE, "--db", POSTGRES)
    assert done.returncode == 0, done.stderr
    assert "s3cret" not in (tmp_path / "collector.yaml").read_text() + done.stdout + done.stderr
    assert loaded(tmp_path / "collector.yaml").database.url == "postgresql://me@host/market"
    export, migrate, collect = done.stdout.splitlines()[-3:]
    assert export == "  export COLLECTOR_DATABASE__URL=postgresql://me:PASSWORD@host/market"
    assert migrate.endswith('run.py migrate up --db "$COLLECTOR_DATABASE__URL"')
    assert collect.endswith("run.py --config collector.yaml")
    missing = run("init", "--db", POSTGRES)
    assert "s3cret" not in missing.stderr
    known = run(*WHOLE, "--force", "--db", POSTGRES, COLLECTOR_DATABASE__URL=POSTGRES)
    assert "export" not in known.stdout
    assert "s3cret" not in known.stdout


def test_a_person_is_asked_again_until_each_answer_can_be_used(terminal: Open, tmp_path: Path) -> None:
    shown = terminal("init", columns=120)
    answer(shown, "1/4  From which exchanges?", "bybti", "1,kraken")
    answer(shown, "2/4  Which markets?", "BTC/USDT/USDT", "btc")
    answer(shown, "3/4  What for?", "nothing", "bot")
    answer(shown, "4/4  Into which database?", "no/such/live.db", "my.db")
    assert shown.end() == 0, shown.text
    for told in ("did you mean bybit?", "names no market", "is no purpose", "create it first", "GB/day"):
        assert told in " ".join(shown.text.split())
    settings = loaded(tmp_path / "collector.yaml")
    assert settings.exchanges["bybit"].symbols == ("BTC/USDT:USDT",)
    assert settings.exchanges["kraken"].channels == ("book.100", "bbo", "trade")
    assert settings.exchanges["kraken"].sample.mode == "on_top_change"
    assert settings.database.url == "my.db"
    assert COLOURS.search(shown.raw)


def test_enter_takes_what_is_offered_and_only_what_is_missing_is_asked(
    terminal: Open, tmp_path: Path
) -> None:
    shown = terminal("init", "--exchanges", "binance", "--purpose", "light")
    answer(shown, "1/2  Which markets?", "")
    answer(shown, "2/2  Into which database?", "")
    assert shown.end() == 0, shown.text
    settings = loaded(tmp_path / "collector.yaml")
    assert settings.exchanges["binance"].symbols == ("BTC/USDT", "ETH/USDT")
    assert settings.database.url == "./trading_bot_live.db"


@pytest.mark.parametrize(
    ("key", "word"), [("\x03", "Ctrl-C"), pytest.param("\x04", "Ctrl-D", marks=pytest.mark.proof)]
)
def test_leaving_writes_nothing(terminal: Open, tmp_path: Path, key: str, word: str) -> None:
    shown = terminal("init")
    answer(shown, "1/4", "kraken")
    shown.read_until("(BTC,ETH) > ")
    assert shown.leave(key, "nothing was written") == 130, word
    assert "nothing was written" in shown.text
    assert "Traceback" not in shown.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("typed", "code", "is_kept"),
    [("", 2, True), pytest.param("n", 2, True, marks=pytest.mark.proof), ("y", 0, False)],
)
def test_a_person_is_asked_before_a_file_is_replaced(
    terminal: Open, tmp_path: Path, typed: str, code: int, is_kept: bool
) -> None:
    path = tmp_path / "collector.yaml"
    path.write_text("mine")
    shown = terminal(*WHOLE)
    shown.read_until("collector.yaml exists. Replace it? (y/N) > ")
    shown.type(f"{typed}\n")
    assert shown.end() == code
    assert (path.read_text() == "mine") is is_kept


@pytest.mark.proof
def test_no_color_means_none(terminal: Open) -> None:
    shown = terminal("init", NO_COLOR="1")
    shown.read_until("(bybit) > ")
    assert not COLOURS.search(shown.raw)
