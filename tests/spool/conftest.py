"""Spools that are closed again."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector.spool.file import SpoolFile


@pytest.fixture
def open_spool(tmp_path: Path) -> Iterator[Callable[..., SpoolFile]]:
    """Open spools that are closed when the test ends."""
    opened: list[SpoolFile] = []

    def open_one(name: str = "spool", max_bytes: int = 1 << 20) -> SpoolFile:
        spool = SpoolFile(tmp_path / name, max_bytes=max_bytes)
        spool.open()
        opened.append(spool)
        return spool

    yield open_one
    for spool in opened:
        spool.close()
