"""The first minute: what is collected where nobody says what, by plain names, and without a network."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.cli.program import app
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from meanwhile import Running, RunWhile
from program import CLEAN, ROOT
from terminal import Terminal

DEADLINE_S = 60.0  # five seconds and, on a loaded machine, what Python itself takes to begin


@pytest.fixture(scope="module")
def exchanges() -> Iterator[Simulator]:
    symbols = {"bybit": ["BTC/USDT:USDT", "ETH/USDT:USDT"], "binance": ["BTC/USDT", "ETH/USDT"]}
    with Simulator(symbols=symbols, updates_per_s=100.0) as running:
        yield running


def at(exchange: str, rest: str, ws: str) -> dict[str, str]:
    section = f"COLLECTOR_EXCHANGES__{exchange.upper()}__ENDPOINTS"
    return {f"{section}__REST": rest, f"{section}__WS": ws}


def stored(database: Path) -> set[tuple[str, str]]:
    if not database.exists():
        return set()
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        rows = connection.execute("SELECT DISTINCT exchange, symbol FROM l2_training_data_practical")
        return set(rows.fetchall())
    except sqlite3.OperationalError:  # not made yet
        return set()
    finally:
        connection.close()


def collect(run_while: RunWhile, folder: Path, expected: set[tuple[str, str]], **environ: str) -> str:
    """Run the program without a word until rows of all that is expected are there; return what it said."""
    database = folder / "trading_bot_live.db"
    done = run_while(
        lambda running: running.wait_until(lambda: stored(database) >= expected, f"rows of {expected}"),
        number=signal.SIGINT,
        **environ,
    )
    assert done.returncode == 0, done.stderr
    assert "identity: exact" in done.stdout
    assert stored(database) == expected
    return done.stderr


def lines_of(err: str, event: str) -> list[dict[str, str]]:
    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


@pytest.mark.parametrize(
    ("exchange", "symbols", "kind", "other"),
    [
        pytest.param(
            "bybit",
            ["BTC/USDT:USDT", "ETH/USDT:USDT"],
            "linear",
            "market: spot of bybit, or write BTC/USDT",
            marks=pytest.mark.proof,
        ),
        ("binance", ["BTC/USDT", "ETH/USDT"], "spot", "market: linear of binance, or write BTC/USDT:USDT"),
    ],
)
def test_plain_symbols_are_collected_and_the_choice_is_told_in_one_line(
    run_while: RunWhile,
    tmp_path: Path,
    exchanges: Simulator,
    exchange: str,
    symbols: list[str],
    kind: str,
    other: str,
) -> None:
    environ = at(exchange, **exchanges.endpoints(exchange)) | {"EXCHANGE": exchange}
    expected = {(exchange, symbol) for symbol in symbols}
    err = collect(run_while, tmp_path, expected, SYMBOLS="BTCUSDT,ETHUSDT", **environ)
    (chosen,) = lines_of(err, "markets.chosen")
    assert (chosen["name"], chosen["market"], chosen["kind"]) == (
        "BTCUSDT, ETHUSDT",
        ", ".join(symbols),
        kind,
    )
    assert chosen["for_the_other"] == other
    first = err.splitlines()[0]
    assert first.startswith(f"Collecting {exchange} BTCUSDT, ETHUSDT (book.50)")
    assert first.endswith(" (EXCHANGE is set) into ./trading_bot_live.db.")


def test_a_bare_start_collects_the_default_markets_and_says_first_what_and_how_to_change_it(
    run_while: RunWhile, tmp_path: Path, exchanges: Simulator
) -> None:
    default = {("bybit", "BTC/USDT:USDT"), ("bybit", "ETH/USDT:USDT")}
    environ = at("bybit", **exchanges.endpoints("bybit"))
    err = collect(run_while, tmp_path, default, BINANCE_TESTNET="true", **environ)
    first = err.splitlines()[0]
    assert first.startswith("Collecting bybit BTC/USDT:USDT, ETH/USDT:USDT (book.50) ")
    for part in (
        "into ./trading_bot_live.db",
        "needs no key",
        "SYMBOLS=",
        "--symbols",
        "--config",
        "run.py init",
    ):
        assert part in first
    (line,) = lines_of(err, "variable.without_effect")
    assert line["reason"] == "BINANCE_TESTNET has no effect: binance is not collected"


NOWHERE = at("bybit", "http://127.0.0.1:9", "ws://127.0.0.1:9")  # a port that is closed on every machine


def test_without_a_network_it_says_so_within_seconds_and_goes_on(run_while: RunWhile) -> None:
    def look(running: Running) -> None:
        began_s = time.monotonic()
        running.wait_for("exchange.unreachable")
        assert time.monotonic() - began_s < DEADLINE_S
        assert not running.is_over.wait(0.5)

    done = run_while(look, "--plain", **NOWHERE)
    (told,) = lines_of(done.stderr, "exchange.unreachable")
    assert (told["exchange"], told["address"]) == ("bybit", "http://127.0.0.1:9")
    assert told["why"] == "the connection is refused"
    assert told["what_next"] == "tries go on; `python run.py demo` needs no network"
    assert "Traceback" not in done.stderr


@pytest.mark.proof
def test_without_a_network_a_terminal_shows_it_with_the_table(tmp_path: Path) -> None:
    shown = Terminal(cwd=tmp_path, columns=160, **NOWHERE)
    try:
        shown.read_until("no answer bybit at http://127.0.0.1:9: the connection is refused; tries go on")
        shown.read_until("python run.py demo needs no network")
        assert shown.text.count("exchange.unreachable") == 1
        shown.type("\x03")
        assert shown.end() == 0
    finally:
        shown.close()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["config", "check"], "nothing is configured: this is of the default set-up, bybit BTC/USDT:USDT"),
        (["config", "show"], "# nothing is configured: this is of the default set-up, bybit BTC/USDT:USDT"),
        (["doctor", "--offline"], "2 streams of bybit; nothing is configured: this is of the default set-up"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_other_commands_speak_of_the_same_default_setup(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in set(os.environ) - set(CLEAN):
        monkeypatch.delenv(name)
    assert app(words, standalone_mode=False) == 0
    assert said in capsys.readouterr().out


def test_help_tells_the_plain_variables(capsys: pytest.CaptureFixture[str]) -> None:
    app(["--help"], standalone_mode=False)
    assert "SYMBOLS=BTCUSDT,ETHUSDT" in capsys.readouterr().out
    app(["collect", "--help"], standalone_mode=False)
    helped = capsys.readouterr().out
    for name in ("SYMBOLS=BTCUSDT,ETHUSDT", "EXCHANGE=binance", "BINANCE_TESTNET=true"):
        assert name in helped


def test_a_python_without_what_it_needs_is_told_how_to_get_it() -> None:
    """What everybody does first: run it before it is installed."""
    words = [sys.executable, "-S", str(ROOT / "run.py"), "demo"]  # -S: without site-packages
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=DEADLINE_S)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert re.fullmatch(r"error: \w+ is not installed for .*: python -m pip install -c \S+ -e \.", line), line
