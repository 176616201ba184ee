"""Every command on a real terminal: no line is wider than it, however long the names and the history."""

import json
import re
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from collector.cli.program import app

sys.path.insert(0, str(Path(__file__).parent))
from program import ROOT, Run
from terminal import Terminal

S = 1_000_000_000
WEEK_BEGINS = 1_795_305_600 * S  # 2026-11-22
DAY_S = 86_400
RECONNECTS = 500
MARKET_KINDS = ("book", "levels", "trades", "ohlcv", "ohlcv_corrections", "rejected", "events")
READING = [
    *(["symbols"], ["status"], ["status", "--sessions"], ["report"], ["verify"]),
    *(["coverage", *words] for words in ([], ["--by-day"], ["--segments"], ["--holes"])),
    *(["tail", kind, "--no-follow"] for kind in MARKET_KINDS),
    *(["jobs"], ["migrate", "status"], ["plan", "--exchange", "kraken", "--symbols", "BTC/USD,ETH/USD"]),
    *(["archive", "--days", "9000"], ["doctor", "--offline"]),
    ["backfill", "--dry-run", "--start", "2026-11-28", "--symbols", "BTC/USDT:USDT", "--channels", "trade"],
]
MISTAKES = [["tail", "nothing"], ["archive"], ["plan", "--exchange", "nobody"], ["plot", "NO/SUCH"]]
PROGRAM = """
import sys
import tempfile
sys.path.insert(0, {root!r})
from collector.cli import main
for words in {commands!r}:
    print('\\x1e' + ' '.join(words) + '\\x1f', flush=True)
    try: main(words)
    except SystemExit as left: print('\\x1e', left.code, '\\x1f', sep='', flush=True)
"""
CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-ln-~]|\r")  # all that moves the cursor; not colours
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def week(sound_market: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database with a week of coverage of four streams, each of which broke 500 times."""
    path = tmp_path_factory.mktemp("week") / "w.db"
    shutil.copy(sound_market, path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.row_factory = sqlite3.Row
        streams = [dict(row) for row in connection.execute("SELECT * FROM collector_coverage")]
        connection.execute("DELETE FROM collector_coverage")
        connection.execute("UPDATE collector_accounting SET received = received + 12345678900")
        own = [one for number, row in enumerate(streams) for one in _week_of(row, number)]
        names = list(streams[0])
        marks = ", ".join("?" * len(names))
        connection.executemany(
            f"INSERT INTO collector_coverage ({', '.join(names)}) VALUES ({marks})",
            [[one[name] for name in names] for one in own],
        )
    return path


def _week_of(row: dict[str, object], number: int) -> Iterator[dict[str, object]]:
    """Yield the segments of a stream, about 20 minutes each, and about half a minute between them."""
    every_ns = 7 * DAY_S * S // (RECONNECTS + 1)
    for at in range(RECONNECTS + 1):
        begin = WEEK_BEGINS + at * every_ns + (at * 7919 % 997) * S // 50
        until = WEEK_BEGINS + (at + 1) * every_ns - (at * 104_729 % 31) * S
        is_open = at == RECONNECTS
        yield {
            **row,
            "segment_id": (number + 1) * 10_000 + at,
            "start_ns": begin,
            "end_ns": until,
            "alive_until_ns": until,
            "rows": 24_000,
            "end_cause": None if is_open else ("disconnect", "gap", "stalled")[at % 3],
            "detail": None
            if at % 3 != 1
            else f"sequence {811_238_597 + at} after {811_238_590 + at}: 6 are missing",
        }


def screens(folder: Path, commands: list[list[str]], columns: int) -> dict[str, tuple[str, int]]:
    """Run commands one after the other on one terminal; return what each showed, and its exit code."""
    program = PROGRAM.format(root=str(ROOT), commands=commands)
    terminal = Terminal(cwd=folder, columns=columns, program=("-c", program))
    try:
        assert terminal.end(120) == 0, terminal.text
    finally:
        terminal.close()
    shown = COLOUR.sub("", CONTROL.sub("\n", terminal.raw.replace("\r\n", "\n")))
    parts = re.split(r"\x1e([^\x1f]*)\x1f", shown)
    return {parts[at]: (parts[at + 1], int(parts[at + 2])) for at in range(1, len(parts) - 3, 4)}


@pytest.fixture
def short(week: Path) -> Iterator[Path]:
    """Return a folder with a short name: a path is shown whole, however long it is."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(week, Path(folder) / "w.db")
        yield Path(folder)


MISTAKEN = [[*words, "--db", "w.db"] for words in MISTAKES] + [["colect"]]
COMMANDS = [
    *([*words, "--db", "w.db"] for words in READING),
    *(["version"], ["status", "--db", "no/such/folder/of/mine.db"]),
    *MISTAKEN,
]


@pytest.fixture(scope="module")
def shown_at_80(week: Path) -> dict[str, tuple[str, int]]:
    """Return what each command showed on a terminal of 80 columns, and its exit code."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(week, Path(folder) / "w.db")
        return screens(Path(folder), COMMANDS, 80)


def test_no_line_of_a_command_is_wider_than_the_terminal(shown_at_80: dict[str, tuple[str, int]]) -> None:
    assert list(shown_at_80) == [" ".join(words) for words in COMMANDS]
    for words, (text, code) in shown_at_80.items():
        assert [line for line in text.splitlines() if len(line.rstrip()) > 80] == [], words
        assert "Traceback" not in text, words
        assert code == 2 if words.split() in MISTAKEN else code in {0, 1, 2}, words


def test_a_week_of_reconnects_is_a_line_for_each_stream(shown_at_80: dict[str, tuple[str, int]]) -> None:
    (shown, code) = shown_at_80["coverage --db w.db"]
    heading, *lines = shown.strip().splitlines()
    assert code == 0
    assert heading.split()[3:8] == ["covered", "holes", "longest", "span", "ended"]
    assert len(lines) == 6, shown
    for line in lines[:4]:
        _, _, _, share, holes, longest, *span, ended, bar = line.split()
        assert 95.0 < float(share.rstrip("%")) < 99.0
        assert int(holes) == RECONNECTS
        assert 40.0 < float(longest.rstrip("s")) < 50.0
        assert (span, ended) == (["6d", "23h"], "open")
        assert len(bar) >= 10
    assert lines[4] == "2026-11-22T00:00:00Z to 2026-11-28T23:59:46Z, 6d 23h"
    assert lines[5] == "2,000 holes: --holes lists them, --segments what is between"


@pytest.mark.proof
def test_a_wide_terminal_is_used_and_help_fits_a_narrow_one(short: Path) -> None:
    commands = [[*words, "--db", "w.db"] for words in READING]
    for words, (text, _) in screens(short, commands, 160).items():
        assert [line for line in text.splitlines() if len(line.rstrip()) > 160] == [], words
        if words.startswith(("status", "coverage --db", "coverage --segments", "report")):
            assert max(map(len, text.splitlines())) > 90, words
    helped = [[str(one.name or one.callback.__name__), "--help"] for one in app.registered_commands]  # type: ignore[union-attr]
    for words, (text, code) in screens(short, helped, 80).items():
        assert [line for line in text.splitlines() if len(line.rstrip()) > 80] == [], words
        assert code == 0


def test_a_pipe_gets_a_line_for_each_row_unless_columns_says_otherwise(run: Run, week: Path) -> None:
    words = ("status", "--db", str(week))
    assert max(map(len, run(*words, COLUMNS="").stdout.splitlines())) > 100
    narrow = run(*words, COLUMNS="80").stdout.splitlines()
    assert max(len(line) for line in narrow if not line.startswith("1 session")) <= 80
    (one, *_) = json.loads(run(*words, "--json", COLUMNS="80").stdout)
    assert one["received"] > 12_345_678_900
