"""Return rows as a pandas frame, a polars frame or an Arrow table."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from collector.errors import QueryError
from collector.query.database import extra
from collector.query.instants import Integers, index_of
from collector.query.rows import CATEGORIES, NO_INT, Array, Value, pandas_column, picked

Output = Literal["pandas", "polars", "arrow"]
SPACING = "every_ns"  # in a frame's attrs: how far its instants are apart
CHAINS = "segments_without_a_hole"  # and which segments go on from which, since REST filled what was between
NOTES = b"collector"  # in the metadata of an Arrow table: all of these, as JSON
STREAM = ("exchange", "symbol", "depth", "kind", "interval", "data_source")  # and of which stream it is
INSTANTS = ("open_time",)  # columns of instants, in nanoseconds
OUTPUTS = ("pandas", "polars", "arrow")
Frame = Any  # pandas.DataFrame, polars.DataFrame or pyarrow.Table: the caller chose one


@dataclass(frozen=True, slots=True)
class Rows:
    """Columns of one length with their instants, and the values that are the same in all rows."""

    at_ns: Integers
    columns: Mapping[str, Array]
    constants: Mapping[str, Value] = field(default_factory=dict)
    blank: npt.NDArray[np.bool_] | None = None  # where everything is missing
    index: str = "received_at"
    every_ns: int | None = None
    chains: Mapping[int, int] = field(default_factory=dict)  # segments, and the first each goes on from

    def cut(self, which: "slice | npt.NDArray[np.bool_]") -> "Rows":
        """Return some of the rows."""
        blank = None if self.blank is None else self.blank[which]
        return replace(self, at_ns=self.at_ns[which], columns=picked(self.columns, which), blank=blank)

    def frame(self, output: Output, order: tuple[str, ...]) -> Frame:
        """Return the rows in the form of the output, with the columns in this order."""
        if output == "pandas":
            columns = {name: self._pandas(name) for name in order}
            frame = pd.DataFrame(columns, index=index_of(self.at_ns, self.index), copy=False)
            frame.attrs.update(self.stream)
            if self.every_ns is not None:
                frame.attrs[SPACING] = self.every_ns
            if self.chains:
                frame.attrs[CHAINS] = dict(self.chains)
            return frame
        table = self._arrow(order)
        return extra("polars", "research").from_arrow(table) if output == "polars" else table

    @property
    def stream(self) -> dict[str, Value]:
        """Return what all rows have in common."""
        return {name: value for name, value in self.constants.items() if name in STREAM and value is not None}

    def _pandas(self, name: str) -> object:
        if name in INSTANTS and name in self.columns:
            return index_of(self.columns[name], name)
        if name in self.columns:
            others = [self.at_ns, *(values for one, values in self.columns.items() if one != name)]
            return pandas_column(name, self._blanked(self.columns[name]), others)
        value = self.constants.get(name)
        missing = (
            np.full(len(self.at_ns), value is None) if self.blank is None else self.blank | (value is None)
        )
        if isinstance(value, int) or name == "depth":
            return pd.arrays.IntegerArray(np.full(len(missing), value or 0, dtype=np.int64), missing.copy())
        codes = np.where(missing, -1, 0).astype(np.int8)
        return pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype([value or ""]))

    def _arrow(self, order: tuple[str, ...]) -> Any:
        arrow = extra("pyarrow", "parquet")
        instant = arrow.timestamp("ns", tz="UTC")
        index = arrow.array(self.at_ns, mask=self.at_ns == NO_INT).cast(instant)
        arrays = {self.index: index}
        for name in order:
            values = self.columns.get(name)
            if values is None:
                values = np.full(len(self.at_ns), self.constants.get(name), dtype=np.object_)
            values = self._blanked(values)
            missing = np.isnan(values) if values.dtype == np.float64 else values == NO_INT
            if values.dtype == np.object_:
                whole = arrow.int64() if name == "depth" else arrow.string()
                found = arrow.array(values, type=whole)
                arrays[name] = found.dictionary_encode() if name in CATEGORIES else found
            else:
                found = arrow.array(values, mask=missing)
                arrays[name] = found.cast(instant) if name in INSTANTS else found
        table = arrow.table(arrays)
        notes = {**self.stream, SPACING: self.every_ns, CHAINS: list(self.chains.items())}
        kept = {name: value for name, value in notes.items() if value}
        return table.replace_schema_metadata({NOTES: json.dumps(kept)}) if kept else table

    def _blanked(self, values: Array) -> Array:
        if self.blank is None or not self.blank.any():
            return values
        nothing: Any = {"f": np.nan, "i": NO_INT, "O": None}[values.dtype.kind]
        result: Array = np.where(self.blank, nothing, values).astype(values.dtype, copy=False)
        return result


def checked_output(output: str) -> None:
    """Raise for an unknown output, and for one whose library is missing, before anything is read."""
    if output not in OUTPUTS:
        raise QueryError(f"output is {output!r}; expected {', '.join(OUTPUTS)}")
    if output != "pandas":
        extra("pyarrow", "parquet")
    if output == "polars":
        extra("polars", "research")
