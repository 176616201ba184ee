"""Read the ids of the rows that archive files hold, over all files in one ascending order."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from collector.query import extra

Ids = npt.NDArray[np.int64]

_NONE: Ids = np.zeros(0, dtype=np.int64)


class _Group(NamedTuple):
    """A row group of a file, which is read whole."""

    least_id: int
    path: Path
    number: int


def held_ids(paths: Sequence[Path], most: int, check: Callable[[], None]) -> Iterator[Ids]:
    """Yield the ids in ascending order, `most` at a time; only the row groups that overlap are in memory."""
    waiting = sorted(group for path in paths for group in _groups(path))
    held = _NONE
    for place, group in enumerate(waiting):
        check()
        held = np.concatenate([held, _ids(group)])
        is_last = place + 1 == len(waiting)
        following = None if is_last else waiting[place + 1].least_id
        if following is not None and following <= held.min():
            continue
        held.sort()
        ready = len(held) if following is None else int(np.searchsorted(held, following))
        whole = ready if is_last else ready // most * most
        for first in range(0, whole, most):
            yield held[first : min(first + most, whole)]
        held = held[whole:]


def _groups(path: Path) -> Iterator[_Group]:
    with extra("pyarrow.parquet", "parquet").ParquetFile(path) as file:
        column = file.schema_arrow.names.index("id")
        for number in range(file.metadata.num_row_groups):
            yield _Group(file.metadata.row_group(number).column(column).statistics.min, path, number)


def _ids(group: _Group) -> Ids:
    with extra("pyarrow.parquet", "parquet").ParquetFile(group.path) as file:
        found = file.read_row_group(group.number, columns=["id"])["id"]
    return np.asarray(found.to_numpy(), dtype=np.int64)
