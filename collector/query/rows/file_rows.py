"""Read the rows of a stream from an archive file: only the columns and the row groups that it takes.

What the footer tells of a row group decides first: whether a row of it can be wanted, and which of its
columns have one value, so that they are not read. Words are compared once each, not once a row.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from collector.events import REST
from collector.query.instants import Span
from collector.query.rows.archive_files import Part
from collector.query.rows.arrow_columns import Column, Flags, Test, alike, decoded
from collector.query.rows.columns import NO_INT, Array, Chunk, Kind, kind_of, picked
from collector.query.rows.placing import ORIGIN, PLACE, RECEIPT, TOLD, places
from collector.query.rows.row_groups import Footer, Group, batches
from collector.query.rows.stored_stream import MixedRowsError, Source, StoredStream, Value


def chunks_of(part: Part, table: Source, kinds: Mapping[str, Kind]) -> Iterator[Chunk]:
    """Yield these columns of all rows of a file, a row group at a time."""
    stream = StoredStream(table, part.symbol, part.exchange, ())
    return FileRows(part, stream, kinds, RECEIPT).read(Span(), 0)


class FileRows:
    """The rows of one stream in one file."""

    def __init__(self, part: Part, stream: StoredStream, kinds: Mapping[str, Kind], at: str) -> None:
        self._part = part
        self._stream = stream
        self._wanted = kinds
        self._at = at
        self._tests = _tests(stream)
        names = [*self._tests, *stream.alike, RECEIPT]
        if at == PLACE:
            names += [TOLD, ORIGIN]
        self._kinds: dict[str, Kind] = {**{name: kind_of(stream.table.c[name]) for name in names}, **kinds}

    def read(self, span: Span, most_rows: int) -> Iterator[Chunk]:
        """Yield the rows that stand in a span, row groups of up to `most_rows` rows at a time."""
        with self._part.opened() as file:
            found = [group for group in self._groups(file) if self._may_hold(group, span)]
            for groups in batches(found, most_rows):
                yield from self._read(file, groups, span)

    def last(self, before_ns: int) -> Chunk | None:
        """Return the newest row that stands before an instant."""
        newest: Chunk | None = None
        span = Span(None, before_ns)
        with self._part.opened() as file:
            for group in reversed(self._groups(file)):
                stands = group.stands(self._at)
                if newest is not None and stands is not None and stands[1] <= newest[self._at][0]:
                    continue
                for chunk in self._read(file, [group], span) if self._may_hold(group, span) else ():
                    place = len(chunk[self._at]) - 1 - int(np.argmax(chunk[self._at][::-1]))
                    if newest is None or chunk[self._at][place] > newest[self._at][0]:
                        newest = picked(chunk, slice(place, place + 1))
        return newest

    def _groups(self, file: Any) -> list[Group]:
        footer = Footer(file, self._kinds)
        return [Group(footer, number) for number in range(file.num_row_groups)]

    def _may_hold(self, group: Group, span: Span) -> bool:
        stands = group.stands(self._at)
        if stands is not None and (
            (span.end_ns is not None and stands[0] >= span.end_ns)
            or (span.start_ns is not None and stands[1] < span.start_ns)
        ):
            return False
        known = ((group.only(name), test) for name, test in self._tests.items())
        return all(value is None or bool(test(value)[0]) for value, test in known)

    def _read(self, file: Any, groups: Sequence[Group], span: Span) -> Iterator[Chunk]:
        """Yield the wanted ones of the rows of some groups; raise if they are not alike."""
        is_cut = not all(_is_inside(group.stands(self._at), span) for group in groups)
        columns = self._columns(file, groups, [self._at] if is_cut else [])
        wanted = np.ones(sum(group.rows for group in groups), dtype=np.bool_)
        if is_cut:
            wanted &= span.holds(columns[self._at].rows)
        for name, test in self._tests.items():
            if any(group.only(name) is None for group in groups):  # of the others it is known
                wanted &= columns[name].are(test)
        self._check_alike(columns, wanted)
        fillings = self._stream.fillings
        if fillings is not None:
            whole = {name: columns[name].rows for name in self._wanted}
            wanted &= fillings.count(whole, self._at)
            columns = {name: Column(values) for name, values in fillings.sized(whole).items()}
        which = _as_slice(wanted)
        if which is not None:
            yield {name: columns[name].of(which) for name in self._wanted}

    def _check_alike(self, columns: Mapping[str, Column], wanted: Flags) -> None:
        stream = self._stream
        for name, value in stream.alike.items():
            passed = columns[name].are(_equal_to(value))
            if passed.all():
                continue
            differs = wanted & ~passed
            if name == "kind" and stream.fillings is not None:
                differs &= ~stream.fillings.are_of(columns["segment_id"].rows)
            if differs.any():
                text = f"{stream.symbol} is stored with more than one {name}, in {self._part.path} as well"
                raise MixedRowsError(f"{text}; say which: {name}=...")

    def _columns(self, file: Any, groups: Sequence[Group], others: Sequence[str]) -> dict[str, Column]:
        """Return all columns that are needed; read of the file what its footer does not tell."""
        names = dict.fromkeys([*self._wanted, *self._tests, *self._stream.alike, *others])
        place_of: tuple[str, ...] = ()
        if PLACE in names:
            del names[PLACE]
            place_of = (RECEIPT,) if all(group.is_live for group in groups) else (RECEIPT, TOLD, ORIGIN)
            names |= dict.fromkeys(place_of)
        counts = [group.rows for group in groups]
        columns: dict[str, Column] = {}
        unknown: list[str] = []
        for name in names:
            only = [group.only(name) for group in groups]
            if any(one is None for one in only):
                unknown.append(name)
            else:
                columns[name] = alike([one for one in only if one is not None], counts)
        if unknown:
            table = file.read_row_groups([group.number for group in groups], columns=unknown)
            columns |= {name: decoded(table[name], self._kinds[name]) for name in unknown}
        if place_of:
            columns[PLACE] = Column(places({name: columns[name].rows for name in place_of}))
        return columns


def _tests(stream: StoredStream) -> dict[str, Test]:
    """Return by column what the table would be asked for."""
    tests: dict[str, list[Test]] = {}
    if stream.left_out:
        tests.setdefault("segment_id", []).append(lambda values: ~np.isin(values, stream.left_out))
    if stream.origin is not None:
        tests.setdefault(ORIGIN, []).append(lambda values: (values == REST) == (stream.origin == REST))
    for name, value in stream.given.items():
        tests.setdefault(name, []).append(_equal_to(value))
    for name, several in stream.among.items():
        tests.setdefault(name, []).append(_among(several))
    return {name: own[0] if len(own) == 1 else _all_of(own) for name, own in tests.items()}


def _equal_to(value: Value) -> Test:
    def test(values: Array) -> Flags:
        held = NO_INT if value is None and values.dtype == np.int64 else value
        found: Flags = values == held
        return found

    return test


def _among(several: Sequence[Value]) -> Test:
    texts = np.array(several, dtype=str)
    return lambda values: np.isin(values.astype(str), texts)


def _all_of(tests: Sequence[Test]) -> Test:
    return lambda values: np.logical_and.reduce([test(values) for test in tests])


def _is_inside(stands: tuple[int, int] | None, span: Span) -> bool:
    if span.start_ns is None and span.end_ns is None:
        return True
    return stands is not None and bool(span.holds(np.array(stands, dtype=np.int64)).all())


def _as_slice(wanted: Flags) -> "Flags | slice | None":
    """Return where rows are wanted, as a slice if they are in a row; None if there is none."""
    if wanted.all():
        return slice(None) if len(wanted) else None
    count = int(np.count_nonzero(wanted))
    if not count:
        return None
    first = int(np.argmax(wanted))
    return slice(first, first + count) if wanted[first : first + count].all() else wanted
