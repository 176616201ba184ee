"""Tables and paragraphs at every width: nothing is broken that a person reads as one."""

import io
import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from collector.cli.commands.doctor.check_result import CheckResult
from collector.cli.commands.doctor.command import verdict_lines
from collector.cli.commands.tail_rows import RowsAsTheyCome
from collector.cli.plain import counted, lasting
from collector.cli.table import Column, Layout, print_text, table_lines, wrapped

sys.path.insert(0, str(Path(__file__).parent))
from program import BTC, Run

NAMES = [Column(name, "name") for name in ("exchange", "symbol", "channel")]
NUMBERS = [Column(name) for name in ("received", "written", "merged", "rejected", "pending")]
COLUMNS = [
    *(*NAMES, Column("since", "text"), *NUMBERS),
    *(Column("until", "text", wide=True), Column("why", "note")),
]
SINCE, UNTIL = "2026-11-29T16:16:32.582Z", "2026-11-29T17:17:00.690Z"
WHY = "sequence 811238597 after 811238590: 6 updates are missing"
COUNTS = ("1,234,567,890", "1,234,567,889", "1,204", "7", "1")
ROWS = [
    ["bybit", BTC, "book.200", SINCE, *COUNTS, UNTIL, WHY],
    ["bybit", BTC, "trade", SINCE, *COUNTS, UNTIL, ""],
    ["kraken", "BTC/USD", "trade", SINCE, *COUNTS, UNTIL, ""],
]


@pytest.mark.parametrize("within", range(40, 240, 5))
def test_a_table_fits_and_breaks_no_value(within: int) -> None:
    lines = table_lines(COLUMNS, ROWS, within)
    assert max(map(len, lines)) <= within
    words = " ".join(lines).split()
    assert [words.count(count) for count in (*COUNTS[:3], SINCE)] == [3, 3, 3, 3]
    assert "811238597" in words
    if within >= 150:
        assert words.count(UNTIL) == 3


def test_a_wide_table_has_a_line_for_each_row_and_a_narrow_one_names_above() -> None:
    assert len(table_lines(COLUMNS, ROWS, 240)) == 4
    assert table_lines(COLUMNS, ROWS, 240)[1].endswith(WHY)
    narrow = table_lines([*NAMES, *NUMBERS], [[*row[:3], *row[4:9]] for row in ROWS], 72)
    assert [line.split()[0] for line in narrow] == [
        "channel",
        "bybit",
        "book.200",
        "trade",
        "kraken",
        "trade",
    ]
    assert table_lines(NAMES, [], 80) == ["exchange  symbol  channel"]


def test_a_drawn_column_fills_what_is_left() -> None:
    columns = [Column("name", "name"), Column("", "drawn")]
    for within in (30, 80):
        assert table_lines(columns, [["a", lambda room: "#" * room]], within)[1] == "a" + " " * 5 + "#" * (
            within - 6
        )


def test_a_layout_says_whether_further_rows_fit() -> None:
    layout = Layout.fitting(COLUMNS, ROWS, 160)
    assert layout.holds([[*ROWS[0][:-1], "a longer note does not count " * 9]])
    assert not layout.holds([[*ROWS[0][:3], SINCE, "11,234,567,890", *ROWS[0][5:]]])


def test_a_paragraph_is_wrapped_on_a_terminal_only() -> None:
    text = "a sentence which is too long for the line: /a/path/that/is/longer/than/the/line/and/stays/whole"
    assert wrapped(text, 40) == [
        "a sentence which is too long for the",
        "  line:",
        "  /a/path/that/is/longer/than/the/line/and/stays/whole",
    ]
    pipe = io.StringIO()
    print_text(text, file=pipe)
    assert pipe.getvalue() == text + "\n"


def test_hints_of_the_doctor_are_indented() -> None:
    verdict = CheckResult(
        "disk space", "warn", "0.9 GB free in /var/lib/collector", "a larger disk, or sampling"
    )
    assert verdict_lines(verdict, 50) == [
        "disk space           0.9 GB free in",
        " " * 26 + "/var/lib/collector",
        " " * 26 + "-> a larger disk, or",
        " " * 29 + "sampling",
    ]
    assert len(verdict_lines(verdict, None)) == 2


def test_counts_and_lengths_are_words() -> None:
    assert [counted(1, "row"), counted(1204, "row"), counted(0, "box", "boxes")] == [
        "1 row",
        "1,204 rows",
        "0 boxes",
    ]
    written = [
        lasting(seconds) for seconds in (0, 0.0214, 3.64, 42, 185, 3600.4, 90_061, 6 * 86_400 + 86_399.6)
    ]
    assert written == ["0s", "0.0214s", "3.64s", "42.0s", "3m 05s", "1h 00m", "1d 01h", "7d 00h"]


def test_a_segment_that_is_open_reads_open(run: Run, sound: Path, tmp_path: Path) -> None:
    (tmp_path / "live.db").write_bytes(sound.read_bytes())
    with closing(sqlite3.connect(tmp_path / "live.db")) as connection, connection:
        connection.execute("UPDATE collector_coverage SET end_cause = NULL, detail = NULL")
    for words in ((), ("--segments",)):
        shown = run("coverage", "--db", "live.db", *words).stdout
        assert " open\n" in shown or " open " in shown
        assert "nan" not in shown.lower()
    (segment,) = json.loads(run("coverage", "--db", "live.db", "--json").stdout)
    assert (segment["end_cause"], segment["detail"]) == (None, None)


def test_tail_says_its_headings_again_only_where_a_row_is_wider() -> None:
    row = {
        "timestamp": "2026-11-29T16:18:00.143Z",
        "exchange": "kraken",
        "symbol": "BTC/USD",
        "kind": "trade",
        "side": "buy",
        "price": 65004.8,
        "size": 0.5,
        "trade_id": "17",
        "marked": None,
    }
    table = RowsAsTheyCome("trades")
    first = list(table.lines([row, row], 80))
    assert first[0].split()[:3] == ["time", "exchange", "symbol"]
    assert first[1:3] == ["2026-11-29 UTC", first[3]]
    assert first[3].startswith("16:18:00.143  kraken    BTC/USD  trade  buy   65004.8   0.5")
    later = {**row, "timestamp": "2026-11-30T00:00:00.001Z"}
    assert [line[:14] for line in table.lines([later], 80)] == ["2026-11-30 UTC", "00:00:00.001  "]
    assert len(list(table.lines([{**later, "symbol": "DOGE/USDT:USDT"}], 80))) == 2
    assert len(list(table.lines([later], 80))) == 1


def test_tail_of_levels_has_sizes_and_of_bars_times() -> None:
    prices = {
        f"{side}_{what}_{one}": float(one)
        for side in ("bid", "ask")
        for what in ("price", "size")
        for one in (1, 2, 3)
    }
    level = {"timestamp": SINCE, "exchange": "bybit", "symbol": BTC, "depth": 50, "sequence": 7, **prices}
    text = "\n".join(RowsAsTheyCome("levels").lines([level], 80))
    assert "bids 1 x 1, 2 x 2, 3 x 3" in text
    assert "asks 1 x 1, 2 x 2, 3 x 3" in text
    bar = {
        "timestamp": SINCE,
        "exchange": "bybit",
        "symbol": BTC,
        "interval": "1m",
        "open_time": 1795891260000,
    }
    bar |= {**dict.fromkeys(("open", "high", "low", "close", "volume"), 1.0), "count": None, "confirmed": 1}
    lines = list(RowsAsTheyCome("ohlcv").lines([bar], 80))
    assert lines[1:] == ["2026-11-28 UTC", lines[2]]
    assert lines[2].startswith("18:41 ")
    assert "1795891260000" not in "".join(lines)
