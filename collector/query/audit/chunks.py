"""Read a table in the order of its ids, so many rows at a time, as arrays."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from collector.events.columns import NO_INT

ROWS_A_CHUNK = 20_000
Chunk = Mapping[str, Sequence[Any]]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def chunks(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[Chunk]:
    """Yield columns by name, at most ROWS_A_CHUNK rows at a time."""
    result = connection.execute(query.execution_options(yield_per=ROWS_A_CHUNK))
    names = list(result.keys())
    for rows in result.partitions():
        yield dict(zip(names, zip(*rows, strict=True), strict=True))


def floats(values: Sequence[Any]) -> Floats:
    """Return numbers, NaN for NULL."""
    return np.array(values, dtype=np.float64)


def integers(values: Sequence[Any]) -> Integers:
    """Return whole numbers, NO_INT for NULL."""
    try:
        return np.array(values, dtype=np.int64)
    except TypeError:
        return np.array([NO_INT if value is None else value for value in values], dtype=np.int64)


def differs(stored: Floats, expected: Floats) -> Flags:
    """Return which numbers differ in any bit; NULL equals NULL."""
    same: Flags = (stored == expected) | (np.isnan(stored) & np.isnan(expected))
    return ~same


def of(ids: Integers, flags: Flags) -> list[int]:
    """Return the ids of the rows that a flag is set for."""
    found: list[int] = ids[flags].tolist()
    return found
