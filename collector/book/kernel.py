"""Find the compiled kernel, try it, and say what keeps the books: it, or Python.

The kernel is a distribution of its own (`kernel/` of the source folder) that nothing here needs. It takes the
usual frame and no other: what is in any way unexpected it leaves to Python, which reads the text itself. This
module is the only one that imports it.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from math import inf, nan
from typing import Any, Literal

from collector.book.compiled import CompiledBook
from collector.book.order_book import OrderBook
from collector.errors import UserError
from collector.events import HeldLevels, Levels

PACKAGE = "collector_kernel"
INTERFACE = 1  # of the kernel: what this code speaks
KernelChoice = Literal["auto", "off", "required"]


@dataclass(frozen=True, slots=True)
class Kernel:
    """A compiled kernel that was tried."""

    version: str
    new_book: Callable[[], CompiledBook]
    new_frame: Callable[[str], HeldLevels]  # by the shape of an exchange's frames


class UnfitKernelError(Exception):
    """A kernel that is there is not to be used: why, in words."""


def find_kernel(choice: KernelChoice) -> tuple[Kernel | None, str]:
    """Return the kernel, or None, and in words what keeps the books. Raises UserError if it is required."""
    if choice == "off":
        return None, "pure Python: stream.kernel is off"
    try:
        kernel = tried(import_module(PACKAGE))
    except ModuleNotFoundError:
        wrong = "no kernel is installed"
    except Exception as error:  # noqa: BLE001  (it was built elsewhere: whatever it raises, it is not used)
        wrong = str(error) if isinstance(error, UnfitKernelError) else f"the kernel cannot be used: {error!r}"
    else:
        return kernel, f"compiled {kernel.version}"
    if choice == "required":
        raise UserError(f"stream.kernel is required, but {wrong}: pip install ./kernel in the source folder")
    return None, f"pure Python: {wrong}"


def tried(module: Any) -> Kernel:
    """Return the kernel that a module is, once it was tried. Raises UnfitKernelError."""
    if module.INTERFACE != INTERFACE:
        raise UnfitKernelError(
            f"the kernel speaks interface {module.INTERFACE}, this collector {INTERFACE}: install both anew"
        )
    kernel = Kernel(module.VERSION, lambda: CompiledBook(module.Book()), module.Frame)
    wrong = _wrong(kernel)
    if wrong:
        raise UnfitKernelError(wrong)
    return kernel


Texts = Sequence[tuple[str, str]]  # prices and sizes as exchanges write them

_BEGIN: tuple[Texts, Texts] = ([("64000.1", "1.5"), ("63999.9", "0.1")], [("64000.2", "2"), ("64001", "0.3")])
_CHANGES: tuple[tuple[Texts, Texts], ...] = (
    ([("64000.10", "0"), ("63999.95", "12345678.12345678")], []),
    ([("0.1", "0.3"), ("63999.95", "0.00000001")], [("64000.15", "123456789012345678.9"), ("64002", "7")]),
    ([("63999.90", "0.000")], [("64000.2", "0.0"), ("99999.999999999999", "1234567890123.000000000")]),
)
_SHAPES = ("bybit", "binance_spot", "binance_usdm")
_LEVELS, _MOST = 3, 4


def _wrong(kernel: Kernel) -> str:
    """Apply the same changes to a compiled and to a pure book; returns where they differ, or nothing."""
    for shape in _SHAPES:
        pure, compiled, frame = OrderBook(), kernel.new_book(), kernel.new_frame(shape)
        for book in (pure, compiled):
            book.replace(_numbers(_BEGIN[0]), _numbers(_BEGIN[1]))
        for number, (bids, asks) in enumerate(_CHANGES, start=2):
            pure.update(_numbers(bids), _numbers(asks))
            pure.bids.cut_below(_MOST)
            pure.asks.cut_above(_MOST)
            read = frame.read(_text(shape, number, bids, asks))
            if read is None or read[1:5] != (number - 1, number, number, None):
                return f"the kernel does not read {shape}'s frame {number} of its test"
            if compiled.follow(frame, number, 0.0, inf, _MOST, _LEVELS, _LEVELS, nan, nan) is None:
                return f"the kernel does not follow {shape}'s frame {number} of its test"
            found = compiled.top(_LEVELS), compiled.bids.sizes, compiled.asks.sizes
            if repr(found) != repr((pure.top(_LEVELS), pure.bids.sizes, pure.asks.sizes)):
                return (
                    f"the kernel's book of {shape} is another than Python's after frame {number} of its test"
                )
    return ""


def _numbers(levels: Texts) -> Levels:
    return [(float(price), float(size)) for price, size in levels]


def _text(shape: str, number: int, bids: Texts, asks: Texts) -> str:
    """Write a frame as the exchange does."""
    b, a = (json.dumps(side, separators=(",", ":")) for side in (bids, asks))
    if shape == "bybit":
        data = f'{{"s":"X","b":{b},"a":{a},"u":{number}}}'
        return f'{{"topic":"orderbook.50.X","type":"delta","ts":{number},"data":{data}}}'
    numbers = f'"U":{number},"u":{number},"pu":{number - 1}'
    return f'{{"e":"depthUpdate","E":{number},"s":"X",{numbers},"b":{b},"a":{a}}}'
