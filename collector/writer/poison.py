"""Find the rows for which a write set is refused, and remove them from it."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from collector.database import POISON
from collector.events import REST, UNKNOWN, StreamKey
from collector.ids import SegmentIds
from collector.sinks import AccountingState, Rows, Value, WriteSet, as_rejected, storable
from collector.writer.breaks import Break, column_of
from collector.writer.parts import slice_of

COUNTED = frozenset({"book", "trades", "ohlcv"})  # tables whose rows are events of the identity

_new_segment_id = SegmentIds().next

Refuses = Callable[[Rows], str | None]  # why these rows cannot be stored; None: they can


@dataclass(frozen=True, slots=True)
class Sifted:
    """A write set without its bad rows, and how many of each stream those are."""

    write_set: WriteSet
    rejected: Mapping[StreamKey, int]
    found: int  # bad rows of all tables


def sift(
    write_set: WriteSet, refuses: Refuses, at_ns: int, new_segment_id: Callable[[], int] = _new_segment_id
) -> Sifted:
    """Remove the rows that are refused: halve until they are alone. Their segments end before them."""
    why = _refused(write_set.rows, refuses)
    bad = [
        _BadRow(rows, place, found[place])
        for rows, found in zip(write_set.rows, why, strict=True)
        for place in sorted(found)
    ]
    if not bad:
        return Sifted(write_set, {}, 0)
    streams = {one.segment_id: one.key for one in write_set.segments}
    known = {one.key: one for one in write_set.accounting if one.written}
    by_row = [(_stream_of(one, streams, known), one) for one in bad]
    counted = [(key, one) for key, one in by_row if one.rows.table in COUNTED]
    rejected = Counter(key for key, _ in counted)
    breaks = _breaks(write_set, counted)
    kept = _kept(write_set.rows, why, breaks, new_segment_id)
    segments = (
        breaks[one.segment_id].states() if one.segment_id in breaks else [one] for one in write_set.segments
    )
    return Sifted(
        replace(
            write_set,
            rows=(*kept, _originals(write_set, by_row, at_ns)),
            segments=tuple(chain.from_iterable(segments)),
            accounting=tuple(as_rejected(one, rejected, POISON) for one in write_set.accounting),
        ),
        rejected,
        len(bad),
    )


@dataclass(frozen=True, slots=True)
class _BadRow:
    rows: Rows
    place: int
    why: str

    def value(self, column: str) -> Value:
        column_of = self.rows.columns.get(column)
        return None if column_of is None else column_of[self.place]

    def text(self) -> str:
        values = {name: column[self.place] for name, column in self.rows.columns.items()}
        return json.dumps({"table": self.rows.table, **values}, default=repr)  # ASCII: fit for any database


def _bad_rows(rows: Rows, refuses: Refuses) -> Iterator[tuple[int, str]]:
    waiting = [(0, len(rows))]
    while waiting:
        first, end = waiting.pop()
        why = refuses(slice_of(rows, first, end)) if end > first else None
        if why is None:
            continue
        if end - first == 1:
            yield first, why
        else:
            middle = (first + end) // 2
            waiting += [(middle, end), (first, middle)]


def _refused(all_rows: Sequence[Rows], refuses: Refuses) -> list[dict[int, str]]:
    """Return for each table why which of its rows are refused."""
    found: list[dict[int, str]] = []
    for rows, book in zip(all_rows, _books(all_rows), strict=True):
        found.append(dict(_bad_rows(rows, refuses)))
        if book is not None:  # of the two rows of a state neither stands without the other
            found[book] = {**found[-1], **found[book]}
    return found


def _books(all_rows: Sequence[Rows]) -> Iterator[int | None]:
    """Yield for each table of levels the place of the books that it has a row for each of, else None."""
    book: int | None = None
    for place, rows in enumerate(all_rows):
        is_beside = rows.table == "levels" and book is not None and len(rows) == len(all_rows[book])
        yield book if is_beside else None
        if rows.table == "book":
            book = place


def _breaks(write_set: WriteSet, bad: Iterable[tuple[StreamKey, "_BadRow"]]) -> dict[int, Break]:
    """Return the segments with bad rows by their ids: of a row without one, the newest of its stream."""
    by_id = {one.segment_id: one for one in write_set.segments}
    newest = {one.key: one for one in write_set.segments}
    breaks: dict[int, Break] = {}
    for key, one in bad:
        number = one.value("segment_id")
        segment = by_id.get(number) if isinstance(number, int) else None
        segment = segment or newest.get(key)
        if segment is not None:
            breaks.setdefault(segment.segment_id, Break(segment, POISON, storable(one.why)))
    return breaks


def _kept(
    all_rows: Sequence[Rows],
    why: Sequence[Mapping[int, str]],
    breaks: Mapping[int, Break],
    new_segment_id: Callable[[], int],
) -> list[Rows]:
    """Return the rows that are not refused, in the segments that they belong to now."""
    numbers: list[Sequence[Value]] = [column_of(rows, "segment_id") for rows in all_rows]
    kept: list[Rows] = []
    for rows, book in zip(all_rows, _books(all_rows), strict=True):
        place = len(kept)
        lost = why[place] if book is None else {**why[place], **why[book]}
        if book is not None:
            numbers[place] = numbers[book]
        elif rows.table in COUNTED and breaks:
            numbers[place] = _numbers(rows, lost, breaks, new_segment_id)
        columns = {**rows.columns}
        if "segment_id" in columns:
            columns["segment_id"] = numbers[place]
        keep = [one for one in range(len(rows)) if one not in lost]
        kept.append(
            replace(rows, columns={name: [column[one] for one in keep] for name, column in columns.items()})
        )
    return kept


def _numbers(
    rows: Rows, lost: Collection[int], breaks: Mapping[int, Break], new_segment_id: Callable[[], int]
) -> list[Value]:
    """Return the segment of each row: after a hole it is another one."""
    numbers = list(column_of(rows, "segment_id"))
    told = (column_of(rows, "segment_id"), _at_ns(rows), column_of(rows, "sequence"))
    for place, (number, at_ns, sequence) in enumerate(zip(*told, strict=True)):
        found = breaks.get(number) if isinstance(number, int) else None
        if place in lost:
            for one in [found] if found is not None else breaks.values():  # of which of them is not known
                one.lost()
        elif found is not None:
            numbers[place] = found.kept(at_ns, sequence, new_segment_id)
    return numbers


def _at_ns(rows: Rows) -> Sequence[Value]:
    """Return where rows stand in time: at their receipt, or at the exchange's time if REST brought them."""
    received, exchange, origins = (
        column_of(rows, name) for name in ("received_at_ns", "exchange_timestamp", "origin")
    )
    return [
        int(exchange_ms) * 1_000_000 if origin == REST and exchange_ms is not None else at_ns
        for at_ns, exchange_ms, origin in zip(received, exchange, origins, strict=True)
    ]


def _stream_of(
    bad: _BadRow, streams: Mapping[int, StreamKey], known: Mapping[StreamKey, AccountingState]
) -> StreamKey:
    """Return the stream that counted the row, by its segment or by its names."""
    if bad.rows.stream is not None:
        return bad.rows.stream
    segment = bad.value("segment_id")
    if isinstance(segment, int) and segment in streams:
        return streams[segment]
    names = bad.value("exchange"), bad.value("symbol")
    for key in known:
        if key[:2] == names:
            return key
    return next(iter(known), StreamKey(*[UNKNOWN] * 3))


def _originals(write_set: WriteSet, bad: list[tuple[StreamKey, _BadRow]], at_ns: int) -> Rows:
    keys = [key for key, _ in bad]
    return Rows(
        "rejected",
        {
            "session_id": [write_set.session.session_id] * len(bad),
            "batch_id": [write_set.batch_id] * len(bad),
            "exchange": [key.exchange for key in keys],
            "symbol": [key.symbol for key in keys],
            "channel": [key.channel for key in keys],
            "reason": [POISON] * len(bad),
            "detail": [storable(one.why) for _, one in bad],
            "original": [one.text() for _, one in bad],
            "at_ns": [at_ns] * len(bad),
        },
    )
