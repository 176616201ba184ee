"""Find the rows for which a write set is refused, and remove them from it."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from collector.events.batch import UNKNOWN, StreamKey
from collector.sinks.contract import AccountingState, Rows, SegmentState, Value, WriteSet
from collector.writer.parts import slice_of

POISON = "poison"
COUNTED = frozenset({"book", "trades", "ohlcv"})  # tables whose rows are events of the identity

_TOLD_BY = ("segment_id", "received_at_ns", "sequence")

Refuses = Callable[[Rows], str | None]  # why these rows cannot be stored; None: they can


@dataclass(frozen=True, slots=True)
class Sifted:
    """A write set without its bad rows, and how many of each stream those are."""

    write_set: WriteSet
    rejected: Mapping[StreamKey, int]
    found: int  # bad rows of all tables


def sift(write_set: WriteSet, refuses: Refuses, at_ns: int) -> Sifted:
    """Remove the rows that are refused: halve until the bad rows are alone."""
    kept: list[Rows] = []
    bad: list[_BadRow] = []
    books: tuple[int, set[int]] = (0, set())  # how many rows, and the places of the bad ones
    for rows in write_set.rows:
        found = [_BadRow(rows, place, why) for place, why in _bad_rows(rows, refuses)]
        bad += found
        places = {one.place for one in found}
        if rows.table == "levels" and len(rows) == books[0]:  # a row for each row of the books before
            places |= books[1]
        if rows.table == "book":
            books = len(rows), places
        kept.append(_without(rows, places) if places else rows)
    if not bad:
        return Sifted(write_set, {}, 0)
    streams = {one.segment_id: one.key for one in write_set.segments}
    known = {one.key: one for one in write_set.accounting if one.written}
    by_row = [_stream_of(one, streams, known) for one in bad]
    counted = [(key, one) for key, one in zip(by_row, bad, strict=True) if one.rows.table in COUNTED]
    rejected = Counter(key for key, _ in counted)
    lost_of = Counter(one.value("segment_id") for _, one in counted)
    originals = _originals(write_set, list(zip(by_row, bad, strict=True)), at_ns)
    return Sifted(
        replace(
            write_set,
            rows=(*kept, originals),
            segments=tuple(
                _left_of(one, lost_of[one.segment_id], kept) if lost_of[one.segment_id] else one
                for one in write_set.segments
            ),
            accounting=tuple(_moved(one, rejected) for one in write_set.accounting),
        ),
        rejected,
        len(bad),
    )


def without_rows(write_set: WriteSet, reason: str, detail: str) -> WriteSet:
    """Return the write set without its rows, counted as rejected, when none can be stored."""
    return replace(
        write_set,
        rows=(),
        segments=tuple(replace(one, rows=0, detail=detail) for one in write_set.segments),
        accounting=tuple(_moved(one, {one.key: one.written}, reason) for one in write_set.accounting),
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


def _without(rows: Rows, places: set[int]) -> Rows:
    keep = [place for place in range(len(rows)) if place not in places]
    return replace(
        rows, columns={name: [column[place] for place in keep] for name, column in rows.columns.items()}
    )


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


def _left_of(segment: SegmentState, lost: int, kept: list[Rows]) -> SegmentState:
    """Return the state of a segment for the rows that are left."""
    left = replace(segment, rows=segment.rows - lost)
    for rows in kept:
        if rows.table != "book":
            continue
        ids, at_ns, sequences = (cast("Sequence[int]", rows.columns.get(name, ())) for name in _TOLD_BY)
        places = [place for place, number in enumerate(ids) if number == segment.segment_id]
        if places and len(at_ns) and len(sequences):
            first, last = places[0], places[-1]
            left = replace(
                left,
                start_ns=at_ns[first],
                end_ns=at_ns[last],
                first_sequence=sequences[first],
                last_sequence=sequences[last],
            )
    return left


def _moved(one: AccountingState, rejected: Mapping[StreamKey, int], reason: str = POISON) -> AccountingState:
    count = rejected.get(one.key, 0)
    if not count or not one.written:
        return one
    reasons = {**one.rejected, reason: one.rejected.get(reason, 0) + count}
    return replace(one, written=one.written - count, rejected=reasons)


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
            "detail": [_clean(one.why) for _, one in bad],
            "original": [one.text() for _, one in bad],
            "at_ns": [at_ns] * len(bad),
        },
    )


def _clean(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
