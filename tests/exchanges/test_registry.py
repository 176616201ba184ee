"""Every exchange is one folder and one line: its facts agree with each other, and stand nowhere else."""

import ast
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from collector.errors import SettingsError
from collector.exchanges.exchange import Exchange, Urls
from collector.exchanges.registry import EXCHANGES, bar_intervals, problems

PACKAGE = Path(__file__).resolve().parents[2] / "collector"
FOLDER = PACKAGE / "exchanges"
FILES = {"__init__.py", "facts.py", "frames.py", "history.py", "market_data.py", "rule.py", "topics.py"}
NAMED_ELSEWHERE = {
    # What a row has whose writer did not say, as the table's creator defined it.
    PACKAGE / "database" / "tables.py",
    # Forms of frames that the compiled kernel reads, by its names of them: it is tried with one of each.
    PACKAGE / "book" / "kernel.py",
}
WALLED_OFF = PACKAGE / "simulator"  # shares nothing with what it tests


@pytest.mark.parametrize("name", EXCHANGES)
def test_every_exchange_has_the_same_files(name: str) -> None:
    assert {path.name for path in (FOLDER / name).glob("*.py")} == FILES


def test_every_folder_is_registered() -> None:
    assert {path.parent.name for path in FOLDER.glob("*/facts.py")} == {*EXCHANGES, "unverified"}


@cache
def literals(path: Path) -> list[tuple[int, str]]:
    """List the texts in a file, with their lines; docstrings are for people and left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]


def names(text: str, name: str) -> bool:
    """Return whether a program could ask for the exchange by this text; sentences are for people."""
    return name in text.casefold() and " " not in text.strip()


@pytest.mark.parametrize("name", EXCHANGES)
def test_the_name_of_an_exchange_stands_in_its_folder_only(name: str) -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if "_bundled" not in path.parts
        and WALLED_OFF not in path.parents
        and path.parent != FOLDER / name
        and path not in NAMED_ELSEWHERE
        for line, text in literals(path)
        if names(text, name)
    ]
    assert not found, f"facts of {name} belong into collector/exchanges/{name}: {found}"


@pytest.mark.parametrize(
    "line",
    [
        'if exchange == "bybit": pass',
        'KEY = "BYBIT_API_KEY"',
        'LIMITS = {"bybit book": 10}["bybit" + " book"]',
        'market = f"bybit:{symbol}"',
    ],
)
def test_a_name_elsewhere_is_seen(line: str, tmp_path: Path) -> None:
    (tmp_path / "some.py").write_text(line, encoding="utf-8")
    assert any(names(text, "bybit") for _, text in literals(tmp_path / "some.py"))


def test_a_sentence_for_people_and_a_docstring_may_name_one(tmp_path: Path) -> None:
    lines = '"""bybit"""\nHELP = "From where, with commas: bybit,binance"\n'
    (tmp_path / "some.py").write_text(lines, encoding="utf-8")
    assert not any(names(text, "bybit") for _, text in literals(tmp_path / "some.py"))


def test_the_registry_imports_nothing_that_takes_long() -> None:
    """Settings and help ask for facts: neither ccxt nor what decodes frames is needed for them."""
    code = (
        "import sys, collector.exchanges.addresses; "
        "sys.exit(', '.join({'ccxt', 'pydantic', 'msgspec', 'numpy'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.parametrize("name", EXCHANGES)
def test_the_facts_of_each_do_not_contradict_themselves(name: str) -> None:
    assert not list(problems(EXCHANGES[name]))


def with_limits(exchange: Exchange, **changes: object) -> Exchange:
    return replace(exchange, limits=replace(exchange.limits, **changes))  # type: ignore[arg-type]


def with_addresses(exchange: Exchange, **changes: object) -> Exchange:
    return replace(exchange, addresses=replace(exchange.addresses, **changes))  # type: ignore[arg-type]


BYBIT = EXCHANGES["bybit"]
NO_URLS = Urls(rest={}, ws={})


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (replace(BYBIT, depths={**BYBIT.depths, "spot": (50, 1)}), "spot: depths in order expected"),
        (replace(BYBIT, depths={**BYBIT.depths, "spot": (1, 1)}), "spot: depths in order expected"),
        (replace(BYBIT, preferred=("spot",)), "preferred"),
        (with_limits(BYBIT, requests={}), "linear: no limits"),
        (with_limits(BYBIT, messages_a_second={}), "spot: no limits"),
        (with_addresses(BYBIT, own={"live": NO_URLS}), "live: an address for each"),
        (with_addresses(BYBIT, replaced=NO_URLS), "testnet: an address for each"),
        (with_addresses(BYBIT, index=lambda _kind, _channel: 1), "spot bbo: no address 1"),
        (replace(BYBIT, same_channels=()), "frames of bbo and book.1 cannot be told apart"),
        (
            replace(BYBIT, topics=replace(BYBIT.topics, route=lambda _topic: "all")),
            "frames of trade and book.1 cannot be told apart",
        ),
        (
            with_limits(
                BYBIT,
                messages_a_second={
                    kind: {"book.50": 0.0, "book": 1.0, "bbo": 1.0, "trade": 1.0, "ohlcv": 1.0}
                    for kind in BYBIT.kinds
                },
            ),
            "book.50: no messages are expected",
        ),
    ],
)
def test_facts_that_contradict_themselves_are_told(wrong: Exchange, words: str) -> None:
    assert any(words in problem for problem in problems(wrong)), list(problems(wrong))


def test_the_busiest_kind_counts_where_the_kind_is_not_known() -> None:
    limits = BYBIT.limits
    assert limits.expected_a_second("book.200", "spot") == 5.0
    assert limits.expected_a_second("book.200", "linear") == 10.0
    assert limits.expected_a_second("book.200") == limits.expected_a_second("book.200", "inverse") == 10.0


@pytest.mark.parametrize("name", EXCHANGES)
def test_the_table_of_an_exchanges_bars_has_each_with_its_length_the_shortest_first(name: str) -> None:
    table = bar_intervals(name)
    assert tuple(table) == EXCHANGES[name].intervals
    lengths = [length for length in table.values() if length is not None]
    assert lengths == sorted(lengths)
    assert (table["1m"], table["1h"], table["1d"], table["1w"]) == (60, 3600, 86_400, 604_800)
    assert [interval for interval, length in table.items() if length is None] in ([], ["1M"])


def test_an_exchange_whose_bars_are_not_collected_has_none_and_an_unknown_one_is_refused() -> None:
    assert bar_intervals("bitget") == {}
    with pytest.raises(SettingsError, match="'nope' is not known"):
        bar_intervals("nope")
    with pytest.raises(SettingsError, match="exchange is 5, expected its name, like 'bybit'"):
        bar_intervals(5)  # type: ignore[arg-type]
