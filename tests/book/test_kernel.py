"""Whether the compiled kernel is used: found, tried, refused, switched off, required."""

import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from collector.book import Kernel, OrderBook, find_kernel
from collector.book.kernel import INTERFACE, PACKAGE
from collector.errors import UserError
from collector.events import impossible_level

SOURCE = Path(__file__).resolve().parents[2] / "kernel"


def install(monkeypatch: pytest.MonkeyPatch, module: object) -> None:
    monkeypatch.setitem(sys.modules, PACKAGE, module)


def module_of(kernel: Kernel, **replaced: object) -> Any:
    raw = type(kernel.new_book()._kernel)
    found = {"INTERFACE": INTERFACE, "VERSION": kernel.version, "Book": raw, "Frame": kernel.new_frame}
    return SimpleNamespace(**{**found, **replaced})


def test_one_that_is_installed_is_used(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, module_of(kernel))
    for choice in ("auto", "required"):
        found, words = find_kernel(choice)
        assert found is not None
        assert words == f"compiled {kernel.version}"
    assert find_kernel("off") == (None, "pure Python: stream.kernel is off")


def test_without_one_python_keeps_the_books_unless_it_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, None)  # as an import of what is not there
    assert find_kernel("auto") == (None, "pure Python: no kernel is installed")
    with pytest.raises(UserError, match=r"required, but no kernel is installed: pip install \./kernel"):
        find_kernel("required")


def test_one_of_another_interface_is_left_alone(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, module_of(kernel, INTERFACE=INTERFACE + 1))
    found, words = find_kernel("auto")
    assert found is None
    assert f"speaks interface {INTERFACE + 1}, this collector {INTERFACE}" in words


class Raises:
    def __init__(self, *_words: object) -> None:
        raise MemoryError


class ReadsNothing:
    def __init__(self, shape: str) -> None:
        del shape

    def read(self, text: str) -> None:
        del text


def off_by_a_bit(raw: Any) -> type:
    class OffByABit:
        """A book whose numbers are nearly right."""

        def __init__(self) -> None:
            self._raw = raw()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._raw, name)

        def levels(self, side: int) -> tuple[list[float], list[float]]:
            prices, sizes = self._raw.levels(side)
            return prices, [size * (1 + 2**-52) for size in sizes]

    return OffByABit


@pytest.mark.parametrize(
    "fault", ["broken", "empty", "raises", "reads nothing", "follows nothing", "inexact"]
)
def test_one_that_fails_its_test_is_left_alone(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    raw = type(kernel.new_book()._kernel)
    nothing = lambda self, *_words: None  # noqa: E731, ARG005
    follows_nothing = type("Idle", (off_by_a_bit(raw),), {"follow": nothing, "levels": raw.levels})
    modules: dict[str, object] = {
        "broken": ModuleType(PACKAGE),
        "empty": SimpleNamespace(INTERFACE=INTERFACE, VERSION="1"),
        "raises": module_of(kernel, Frame=Raises),
        "reads nothing": module_of(kernel, Frame=ReadsNothing),
        "follows nothing": module_of(kernel, Book=follows_nothing),
        "inexact": module_of(kernel, Book=off_by_a_bit(raw)),
    }
    install(monkeypatch, modules[fault])
    found, words = find_kernel("auto")
    assert found is None
    assert re.match(r"pure Python: the kernel('s book of| cannot be used| does not)", words), words
    with pytest.raises(UserError, match="required"):
        find_kernel("required")


def test_a_compiled_book_is_read_like_another(kernel: Kernel) -> None:
    compiled, pure = kernel.new_book(), OrderBook()
    bids, asks = [(100.0, 1.0), (98.0, 3.0), (99.0, 2.0)], [(103.0, 1.0), (101.0, 2.5)]
    for book in (compiled, pure):
        book.replace([(1.0, 1.0)], [])
        book.replace(bids, asks)
    for ours, theirs in ((compiled.bids, pure.bids), (compiled.asks, pure.asks)):
        assert list(ours.prices) == theirs.prices
        assert [ours.prices[0], ours.prices[-1], *ours.prices[::-1]] == [
            theirs.prices[0],
            theirs.prices[-1],
            *theirs.prices[::-1],
        ]
        assert (ours.lots, ours.sizes, len(ours), bool(ours.prices)) == (
            theirs.lots,
            theirs.sizes,
            len(theirs),
            bool(theirs.prices),
        )
        with pytest.raises(IndexError):
            ours.prices[len(ours)]
        with pytest.raises(IndexError):
            ours.prices[-len(ours) - 1]
        for level in ((100.0, 1.0), (100.0, 2.0), (5.0, 0.0)):
            assert ours.holds(*level) == theirs.holds(*level)
    assert repr(compiled.top(3)) == repr(pure.top(3))
    assert compiled != pure
    assert compiled.bids != pure.bids
    other = kernel.new_book()
    other.update(bids, asks)
    assert compiled == other
    other.update([(99.0, 0.0)], [])
    assert compiled != other


@pytest.mark.parametrize("level", [(0.0, 1.0), (1e15, 1.0), (1.0, -1.0), (1.0, 1e18), (float("nan"), 1.0)])
def test_what_no_market_could_have_is_refused_in_the_same_words(
    kernel: Kernel, level: tuple[float, float]
) -> None:
    book = kernel.new_book()
    with pytest.raises(type(impossible_level(*level)), match=re.escape(str(impossible_level(*level)))):
        book.update([(5.0, 1.0), level, (6.0, 1.0)], [])
    assert list(book.bids.prices) == [5.0]


def test_both_distributions_tell_one_version(kernel: Kernel) -> None:
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == kernel.version
