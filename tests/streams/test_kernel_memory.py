"""The compiled kernel keeps to its memory: nothing leaks, nothing is read or written beside it."""

import os
import random
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
import built_kernel
from written_changes import Changes

from collector.book import Kernel

FUZZ = Path(__file__).with_name("fuzz_kernel.py")
SANITIZED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1")


def work(kernel: Kernel, texts: list[str], last: int) -> None:
    """Read each frame, apply it, look at the book, and forget it."""
    frame = kernel.new_frame("bybit")
    book = kernel.new_book()
    book.replace([(1.0, 1.0)], [(10.0**9, 1.0)])
    for number, text in enumerate(texts, start=last + 1):
        found = frame.read(text)
        if found is None:
            continue
        assert found[2] == number
        book.follow(frame, number, 0.0, 9e9, 50, 10, 10, 0.0, 1e300)
        book.top(10)
        book.bids.holds(64000.0, 1.0)
        assert len(book.asks.prices[-5:]) <= 5


@pytest.mark.parametrize("times", [20, pytest.param(2000, marks=pytest.mark.proof)])
def test_reading_and_applying_leaves_no_object_and_no_byte(kernel: Kernel, times: int) -> None:
    changes = Changes("bybit", "linear", random.Random(1))
    last = changes.last
    texts = [changes.next() for _ in range(500)]
    texts += [text.replace('"u"', '"v"') for text in texts[:50]] + ["", "{", '{"topic":"orderbook.5']
    work(kernel, texts, last)
    counted = [sys.getrefcount(one) for one in (None, kernel.new_frame, ())]
    tracemalloc.start()
    try:
        work(kernel, texts, last)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(times):
            work(kernel, texts, last)
        assert tracemalloc.get_traced_memory()[0] - before < 2_000
    finally:
        tracemalloc.stop()
    after = [sys.getrefcount(one) for one in (None, kernel.new_frame, ())]
    assert all(abs(now - then) < 50 for now, then in zip(after, counted, strict=True)), (counted, after)


@pytest.mark.parametrize("arguments", [(), ("bybit", 1), ("kraken",), (5,)])
def test_a_frame_of_an_unknown_exchange_is_refused(kernel: Kernel, arguments: tuple[object, ...]) -> None:
    with pytest.raises((TypeError, ValueError)):
        kernel.new_frame(*arguments)


def test_what_a_book_is_given_is_looked_at(kernel: Kernel) -> None:
    raw, frame = kernel.new_book()._kernel, kernel.new_frame("bybit")
    changes = Changes("bybit", "linear", random.Random(2))
    found = frame.read(changes.next())
    good = (frame, found[2], 0.0, 0.2, 50, 10, 10, 0.0, 1e300)
    assert raw.follow(*good) is not None
    bad = {0: (raw, None, [], ()), 4: (0, -1, 2**70), 5: (0, 1001, 2**70), 6: (0, -1), 2: (None, "1")}
    for place, values in bad.items():
        for value in values:
            with pytest.raises((TypeError, ValueError, OverflowError)):
                raw.follow(*good[:place], value, *good[place + 1 :])
    with pytest.raises(TypeError):
        raw.follow(frame)
    assert raw.follow(frame, found[2] + 1, *good[2:]) is None  # it holds another message
    assert raw.follow(kernel.new_frame("bybit"), 0, *good[2:]) is None  # it has read nothing
    for call in (raw.levels, raw.count):
        with pytest.raises(ValueError, match="side 0"):
            call(2)
    for place in (-1, raw.count(0), 2**62):
        with pytest.raises(IndexError):
            raw.price(0, place)
    with pytest.raises(ValueError, match="number of levels"):
        raw.cut(0, -1)
    for levels in (0, 1001):
        with pytest.raises(ValueError, match="out of range"):
            raw.pack(levels)
    for wrong in (5, [5], [(1.0,)], [("1", "2")], [(1.0, None)]):
        with pytest.raises((TypeError, IndexError)):
            raw.update(0, wrong)
    assert raw.update(0, [(1.0, 1.0), (float("nan"), 1.0), (2.0, 1.0)]) is not None


def test_levels_that_change_the_book_while_they_are_read_do_no_harm(kernel: Kernel) -> None:
    raw = kernel.new_book()._kernel
    raw.update(0, [(float(price), 1.0) for price in range(1, 200)])

    class Price(float):
        def __float__(self) -> float:
            raise AssertionError  # a float is taken as it is

    class Tricky:
        def __init__(self, price: float) -> None:
            self.price = price

        def __float__(self) -> float:
            raw.cut(0, 0)
            raw.update(0, [(self.price + 1, 1.0)])
            return self.price

    assert raw.update(0, [(Tricky(500.0), Tricky(3.0)), (Price(7.0), 2.0)]) is None
    assert raw.levels(0) == ([4.0, 7.0, 500.0], [1.0, 2.0, 3.0])


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(4))
def test_nothing_undefined_happens_whatever_comes(tmp_path: Path, seed: int) -> None:
    extension = built_kernel.compile_into(tmp_path, *SANITIZED)
    done = fuzz(extension, 120.0, seed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no difference" in done.stdout


def fuzz(extension: Path, seconds: float, seed: int) -> subprocess.CompletedProcess[str]:
    """Run the fuzzer in a process whose memory is watched."""
    libraries = [
        subprocess.run(
            [built_kernel.compiler(), f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    environ = {
        **os.environ,
        "LD_PRELOAD": " ".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python itself leaves much to the end
        "PYTHONMALLOC": "malloc",  # or a small buffer's neighbours are ours as well
    }
    command = [sys.executable, str(FUZZ), str(extension), str(seconds), str(seed)]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
