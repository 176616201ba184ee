"""Say what the footer of an archive file tells of its row groups, without reading their rows."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from collector.events import REST
from collector.query.database import LATER_COLUMNS
from collector.query.rows.archive_files import bounds
from collector.query.rows.columns import NO_INT, Array, Kind, dtype_of
from collector.query.rows.placing import NS_A_MS, ORIGIN, RECEIPT, TOLD


class Footer:
    """The footer of a file, and how each of its columns is held."""

    def __init__(self, file: Any, kinds: Mapping[str, Kind]) -> None:
        self.kinds = kinds
        self._metadata = file.metadata
        self._places = {name: place for place, name in enumerate(file.schema_arrow.names)}

    def has(self, name: str) -> bool:
        """Return whether the file has a column."""
        return name in self._places

    def rows(self, group: int) -> int:
        """Return how many rows a row group has."""
        return int(self._metadata.row_group(group).num_rows)

    def bounds(self, group: int, name: str) -> tuple[Any, Any, int] | None:
        """Return what it tells of a column in a row group."""
        return bounds(self._metadata, group, self._places.get(name, -1))


class Group:
    """A row group, by what the footer tells of it."""

    def __init__(self, footer: Footer, number: int) -> None:
        self._footer = footer
        self.number = number
        self.rows = footer.rows(number)
        self._only: dict[str, Array | None] = {}

    def only(self, name: str) -> Array | None:
        """Return the value that all rows have, as an array of one; None if they may differ."""
        if name not in self._only:
            self._only[name] = self._found_only(name, self._footer.kinds[name])
        return self._only[name]

    def _found_only(self, name: str, kind: Kind) -> Array | None:
        if name in LATER_COLUMNS and not self._footer.has(name):
            return _one(None, kind)  # files of an earlier version lack what came later
        if kind == "float":  # the footer does not tell zero from minus zero, nor where a value is no number
            return None
        told = self._footer.bounds(self.number, name)
        if told is None:
            return None
        least, most, missing = told
        if missing == self.rows:
            return _one(None, kind)
        return _one(least, kind) if least == most and not missing else None

    @property
    def is_live(self) -> bool:
        """Return whether no row came by REST, so that each stands at its receipt."""
        origin = self.only(ORIGIN)
        return origin is not None and origin[0] != REST

    def stands(self, at: str) -> tuple[int, int] | None:
        """Return between which instants its rows stand, both included; None if that is not told."""
        ends = self._footer.bounds(self.number, RECEIPT)
        if ends is None or ends[2]:
            return None
        first, last = int(ends[0]), int(ends[1])
        if at == RECEIPT or self.is_live:
            return first, last
        told = self._footer.bounds(self.number, TOLD)
        if told is None:
            return None
        if told[2] == self.rows:
            return first, last
        return min(first, int(told[0]) * NS_A_MS), max(last, int(told[1]) * NS_A_MS)


def batches(groups: Sequence[Group], most_rows: int) -> Iterator[list[Group]]:
    """Yield groups that follow each other, so many rows at a time at most, but one group at least."""
    batch: list[Group] = []
    for group in groups:
        if batch and sum(one.rows for one in batch) + group.rows > most_rows:
            yield batch
            batch = []
        batch.append(group)
    if batch:
        yield batch


def _one(value: str | int | None, kind: Kind) -> Array:
    return np.array([NO_INT if value is None and kind == "int" else value], dtype=dtype_of(kind))
