"""Take less memory in a process that is ours alone.

structlog imports rich, and Mako, which Alembic imports, pygments: 7 MB for tracebacks in colour that nobody
asks for. Who imports such a library later finds it as it is without them, so not within somebody else's bot.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from threading import get_ident
from types import ModuleType

_is_ours: list[bool] = []
_M_MMAP_THRESHOLD, _LARGE_BYTES = -3, 128 * 1024


def this_process_is_ours() -> None:
    """Let `importing_without` have an effect from now on, and large blocks be given back when they are free.

    By itself glibc keeps what was freed, of such sizes too: after a burst, each thread's share of it.
    """
    import ctypes  # noqa: PLC0415  (`--help` does without)

    _is_ours[:] = [True]
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):  # another C library
        return
    set_option(_M_MMAP_THRESHOLD, _LARGE_BYTES)


@contextmanager
def importing_without(*packages: str) -> Iterator[None]:
    """Have this thread's imports within the block not find these packages, if this process is ours alone."""
    if not _is_ours:
        yield
        return
    finder = _FindsNone(packages)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _FindsNone(MetaPathFinder):
    """Says of some packages that they are not installed. What is imported already is not looked for."""

    def __init__(self, packages: Sequence[str]) -> None:
        self._packages = packages
        self._thread = get_ident()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raise for one of them; leave all else to the other finders."""
        del path, target
        if fullname in self._packages and get_ident() == self._thread:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None
