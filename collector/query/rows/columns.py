"""Define how columns are held: flat numpy arrays by name, a missing integer as NO_INT."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from collector.errors import QueryError

Array = npt.NDArray[Any]  # of float64, int64 or objects, as its kind says
Chunk = Mapping[str, Array]
Kind = Literal["float", "int", "text"]

NO_INT = 1 - 2**63  # the least of all has no literal in PostgreSQL
MOST_VALUES = 125_000_000  # of a frame: 1 GB, and some three times that while it is made
_MANY_ROWS = 200_000
SMALLER = "a shorter span, fewer columns=, or iter_features, which reads piece after piece"
CATEGORIES = ("exchange", "symbol", "kind", "side", "marked", "data_source", "origin", "interval")
_DTYPES: dict[Kind, npt.DTypeLike] = {"float": np.float64, "int": np.int64, "text": np.object_}


def kind_of(column: sa.ColumnElement[object]) -> Kind:
    """Return how the values of a column are held."""
    if isinstance(column.type, sa.Float):  # REAL and DOUBLE PRECISION
        return "float"
    return "int" if isinstance(column.type, sa.Integer) else "text"


def dtype_of(kind: Kind) -> npt.DTypeLike:
    """Return the type of the array that holds such values."""
    return _DTYPES[kind]


def empty(kinds: Mapping[str, Kind]) -> dict[str, Array]:
    """Return a chunk without rows."""
    return {name: np.empty(0, dtype=dtype_of(kind)) for name, kind in kinds.items()}


def joined(chunks: Sequence[Chunk], kinds: Mapping[str, Kind] | None = None) -> dict[str, Array]:
    """Join chunks into one; without any, return empty columns of these kinds."""
    if not chunks:
        return empty(kinds or {})
    if len(chunks) == 1:
        return dict(chunks[0])
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def gathered(chunks: Iterable[Chunk], kinds: Mapping[str, Kind]) -> dict[str, Array]:
    """Join chunks; raise QueryError as soon as they are more than a frame should hold."""
    found: list[Chunk] = []  # what is not in `whole`: of many rows their texts alone
    rows, most = 0, MOST_VALUES // len(kinds)
    whole: dict[str, Array] = {}
    names: list[str] = []
    for chunk in chunks:
        begin, rows = rows, rows + length(chunk)
        if rows > most:
            raise QueryError(f"these are more than {most:,} rows of {len(kinds)} values; expected {SMALLER}")
        if whole:
            _put(whole, chunk, begin)
            found.append(_texts(chunk))
            continue
        found.append(chunk)
        names = list(chunk)
        if rows > _MANY_ROWS and (whole := _room(found, most)):
            found = [_texts(one) for one in found]
    if not whole:
        return joined(found, kinds)
    for values in whole.values():
        values.resize(rows, refcheck=False)  # what is behind them was never touched
    texts = {name: np.concatenate([chunk[name] for chunk in found]) for name in found[0]}
    return {name: texts[name] if name in texts else whole[name] for name in names}


def _texts(chunk: Chunk) -> Chunk:
    return {name: values for name, values in chunk.items() if values.dtype == np.object_}


def _room(found: Sequence[Chunk], most: int) -> dict[str, Array]:
    """Return arrays that begin with the numbers of these chunks, with room for as many rows as there may be.

    Memory that nothing is written to costs none. So no number is there twice, in its chunk and in the whole,
    and the system has half as much to clear. Texts get no room: an array of objects is filled with None.
    """
    numbers = [name for name, values in found[0].items() if values.dtype != np.object_]
    try:
        whole = {name: np.empty(most, dtype=found[0][name].dtype) for name in numbers}
    except MemoryError:  # a system that counts what is not touched
        return {}
    begin = 0
    for chunk in found:
        _put(whole, chunk, begin)
        begin += length(chunk)
    return whole


def _put(whole: Mapping[str, Array], chunk: Chunk, begin: int) -> None:
    for name, values in whole.items():
        values[begin : begin + length(chunk)] = chunk[name]


def picked(chunk: Chunk, which: "npt.NDArray[np.int64] | npt.NDArray[np.bool_] | slice") -> dict[str, Array]:
    """Return some of the rows."""
    return {name: values[which] for name, values in chunk.items()}


def length(chunk: Chunk) -> int:
    """Return the number of rows."""
    return len(next(iter(chunk.values()), ()))


def pandas_column(name: str, values: Array, others: Sequence[Array] = ()) -> object:
    """Return the column of a pandas frame: missing integers as NA, words as categories.

    Whole numbers are copied where one is missing, or where one of the others has the same memory.
    """
    import pandas as pd  # noqa: PLC0415  (for those who load frames)

    if values.dtype == np.int64:
        missing = values == NO_INT
        is_own = not missing.any() and not any(np.may_share_memory(values, one) for one in others)
        return pd.arrays.IntegerArray(values if is_own else np.where(missing, 0, values), missing)
    if values.dtype == np.object_:
        return pd.Categorical(values) if name in CATEGORIES else pd.array(values, dtype="string")
    return values
