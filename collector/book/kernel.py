"""Find the compiled kernel, try it, and say what does a book's work: it, or Python.

The kernel is a package of its own (`kernel/`, market-collector-kernel) that nothing here needs. It takes the
usual frame and no other: whatever is unexpected it leaves alone, and Python's path takes the frame from its
text. This module is the only one that imports it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from collector.book.compiled import CompiledBook, KernelFrame


@dataclass(frozen=True, slots=True)
class Kernel:
    """A compiled kernel that was tried."""

    version: str
    new_book: Callable[[], CompiledBook]
    new_frame: Callable[[str], KernelFrame]


def find_kernel(choice: str) -> Kernel | None:
    """Return the kernel if it is wanted and there."""
    if choice == "off":
        return None
    try:
        import collector_kernel  # noqa: PLC0415  (optional)
    except ImportError:
        return None
    return Kernel(
        collector_kernel.VERSION, lambda: CompiledBook(collector_kernel.Book()), collector_kernel.Frame
    )
