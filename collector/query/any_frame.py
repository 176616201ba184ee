"""Take frames of pandas, polars or Arrow, one or several, as pandas frames, and give results back alike."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from collector.errors import QueryError
from collector.query.database import extra
from collector.query.frames import CHAINS, NOTES, SPACING, Frame
from collector.query.instants import Integers

Frames = Frame | Sequence[Frame]
# What an index is called where it is a column, the likeliest first.
INDEXES = ("place", "received_at", "exchange_timestamp", "open_time")


def pieces(given: Frames) -> list[pd.DataFrame]:
    """Return what was given as pandas frames indexed by time; raise QueryError for anything else."""
    if isinstance(given, list | tuple):
        return [_as_pandas(one) for one in given]
    return [_as_pandas(given)]


def alike(result: pd.DataFrame, given: Frames) -> Frame:
    """Return a result in the library of the frames that were given."""
    first = (given[0] if given else None) if isinstance(given, list | tuple) else given
    library = _library(first)
    if library not in {"polars", "pyarrow"}:
        return result
    arrow = extra("pyarrow", "parquet")
    table = arrow.Table.from_pandas(result.reset_index(), preserve_index=False)
    table = table.replace_schema_metadata(None)
    return extra("polars", "research").from_arrow(table) if library == "polars" else table


def evenly_ns(at_ns: Integers) -> int | None:
    """Return how far instants are apart that lie on a grid, some perhaps taken out; None for others."""
    apart = np.diff(at_ns)
    if not len(apart) or (step_ns := int(apart.min())) <= 0:
        return None
    is_grid = not at_ns[0] % step_ns and not (apart % step_ns).any() and np.mean(apart == step_ns) >= 0.5  # noqa: PLR2004
    return step_ns if is_grid else None


def _as_pandas(frame: Frame) -> pd.DataFrame:
    library = _library(frame)
    if isinstance(frame, pd.DataFrame):
        return frame
    if library == "polars" and hasattr(frame, "collect"):
        raise QueryError("this is a lazy frame of polars; expected its rows: .collect()")
    if library == "polars" and hasattr(frame, "to_arrow") and hasattr(frame, "columns"):
        return _of_arrow(frame.to_arrow())
    if library == "pyarrow" and hasattr(frame, "to_pandas") and hasattr(frame, "schema"):
        return _of_arrow(frame)
    raise QueryError(
        f"this is a {type(frame).__name__}; expected a frame of pandas, polars or Arrow that a loader made, "
        "or a list of them"
    )


def _of_arrow(table: Any) -> pd.DataFrame:
    arrow = extra("pyarrow", "parquet")
    index = next(
        (
            name
            for name in INDEXES
            if name in table.column_names and arrow.types.is_timestamp(table.schema.field(name).type)
        ),
        None,
    )
    if index is None:
        raise QueryError(
            f"the frame has no column of instants; expected one that a loader made, with {', '.join(INDEXES)}"
        )
    # A missing number must not make floats of the others: no float holds the number of a segment.
    whole = {arrow.int64(): pd.Int64Dtype()}
    frame: pd.DataFrame = table.to_pandas(types_mapper=whole.get, ignore_metadata=True).set_index(index)
    notes = json.loads((table.schema.metadata or {}).get(NOTES, b"{}"))
    spacing_ns = notes.get(SPACING)
    if spacing_ns is None and index == "received_at" and frame.index.is_monotonic_increasing:
        spacing_ns = evenly_ns(pd.DatetimeIndex(frame.index).as_unit("ns").asi8)  # polars carries no notes
    if spacing_ns is not None:
        frame.attrs[SPACING] = spacing_ns
    if going_on := notes.get(CHAINS):
        frame.attrs[CHAINS] = dict(going_on)
    return frame


def _library(frame: object) -> str:
    return type(frame).__module__.partition(".")[0]
