"""A channel's name is read in one place, and read once."""

import ast
import re
from pathlib import Path

import pytest

import collector
from collector.events.channel import BBO, BOOK, FAMILIES, OHLCV, TRADE, Channel

NAMES = ["book.50", "bbo", "trade", "ohlcv.1m", "book", "book.", "bbo.", ".", "", "a.b.c", "_unknown"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_what_it_was_read_from(name: str) -> None:
    assert str(Channel.of(name)) == name


def test_a_name_is_read_once() -> None:
    assert Channel.of("book.50") is Channel.of("book.50")


@pytest.mark.parametrize(
    ("name", "family", "detail"),
    [
        ("book.50", BOOK, "50"),
        ("bbo", BBO, ""),
        ("trade", TRADE, ""),
        ("ohlcv.1M", OHLCV, "1M"),
    ],
)
def test_a_name_has_a_family_and_a_detail(name: str, family: str, detail: str) -> None:
    assert Channel.of(name) == Channel(family, detail)


@pytest.mark.parametrize(("name", "depth"), [("book.50", 50), ("book.1", 1), ("bbo", 1)])
def test_a_book_has_a_depth(name: str, depth: int) -> None:
    assert Channel.of(name).is_book
    assert Channel.of(name).depth == depth


@pytest.mark.parametrize("name", ["trade", "ohlcv.1m", "_unknown", "books.50", "bbo.", "book."])
def test_what_is_no_book_has_no_depth(name: str) -> None:
    assert not Channel.of(name).is_book
    with pytest.raises(ValueError, match="is no order book"):
        _ = Channel.of(name).depth


def test_bars_have_an_interval_and_nothing_else_has() -> None:
    assert Channel.of("ohlcv.1m").interval == "1m"
    for name in ("book.50", "trade", "ohlcv."):
        with pytest.raises(ValueError, match="has no bars"):
            _ = Channel.of(name).interval


@pytest.mark.parametrize("name", ["book.1", "book.5000", "bbo", "trade", "ohlcv.1m", "ohlcv.1M"])
def test_the_channels_there_are_are_well_formed(name: str) -> None:
    assert Channel.of(name).is_well_formed


@pytest.mark.parametrize(
    "name",
    [
        *("book", "book.", "book.0", "book.050", "book.1.5", "book.x", "book.\u0665", "book.1234567"),
        *("bbo.", "bbo.1", "trade.", "trades", "trade.x", "", ".", "book.5\n"),
        *("ohlcv", "ohlcv.", "ohlcv.1m.2m", "ohlcv.123456789"),
    ],
)
def test_other_names_are_not(name: str) -> None:
    assert not Channel.of(name).is_well_formed


PACKAGE = Path(collector.__file__).parent
READERS = {"partition", "rpartition", "split", "rsplit", "startswith", "removeprefix"}

HINTS = (
    re.compile(rf"\.\s*({'|'.join(sorted(READERS))})\b"),
    re.compile("channel\\b|" + "|".join(rf"\b{family}\." for family in FAMILIES)),
)


def read_by_hand(source: str) -> list[int]:
    """Return the lines that take a channel's name apart themselves."""
    found: list[int] = []
    if not (HINTS[0].search(source) and HINTS[1].search(source)):  # to parse all would take a second
        return found
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        of = node.func.value
        name = of.id if isinstance(of, ast.Name) else getattr(of, "attr", "")
        words = {
            str(part.value) for arg in node.args for part in ast.walk(arg) if isinstance(part, ast.Constant)
        }
        by_name = name.endswith("channel") and "." in words
        if node.func.attr in READERS and (by_name or words & {f"{family}." for family in FAMILIES}):
            found.append(node.lineno)
    return found


def test_a_name_is_read_in_one_place() -> None:
    found = {
        str(path.relative_to(PACKAGE)): lines
        for path in sorted(PACKAGE.rglob("*.py"))
        if "simulator" not in path.relative_to(PACKAGE).parts  # shares nothing with what it tests
        and (lines := read_by_hand(path.read_text(encoding="utf-8")))
    }
    assert found == {}


@pytest.mark.parametrize(
    "line",
    [
        'key.channel.partition(".")',
        'channel.split(".")',
        'channel.startswith("book.")',
        'channel.startswith(("book.", "bbo"))',
        'name.removeprefix("ohlcv.")',
    ],
)
def test_a_name_read_elsewhere_is_seen(line: str) -> None:
    assert read_by_hand(line) == [1]
