"""Compare what coverage says of each segment with the rows found in it."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sqlalchemy as sa

from collector.database import Tables
from collector.events import TRADE, Channel
from collector.query.audit.finding import Finding
from collector.query.between import is_filled
from collector.query.clock_steps import ClockSteps
from collector.query.other_tables import segments_elsewhere
from collector.query.rows import archived

StreamName = tuple[str, str, str]
InFile = tuple[str, int, list[Any]]  # kind, segment, and the values of Held

_NO_ROW = ("merged", "rejected", "dropped")  # what becomes of events that are no rows


@dataclass(slots=True)
class Held:
    """Sums over the rows found in one segment."""

    rows: int = 0
    first_ns: int = 0
    last_ns: int = 0
    first_sequence: int | None = None
    last_sequence: int | None = None
    numbers: int = 0  # of rows with a sequence
    # How long after, and before, its time of the exchange a row came at most, of those since its beginning.
    late_ns: int = 0
    early_ns: int = 0


class Moved(NamedTuple):
    """What an archive file holds of a segment: from which row to which."""

    first_ns: int
    last_ns: int
    first_sequence: int | None
    last_sequence: int | None


@dataclass(slots=True)
class Segment:
    """A segment: its row of coverage, and what its session counted for its stream."""

    coverage: Mapping[str, Any]
    accounting: Mapping[str, Any]
    off_ns: int = 0  # its stamps and this are its time by the clock that its session ended with
    held: Held = field(default_factory=Held)
    moved: list[Moved] = field(default_factory=list)
    has_others: bool = False  # rows in another table of books
    carried: Mapping[str, int] = field(default_factory=dict)  # counted by sessions that brought in a spool

    @property
    def is_filled(self) -> bool:
        """Return whether REST brought it afterwards, so that it lies in exchange time."""
        return is_filled(self.coverage)

    @property
    def is_elsewhere(self) -> bool:
        """Return whether its rows are in another table of books."""
        return self.has_others and not self.held.rows

    @property
    def channel(self) -> Channel:
        """Return its channel."""
        return Channel.of(str(self.coverage["channel"]))

    @property
    def is_book(self) -> bool:
        """Return whether its rows are book states."""
        return self.channel.is_book

    @property
    def every_row_is_here(self) -> bool:
        """Return whether each event of its stream, repeats aside, became a row."""
        return not self.accounting.get("sampled_out", 0)

    def counted(self, term: str) -> int:
        """Return how many events of its stream are that, for its session or one that brought rows in."""
        return int(self.accounting.get(term, 0)) + self.carried.get(term, 0)

    @property
    def name(self) -> str:
        """Return its name for a person."""
        stream = " ".join(str(self.coverage[name]) for name in ("exchange", "symbol", "channel"))
        return f"segment {self.coverage['segment_id']} of {stream}"


@dataclass(frozen=True, slots=True)
class Segments:
    """Every segment of the database, by its id."""

    by_id: Mapping[int, Segment]
    streams: frozenset[StreamName]

    @classmethod
    def read(cls, connection: sa.Connection, tables: Tables) -> "Segments":
        """Read coverage and accounting."""
        stream = ("session_id", "exchange", "symbol", "channel")
        accounting = {
            tuple(row[name] for name in stream): dict(row)
            for row in connection.execute(sa.select(tables.accounting)).mappings()
        }
        elsewhere = segments_elsewhere(connection, tables)
        carried: dict[tuple[Any, ...], Counter[str]] = {}
        for (_, *of_stream), counted in accounting.items():
            if counted["carried_in"]:
                sums = carried.setdefault(tuple(of_stream), Counter())
                sums.update({term: counted[term] for term in _NO_ROW})
        found = {}
        steps = ClockSteps.read(connection, tables)
        for row in connection.execute(sa.select(tables.coverage)).mappings():
            coverage = dict(row)
            segment = Segment(
                coverage,
                accounting.get(tuple(row[name] for name in stream), {}),
                0 if is_filled(coverage) else steps.after_ns(row["session_id"], row["segment_id"]),
                has_others=coverage["segment_id"] in elsewhere,
                carried=carried.get(tuple(row[name] for name in stream[1:]), {}),
            )
            found[coverage["segment_id"]] = segment
        by_file = list(moved_by_file(connection, tables))
        for kind, segment_id, values in summed(by_file):
            if kind != "levels" and segment_id in found:
                found[segment_id].held = Held(*values)
        for kind, segment_id, (_, *ends, _) in by_file:
            if kind == "features" and segment_id in found:
                found[segment_id].moved.append(Moved(*ends))
        names = frozenset(
            (row["exchange"], row["symbol"], row["channel"])
            for row in (segment.coverage for segment in found.values())
        )
        return cls(found, names)

    def findings(self) -> Iterator[Finding]:
        """Yield the segments whose coverage and rows differ."""
        for segment in self.by_id.values():
            if segment.is_elsewhere:
                continue
            if segment.is_book:
                yield from _of_book(segment)
            elif segment.channel.family == TRADE:
                yield from _of_trades(segment)
        yield from self._rows_by_stream()

    def _rows_by_stream(self) -> Iterator[Finding]:
        """Compare the trades in all segments of a stream with what these say.

        A trade that was stored already is subtracted from the newest segment of its batch, which need not
        be its own: only the sum over a stream is exact.
        """
        sums: dict[StreamName, list[int]] = {}
        for segment in self.by_id.values():
            if segment.channel.family == TRADE:
                coverage = segment.coverage
                both = sums.setdefault(
                    (coverage["exchange"], coverage["symbol"], coverage["channel"]), [0, 0]
                )
                both[0] += coverage["rows"]
                both[1] += segment.held.rows
        for stream, (says, has) in sums.items():
            if says != has:
                text = f"{' '.join(stream)}: its segments say {says} rows, there are {has}"
                yield Finding("segment rows", text)


def summed(by_file: Iterable[InFile]) -> Iterator[InFile]:
    """Yield what all files together hold of each segment."""
    sums: dict[tuple[str, int], list[Any]] = {}
    for kind, segment_id, values in by_file:
        before = sums.setdefault((kind, segment_id), values)
        if before is not values:
            sums[kind, segment_id] = [
                before[0] + values[0],
                min(before[1], values[1]),
                max(before[2], values[2]),
                min((one for one in (before[3], values[3]) if one is not None), default=None),
                max((one for one in (before[4], values[4]) if one is not None), default=None),
                before[5] + values[5],
            ]
    for (kind, segment_id), values in sums.items():
        yield kind, segment_id, values


def moved_by_file(connection: sa.Connection, tables: Tables) -> Iterator[InFile]:
    """Yield what each archive file holds of each segment."""
    for file in _files(connection, tables):
        if file["deleted_ns"] is not None:
            for name, values in json.loads(file["segments"]).items():
                yield file["kind"], int(name), values


def unfinished(connection: sa.Connection, tables: Tables) -> Iterator[Finding]:
    """Yield the days that are being moved to files: their rows cannot be counted until that is done."""
    for file in _files(connection, tables):
        if file["deleted_ns"] is None:
            text = f"{file['path']}: its rows are still being deleted; audit again when that is done"
            yield Finding("archive", text)


def _files(connection: sa.Connection, tables: Tables) -> Iterator[sa.RowMapping]:
    for table in (tables.hot, tables.levels, tables.trades):
        yield from archived(connection, tables, table)


def _of_book(segment: Segment) -> Iterator[Finding]:
    coverage, held = segment.coverage, segment.held
    if held.rows != coverage["rows"]:
        yield Finding("segment rows", f"{segment.name}: says {coverage['rows']} rows, has {held.rows}")
        return
    if not held.rows:
        return
    span, found = (coverage["start_ns"], coverage["end_ns"]), (held.first_ns, held.last_ns)
    sequences = (coverage["first_sequence"], coverage["last_sequence"])
    found_sequences = (held.first_sequence, held.last_sequence)
    if not segment.every_row_is_here:  # its ends may be rows that are not stored
        if not span[0] <= found[0] <= found[1] <= span[1]:
            yield Finding("segment span", f"{segment.name}: {_against(span, found)}")
    elif span != found:
        yield Finding("segment span", f"{segment.name}: {_against(span, found)}")
    elif sequences != found_sequences:
        text = f"{segment.name}: says sequences {_range(sequences)}, its rows have {_range(found_sequences)}"
        yield Finding("segment sequence", text)


def _of_trades(segment: Segment) -> Iterator[Finding]:
    """Check a segment of trades: it begins with the subscription and covers silence; its rows lie within."""
    coverage, held = segment.coverage, segment.held
    if not held.rows:
        return
    span, found = (coverage["start_ns"], coverage["end_ns"]), (held.first_ns, held.last_ns)
    nothing_merged = not segment.counted("merged")
    if not span[0] <= found[0] <= found[1] <= span[1] or (nothing_merged and found[1] != span[1]):
        yield Finding("segment span", f"{segment.name}: {_against(span, found)}")
    if coverage["verification"] == "sequence" and held.numbers == held.rows:
        assert held.first_sequence is not None  # noqa: S101  (every row has a number)
        assert held.last_sequence is not None  # noqa: S101
        missing = held.last_sequence - held.first_sequence + 1 - held.rows
        elsewhere = sum(map(segment.counted, _NO_ROW))
        if missing > elsewhere:
            text = f"{segment.name}: trades {held.first_sequence} to {held.last_sequence}, {missing} missing"
            yield Finding("trade ids", text)


def _against(stated: tuple[int, int], found: tuple[int, int]) -> str:
    return f"says {stated[0]} to {stated[1]}, its rows go from {found[0]} to {found[1]}"


def _range(ends: tuple[int | None, int | None]) -> str:
    return f"{ends[0]} to {ends[1]}"
