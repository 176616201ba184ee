"""Write files through a disk that remembers what was synced, and cut its power at any moment.

What was synced survives. Of what was written since, each sector does or does not, as the dice fall.
"""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

SECTOR = 512


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that was done to one file."""

    kind: str  # write, truncate, sync, delete
    name: str
    offset: int = 0
    content: bytes = b""


class Disk(apsw.VFS):  # type: ignore[misc]
    """A file system of SQLite's that writes down what it does."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "")
        self.name = name
        self.log: list[Operation] = []

    def xOpen(self, name: Any, flags: list[int]) -> "DiskFile":  # noqa: N802  (SQLite's name)
        return DiskFile(self, name, flags)

    def xDelete(self, name: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(name, syncdir)
        self.log.append(Operation("delete", Path(name).name))

    def after_a_cut(self, folder: Path, moment: int, draw: random.Random, base: dict[str, bytes]) -> None:
        """Leave in the folder what a cut after so many operations leaves."""
        files = {name: bytearray(content) for name, content in base.items()}
        unsynced: dict[str, list[Operation]] = {}
        for one in self.log[:moment]:
            waiting = unsynced.setdefault(one.name, [])
            if one.kind == "delete":
                files.pop(one.name, None)
                waiting.clear()
            elif one.kind == "sync":
                for each in waiting:
                    apply(files.setdefault(one.name, bytearray()), each)
                waiting.clear()
            else:
                waiting.append(one)
        for name, waiting in unsynced.items():
            for each in waiting:
                for sector in sectors(each):
                    if draw.random() < 0.5:
                        apply(files.setdefault(name, bytearray()), sector)
        for name, content in files.items():
            (folder / name).write_bytes(content)


class DiskFile(apsw.VFSFile):  # type: ignore[misc]
    """A file that writes down what is done to it."""

    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._disk = disk
        self._name = Path(name.filename() if isinstance(name, apsw.URIFilename) else name or "temp").name

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        super().xWrite(data, offset)
        self._disk.log.append(Operation("write", self._name, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        super().xTruncate(newsize)
        self._disk.log.append(Operation("truncate", self._name, newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802
        super().xSync(flags)
        self._disk.log.append(Operation("sync", self._name))


def apply(content: bytearray, one: Operation) -> None:
    if one.kind == "truncate":
        del content[one.offset :]
        return
    content.extend(bytes(max(0, one.offset + len(one.content) - len(content))))
    content[one.offset : one.offset + len(one.content)] = one.content


def sectors(one: Operation) -> list[Operation]:
    if one.kind != "write":
        return [one]
    return [
        Operation("write", one.name, one.offset + first, one.content[first : first + SECTOR])
        for first in range(0, len(one.content), SECTOR)
    ]
