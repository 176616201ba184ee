"""Encode many records of one schema from columns, with numpy: no dict a record, no call a value.

Each value becomes a cell: a few bytes side by side, of which a mask says which count. A table of all cells,
row by row, is the encoding of all records one after the other. Avro's libraries encode the same bytes value
by value (tests hold that), which takes several times as long.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
Value = float | int | str | None

MOST_TEXT_BYTES = 1_024  # of one value
_VARINT_BYTES = 10
_SHIFTS = (np.arange(_VARINT_BYTES) * 7).astype(np.uint64)
_LOW_BITS, _MORE = np.uint64(0x7F), np.uint8(0x80)
_SOME = 2  # before the value of a union with null: the second branch, as a varint


class Unfit(Exception):  # noqa: N818  (a reason, told on as UnfitRow)
    """A value that its field cannot hold."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A column of few different values: each value's place among them."""

    values: Sequence[Value]
    places: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Same:
    """A column that holds one value throughout."""

    value: Value


Column = Sequence[Value] | Coded | Same


class Cells(NamedTuple):
    """Bytes of some fields for all rows, or for one row that stands for all; those with a flag count."""

    content: Bytes
    counts: Flags


class Field(NamedTuple):
    """One value of a record, with where it stands."""

    path: str
    kind: str
    nullable: bool
    symbols: tuple[str, ...] = ()  # of an enum


class Encoded(NamedTuple):
    """Records one after the other."""

    content: bytes
    ends: Sequence[int]  # where each of them ends


class Encoder:
    """Encodes records of one schema."""

    def __init__(self, definition: Mapping[str, Any], array_length: int, prefix: bytes = b"") -> None:
        self._prefix = prefix
        self._length = array_length
        self._definition = definition

    def encode(
        self,
        rows: int,
        columns: Mapping[str, Column],
        present: Sequence[str],
        order: npt.NDArray[np.int64] | None = None,
    ) -> Encoded:
        """Encode so many records, in this order; a field that is not given is null.

        `present` names the records within the record that are there. Raises Unfit.
        """
        cells: list[Cells] = [_constant(self._prefix)] if self._prefix else []
        waiting: list[Field] = []
        for one in self._fields(self._definition, "", present):
            if isinstance(one, bytes):
                cells += self._cells(waiting, columns)
                cells.append(_constant(one))
                waiting = []
                continue
            if waiting and (one.kind, one.nullable) != (waiting[-1].kind, waiting[-1].nullable):
                cells += self._cells(waiting, columns)
                waiting = []
            waiting.append(one)
        cells += self._cells(waiting, columns)
        return _joined(cells, rows, order)

    def _fields(
        self, record: Mapping[str, Any], path: str, present: Sequence[str]
    ) -> Iterator[Field | bytes]:
        """Yield the values of a record in the order of its fields, and the bytes between them."""
        for field in record["fields"]:
            name, kind = path + field["name"], field["type"]
            nullable = isinstance(kind, list)
            if nullable:
                kind = kind[1]
            if isinstance(kind, str):
                yield Field(name, kind, nullable)
            elif kind["type"] == "enum":
                yield Field(name, "enum", nullable, tuple(kind["symbols"]))
            elif kind["type"] == "record":
                if name not in present:
                    yield b"\0"
                    continue
                yield bytes([_SOME])
                yield from self._fields(kind, f"{name}.", present)
            elif kind["type"] == "array":
                yield bytes([self._length * 2])
                for place in range(self._length):
                    yield Field(f"{name}.{place}", kind["items"][1], nullable=True)
                yield b"\0"
            else:
                yield Field(name, kind["type"], nullable)

    def _cells(self, fields: Sequence[Field], columns: Mapping[str, Column]) -> Iterator[Cells]:
        """Yield the cells of fields of one kind; those with a value a row are encoded together."""
        several: list[tuple[Field, Sequence[Value]]] = []
        for field in fields:
            column = columns.get(field.path, Same(None))
            if field.kind in {"double", "long"} and not isinstance(column, Coded | Same):
                several.append((field, column))
                continue
            if several:
                yield _numbers(several)
                several = []
            yield _few(field, column)
        if several:
            yield _numbers(several)


def _constant(content: bytes) -> Cells:
    cells = np.frombuffer(content, dtype=np.uint8)[None, :]
    return Cells(cells, np.ones(cells.shape, dtype=np.bool_))


def _joined(cells: Sequence[Cells], rows: int, order: npt.NDArray[np.int64] | None) -> Encoded:
    width = sum(one.content.shape[1] for one in cells)
    content, counts = np.empty((rows, width), dtype=np.uint8), np.empty((rows, width), dtype=np.bool_)
    at = 0
    for one in cells:
        end = at + one.content.shape[1]
        content[:, at:end], counts[:, at:end] = one
        at = end
    if order is not None:
        content, counts = content[order], counts[order]
    ends = np.cumsum(np.count_nonzero(counts, axis=1))
    return Encoded(content[counts].tobytes(), ends.tolist())


def _numbers(columns: Sequence[tuple[Field, Sequence[Value]]]) -> Cells:
    """Encode columns of doubles, or of longs, that stand side by side."""
    is_real = columns[0][0].kind == "double"
    read = [_read(field, values, "d" if is_real else "q") for field, values in columns]
    numbers = np.stack([np.frombuffer(one, np.float64 if is_real else np.int64) for one, _ in read], axis=1)
    cells = _doubles(numbers) if is_real else _longs(numbers)
    if columns[0][0].nullable:
        cells = _with_branch(cells)
        for place, (_, nulls) in enumerate(read):
            if nulls:
                cells.content[nulls, place, 0] = 0
                cells.counts[nulls, place, 1:] = False
    rows = len(numbers)
    return Cells(cells.content.reshape(rows, -1), cells.counts.reshape(rows, -1))


def _read(field: Field, values: Sequence[Value], code: str) -> tuple["array[Any]", list[int]]:
    """Return the numbers of a column, 0 for null, and where it is null."""
    try:
        try:
            return array(code, values), []
        except TypeError:  # nulls among them, or worse
            nulls = [place for place, value in enumerate(values) if value is None]
            if nulls and not field.nullable:
                raise Unfit(f"{field.path} is missing") from None
            filled = [0 if value is None else value for value in values]
            return array(code, filled), nulls
    except OverflowError:
        raise Unfit(f"{field.path}: a number beyond 64 bits") from None
    except TypeError:
        wanted = "a number" if code == "d" else "a whole number"
        raise Unfit(f"{field.path}: something that is not {wanted}") from None


def _doubles(numbers: npt.NDArray[Any]) -> Cells:
    content = np.ascontiguousarray(numbers, dtype="<f8").view(np.uint8).reshape(*numbers.shape, 8)
    return Cells(content, np.ones(content.shape, dtype=np.bool_))


def _longs(numbers: npt.NDArray[Any]) -> Cells:
    """Encode whole numbers: zigzag, then seven bits a byte, the lowest first."""
    zigzag = ((numbers << 1) ^ (numbers >> 63)).view(np.uint64)
    groups = zigzag[..., None] >> _SHIFTS
    counts = groups != 0
    counts[..., 0] = True
    content = (groups & _LOW_BITS).astype(np.uint8)
    content[..., :-1] |= counts[..., 1:] * _MORE
    return Cells(content, counts)


def _with_branch(cells: Cells) -> Cells:
    """Put before each value that it is not null."""
    shape = (*cells.content.shape[:-1], 1)
    return Cells(
        np.concatenate((np.full(shape, _SOME, dtype=np.uint8), cells.content), axis=-1),
        np.concatenate((np.ones(shape, dtype=np.bool_), cells.counts), axis=-1),
    )


def _few(field: Field, column: Column) -> Cells:
    """Encode a column value by value, each of its different values once."""
    if isinstance(column, Same):
        return _constant(_value(field, column.value))
    if isinstance(column, Coded):
        values, places = column.values, column.places
    else:
        try:
            first = dict.fromkeys(column)
        except TypeError:
            raise Unfit(f"{field.path}: something that is not text") from None
        numbers = {value: place for place, value in enumerate(first)}
        values = list(first)
        places = np.fromiter((numbers[value] for value in column), dtype=np.int64, count=len(column))
    encoded = [_value(field, value) for value in values]
    if len(encoded) == 1:
        return _constant(encoded[0])
    sizes = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
    width = int(sizes.max())
    table = np.zeros((len(encoded), width), dtype=np.uint8)
    counts = np.arange(width) < sizes[:, None]
    table[counts] = np.frombuffer(b"".join(encoded), dtype=np.uint8)
    return Cells(table[places], counts[places])


def _value(field: Field, value: Value) -> bytes:
    if value is None:
        if not field.nullable:
            raise Unfit(f"{field.path} is missing")
        return b"\0"
    branch = bytes([_SOME]) if field.nullable else b""
    match field.kind:
        case "string":
            if not isinstance(value, str):
                raise Unfit(f"{field.path}: something that is not text")
            return branch + _text(field.path, value)
        case "enum":
            return branch + varint(field.symbols.index(str(value)))
    raise AssertionError(field.kind)  # numbers come as columns


def _text(path: str, value: str) -> bytes:
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        raise Unfit(f"{path}: half a character, which is no text") from None
    if len(encoded) > MOST_TEXT_BYTES:
        raise Unfit(f"{path}: a text of {len(encoded):,} bytes; at most {MOST_TEXT_BYTES:,} fit")
    return varint(len(encoded)) + encoded


def varint(number: int) -> bytes:
    """Encode a whole number that is not negative."""
    left, groups = number << 1, bytearray()
    while left > 0x7F:  # noqa: PLR2004  (seven bits a byte)
        groups.append(left & 0x7F | 0x80)
        left >>= 7
    groups.append(left)
    return bytes(groups)
