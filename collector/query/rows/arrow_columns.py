"""Hold columns that were read from Arrow: their values, or words and which of them each row has."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from collector.query.database import extra
from collector.query.rows.columns import NO_INT, Array, Kind, dtype_of

Flags = npt.NDArray[np.bool_]
Test = Callable[[Array], Flags]  # which of some values are those of rows that are wanted
Codes = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Column:
    """Values of rows; or the different ones, and which of them each row has."""

    values: Array
    codes: Codes | None = None

    def are(self, test: Test) -> Flags:
        """Return which rows pass a test of their value."""
        passed = test(self.values)
        return passed if self.codes is None else passed[self.codes]

    @property
    def rows(self) -> Array:
        """Return the value of each row."""
        return self.of(slice(None))

    def of(self, which: "Flags | slice") -> Array:
        """Return the values of some rows."""
        found: Array = self.values[which] if self.codes is None else self.values[self.codes[which]]
        return found


def alike(only: Sequence[Array], counts: Sequence[int]) -> Column:
    """Return the column in which each group has one value."""
    values = np.concatenate(only)
    if len({*values.tolist()}) == 1:
        return Column(values[:1], np.broadcast_to(np.zeros(1, dtype=np.int64), sum(counts)))
    return Column(values, np.repeat(np.arange(len(values)), counts))


def decoded(column: Any, kind: Kind) -> Column:
    """Return a column of Arrow as ours: memory of its own, which may be written to."""
    if kind == "text":
        return _words(column)
    arrow = extra("pyarrow", "parquet")
    plain, nothing = (arrow.int64(), NO_INT) if kind == "int" else (arrow.float64(), np.nan)
    whole = column if column.type == plain else column.cast(plain)
    if whole.null_count:
        whole = whole.fill_null(nothing)
    if whole.num_chunks == 1:
        chunk = whole.chunk(0)
        memory = chunk.buffers()[1]
        if memory.is_mutable:  # nobody else has what was read just now: no copy
            dtype = np.dtype(dtype_of(kind))
            return Column(np.frombuffer(memory, dtype, len(chunk), chunk.offset * dtype.itemsize))
    return Column(np.array(whole.to_numpy()))


def _words(column: Any) -> Column:
    arrow = extra("pyarrow", "parquet")
    if not arrow.types.is_dictionary(column.type):
        return Column(column.cast(arrow.string()).to_numpy().astype(np.object_, copy=False))
    whole = column.unify_dictionaries()
    words = [*whole.chunk(0).dictionary.to_pylist(), None]
    missing = len(words) - 1
    codes = [chunk.indices.fill_null(missing).to_numpy() for chunk in whole.chunks]
    return Column(np.array(words, dtype=np.object_), np.concatenate(codes))
