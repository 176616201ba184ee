"""A spool is not removed while somebody opens one beside it."""

import threading
from pathlib import Path

from collector.spool.file import SpoolFile
from collector.spool.turns import nothing_opened, nothing_removed


def opened(path: Path) -> SpoolFile:
    file = SpoolFile(path, max_bytes=1 << 24)
    file.open()
    return file


def test_an_empty_one_stays_where_another_process_opens_one(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    file = opened(path)
    with nothing_removed(tmp_path):
        file.close()
        assert path.exists()
    opened(path).close()
    assert list(tmp_path.iterdir()) == []


def test_an_opening_waits_until_a_removal_is_through(tmp_path: Path) -> None:
    found: list[SpoolFile] = []
    opening = threading.Thread(target=lambda: found.append(opened(tmp_path / "spool")))
    with nothing_opened(tmp_path) as is_alone:
        assert is_alone
        opening.start()
        opening.join(0.2)
        assert list(tmp_path.iterdir()) == []  # not begun
    opening.join()
    found[0].close()


def test_several_may_open_at_once(tmp_path: Path) -> None:
    with nothing_removed(tmp_path), nothing_removed(tmp_path), nothing_opened(tmp_path) as is_alone:
        assert not is_alone
