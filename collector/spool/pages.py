"""Read the entries of a damaged spool from its pages, past whatever SQLite stumbles over.

An entry is a cell on a leaf page, and perhaps a chain of overflow pages: both are readable without the tree
above them (https://www.sqlite.org/fileformat2.html). Checksums tell whether an entry is as it was written.
"""

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from collector.spool.codec import DamagedError, read_body, read_head

_PAGE_BYTES = 4096  # where neither the file nor its log says it
_MAGIC: Final = b"SQLite format 3\0"
_LOG_MAGIC: Final = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
_LOG_HEADER_BYTES, _FRAME_HEADER_BYTES, _HEADER_BYTES = 32, 24, 100
_LEAF = 0x0D  # the first byte of a leaf of a table
_INTEGER_BYTES: Final = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}  # by the type of the value
_BYTES, _TEXT = 12, 13  # types of values from these on: even ones are bytes, odd ones texts, of a length
_COLUMNS = 6
_ABOUT = ("name", "value")
_NAMES: Final = (b"identity", b"address", b"table")
_LONGEST_VARINT = 9

About = tuple[str, str]


class RawEntry(NamedTuple):
    """A row of the table, as it stands in the file."""

    number: int
    batch_id: str
    session_id: str
    rows: int
    head: bytes
    body: bytes

    @property
    def is_sound(self) -> bool:
        """Return whether its bytes are those that were written."""
        try:
            read_head(self.head)
            read_body(self.body)
        except DamagedError:
            return False
        return True


class Found:
    """What the pages of a file and of its log still hold. No one may have the file open."""

    def __init__(self, path: Path) -> None:
        self._pages = _Pages(path)
        self._places: dict[int, tuple[int, int]] = {}  # page and cell of each entry
        self.about: dict[str, str] = {}  # what the file says of itself
        free = self._pages.free()
        for page in range(1, self._pages.count + 1):
            if free is not None and page in free:
                continue
            for place, found in _rows_on(self._pages, page):
                if not isinstance(found, RawEntry):
                    self.about.update([found])
                # Where it is not known which pages are free, one may show what was removed long ago.
                elif found.is_sound or (free is not None and found.number not in self._places):
                    self._places[found.number] = page, place
        self.numbers = sorted(self._places)

    def __iter__(self) -> Iterator[RawEntry]:
        """Read the entries again, in the order of their numbers."""
        for number in self.numbers:
            page, place = self._places[number]
            entry = _row_at(self._pages, self._pages[page], place)
            if isinstance(entry, RawEntry):
                yield entry


def mark_of(path: Path) -> int | None:
    """Return the application id that the first page tells; None where it is not the first of a database."""
    header = _Pages(path)[1]
    return int.from_bytes(header[68:72]) if header[: len(_MAGIC)] == _MAGIC else None


def is_blank(path: Path) -> bool:
    """Return whether a file holds nothing but zeros."""
    with path.open("rb") as file:
        return not any(chunk.strip(b"\0") for chunk in iter(lambda: file.read(1 << 20), b""))


class _Pages:
    """The newest state of each page, from the file or from its log."""

    def __init__(self, path: Path) -> None:
        self._file = _content(path)
        self._log = _content(Path(f"{path}-wal"))
        self.size = self._page_bytes()
        self._in_log = self._places_in_log()
        self.count = (len(self._file) + len(self._log)) // self.size

    def __getitem__(self, number: int) -> bytes:
        place = self._in_log.get(number)
        if place is not None:
            return self._log[place : place + self.size]
        return self._file[(number - 1) * self.size : number * self.size]

    def free(self) -> set[int] | None:
        """Return the pages that hold nothing any more; None when that cannot be read."""
        header = self[1]
        if header[: len(_MAGIC)] != _MAGIC:
            return None
        trunk, count = struct.unpack_from(">II", header, 32)
        free: set[int] = set()
        while trunk:
            page = self[trunk]
            if trunk in free or len(page) < self.size:
                return None
            following, listed = struct.unpack_from(">II", page)
            if listed > self.size // 4 - 2:
                return None
            free.update((trunk, *struct.unpack_from(f">{listed}I", page, 8)))
            trunk = following
        return free if len(free) == count else None

    def _page_bytes(self) -> int:
        is_whole = self._file[: len(_MAGIC)] == _MAGIC
        told = [int.from_bytes(self._file[16:18])] if is_whole else []
        if self._log[:4] in _LOG_MAGIC:
            told.append(int.from_bytes(self._log[8:12]))
        return next((one for one in told if one in {512 << shift for shift in range(8)}), _PAGE_BYTES)

    def _places_in_log(self) -> dict[int, int]:
        """Find the last frame of each page; frames of an earlier turn of the log have another salt."""
        places: dict[int, int] = {}
        if self._log[:4] not in _LOG_MAGIC:
            return places
        salt, step = self._log[16:24], _FRAME_HEADER_BYTES + self.size
        for start in range(_LOG_HEADER_BYTES, len(self._log) - step + 1, step):
            if self._log[start + 8 : start + 16] != salt:
                break
            places[int.from_bytes(self._log[start : start + 4])] = start + _FRAME_HEADER_BYTES
        return places


def _content(path: Path) -> bytes | mmap.mmap:
    if not path.exists() or not path.stat().st_size:
        return b""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _rows_on(pages: _Pages, number: int) -> Iterator[tuple[int, RawEntry | About]]:
    """Yield what the page holds, each with the place of its cell."""
    page = pages[number]
    start = _HEADER_BYTES if number == 1 else 0
    if len(page) < pages.size or page[start] != _LEAF:
        return
    count = int.from_bytes(page[start + 3 : start + 5])
    for pointer in range(start + 8, min(start + 8 + 2 * count, pages.size - 1), 2):
        place = int.from_bytes(page[pointer : pointer + 2])
        try:
            row = _row_at(pages, page, place)
        except (IndexError, UnicodeDecodeError):
            continue
        if row is not None:
            yield place, row


def _row_at(pages: _Pages, page: bytes, place: int) -> RawEntry | About | None:
    size, place = _varint(page, place)
    number, place = _varint(page, place)
    payload = _payload(pages, page, place, size)
    header_bytes, place = _varint(payload, 0)
    kinds: list[int] = []
    while place < header_bytes:
        kind, place = _varint(payload, place)
        kinds.append(kind)
    if len(kinds) == len(_ABOUT):
        return _about(payload, header_bytes, kinds)
    return _entry(number, payload, header_bytes, kinds)


def _about(payload: bytes, place: int, kinds: list[int]) -> About | None:
    """Return the pair, if it is one of those by which a file says whose it is: two texts."""
    if not all(kind > _TEXT and kind % 2 for kind in kinds):
        return None
    middle = place + (kinds[0] - _TEXT) // 2
    name, value = payload[place:middle], payload[middle : middle + (kinds[1] - _TEXT) // 2]
    return (name.decode(), value.decode()) if name in _NAMES else None


def _entry(number: int, payload: bytes, place: int, kinds: list[int]) -> RawEntry | None:
    """Return the entry, if its columns are those of the table: the key, two texts, a number, bytes twice."""
    if len(kinds) != _COLUMNS:
        return None
    key, batch, session, rows, head, body = kinds
    texts_are = all(kind > _TEXT and kind % 2 for kind in (batch, session))
    bytes_are = all(kind >= _BYTES and not kind % 2 for kind in (head, body))
    if key != 0 or not texts_are or not bytes_are or rows not in _INTEGER_BYTES:
        return None
    values: list[bytes] = []
    for kind in kinds[1:]:
        size = _INTEGER_BYTES[kind] if kind < _BYTES else (kind - _BYTES) // 2
        values.append(payload[place : place + size])
        place += size
    count = rows - 8 if rows in {8, 9} else int.from_bytes(values[2], signed=True)
    return RawEntry(number, values[0].decode(), values[1].decode(), count, values[3], values[4])


def _payload(pages: _Pages, page: bytes, place: int, size: int) -> bytes:
    """Return the bytes of a cell, as far as their chain of pages goes."""
    most = pages.size - 35
    if size <= most:
        return page[place : place + size]
    least = (pages.size - 12) * 32 // 255 - 23
    here = least + (size - least) % (pages.size - 4)
    here = here if here <= most else least
    parts, left = [page[place : place + here]], size - here
    following = int.from_bytes(page[place + here : place + here + 4])
    seen: set[int] = set()
    while left > 0 and following and following not in seen:
        seen.add(following)
        overflow = pages[following]
        parts.append(overflow[4 : 4 + min(left, pages.size - 4)])
        left -= pages.size - 4
        following = int.from_bytes(overflow[:4])
    return b"".join(parts)


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for step in range(_LONGEST_VARINT):
        byte = data[place + step]
        if step == _LONGEST_VARINT - 1:
            return value << 8 | byte, place + step + 1
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            return value, place + step + 1
    raise AssertionError("the ninth byte ends it")
