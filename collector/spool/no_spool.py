"""Keep no spool, where nothing is stored: it takes no batch and makes no file."""

from collections.abc import Iterator
from pathlib import Path

from collector.errors import SpoolError
from collector.sinks import WriteSet
from collector.spool.file import Entry


class NoSpool:
    """A spool that is always empty."""

    path: Path | None = None
    entries = 0
    bytes = 0
    last_number = 0
    repairs = 0

    def open(self) -> None:
        """Open no file."""

    def append(self, number: int, write_set: WriteSet) -> None:  # noqa: ARG002
        """Refuse a batch."""
        raise SpoolError("there is no spool, since nothing is stored")

    def first(self) -> Entry | None:
        """Return no entry."""
        return None

    def heads(self) -> Iterator[WriteSet]:
        """Yield no batch."""
        yield from ()

    def numbers(self) -> list[int]:
        """Return no number."""
        return []

    def remove(self, number: int) -> None:
        """Delete nothing."""

    def set_aside(self, number: int, reason: str) -> None:
        """Move nothing."""

    def close(self) -> None:
        """Close no file."""
