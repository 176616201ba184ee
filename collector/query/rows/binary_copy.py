"""Take the columns out of what binary COPY of PostgreSQL sends: a message for each row.

A row is the number of its fields and then these, each behind its length. Where numbers come first, and all
have eight bytes, they stand at the same places of every row.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import sqlalchemy as sa

from collector.errors import QueryError
from collector.query.rows.columns import CATEGORIES, Array, Kind, dtype_of

_HEADER_BYTES = 19
_TRAILER = b"\xff\xff"
_length = struct.Struct(">i").unpack_from

Message = bytes | bytearray | memoryview


def are_copied(query: "sa.Select[Any]", kinds: Mapping[str, Kind]) -> bool:
    """Return whether these columns can be taken out of a binary COPY: numbers, then texts that are texts."""
    columns = {column.name: column for column in query.selected_columns}
    return all(kind != "text" or isinstance(columns[name].type, sa.String) for name, kind in kinds.items())


def numbers_first(kinds: Mapping[str, Kind]) -> dict[str, Kind]:
    """Return the columns in the order in which they are to be asked for."""
    return dict(sorted(kinds.items(), key=lambda one: one[1] == "text"))


def copied_rows(messages: Iterator[Message], kinds: Mapping[str, Kind], most: int) -> Iterator[list[bytes]]:
    """Yield rows, so many at a time: the first message begins with a header, and a trailer ends them.

    Where all have one length they come as one piece.
    """
    header, left = b"", _HEADER_BYTES
    while left > len(header) and (message := next(messages, None)) is not None:
        header += message
    rows = [header[left:]] if len(header) > left else []
    while True:
        if "text" in kinds.values():
            rows += map(bytes, islice(messages, most - len(rows)))
        else:
            block = bytearray().join(rows)
            for message in islice(messages, most - len(rows)):
                block += message
            rows = [bytes(block)] if block else []
        if rows and rows[-1] == _TRAILER:
            rows.pop()
            next(messages, None)  # the end, without which the driver would break off what it copies
        if not rows:
            return
        yield rows
        rows = []


def from_copy(rows: Sequence[bytes], kinds: Mapping[str, Kind], encoding: str) -> dict[str, Array]:
    """Return the columns of rows that were asked for with numbers first."""
    ordered = numbers_first(kinds)
    numbers = [
        (name, ">f8" if kind == "float" else ">i8") for name, kind in ordered.items() if kind != "text"
    ]
    texts = [name for name, kind in ordered.items() if kind == "text"]
    fixed = np.dtype(
        [("fields", ">i2")]
        + [part for name, form in numbers for part in ((f"{name} bytes", ">i4"), (name, form))]
    )
    cut = fixed.itemsize
    block = b"".join([row[:cut] for row in rows]) if texts else _without_trailer(rows[0], cut)
    if len(block) % cut or (texts and len(block) != len(rows) * cut):
        raise _unknown()
    values = np.frombuffer(block, dtype=fixed)
    lengths = [values[f"{name} bytes"] for name, _ in numbers]
    if (values["fields"] != len(kinds)).any() or any((one != 8).any() for one in lengths):  # noqa: PLR2004
        raise _unknown()
    found: dict[str, Array] = {name: values[name].astype(dtype_of(kinds[name])) for name, _ in numbers}
    found |= _texts(rows, cut, texts, encoding)
    return {name: found[name] for name in kinds}


def _without_trailer(block: bytes, row_bytes: int) -> bytes:
    return block[: -len(_TRAILER)] if len(block) % row_bytes == len(_TRAILER) else block


def _texts(rows: Sequence[bytes], begin: int, names: Sequence[str], encoding: str) -> dict[str, Array]:
    begins = [begin] * len(rows)
    found: dict[str, Array] = {}
    for name in names:
        known: dict[bytes, str] = {}  # of a few words, each is made once
        values: list[str | None] = []
        for place, (row, at) in enumerate(zip(rows, begins, strict=True)):
            size = _length(row, at)[0]
            begins[place] = end = at + 4 + max(size, 0)
            if size < 0:
                values.append(None)
                continue
            word = row[at + 4 : end]
            if name not in CATEGORIES:
                values.append(word.decode(encoding))
            elif (text := known.get(word)) is not None:
                values.append(text)
            else:
                values.append(known.setdefault(word, word.decode(encoding)))
        found[name] = np.array(values, dtype=np.object_)
    if names and begins != [len(row) for row in rows]:
        raise _unknown()
    return found


def _unknown() -> QueryError:
    return QueryError("the server copies rows in a form that is not known; expected a message for each row")
