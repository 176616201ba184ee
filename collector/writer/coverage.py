"""Track each open segment, and return its state in the form that a transaction commits."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from collector.events import (
    FILLED,
    HELD,
    NO_INT,
    REST,
    STORED,
    Integers,
    SegmentClosed,
    SegmentOpened,
    Settled,
    StreamKey,
    Witnessed,
)
from collector.sinks import SegmentState


@dataclass(slots=True)
class _Segment:
    opened: SegmentOpened
    first_ns: int  # of the updates to tell; of the first ones, the segment's own start
    end_ns: int
    alive_until_ns: int
    first_sequence: int | None = None  # of the updates to tell
    last_sequence: int | None = None
    rows: int = 0  # so far
    untold_rows: int = 0  # of them, those since the last state was told
    untold: int = 0  # updates since then, with a row or without
    told: bool = False
    witnessed: int = 0
    disagreed: int = 0
    end_cause: str | None = None
    detail: str | None = None

    @property
    def covers(self) -> bool:
        """Return whether there is anything to cover: a row, or a silence that means that nothing came."""
        return self.rows > 0 or self.opened.covers_silence


class Coverage:
    """The segments of one session. Used by the writer thread alone."""

    def __init__(self, session_id: str, key_of: Callable[[int], StreamKey]) -> None:
        self._session_id = session_id
        self._key_of = key_of
        self._segments: dict[int, _Segment] = {}
        self._changed: dict[int, _Segment] = {}

    def open(self, opened: SegmentOpened) -> None:
        """Begin a segment."""
        self._segments[opened.segment_id] = _Segment(
            opened, opened.start_ns, opened.start_ns, opened.start_ns
        )
        if opened.covers_silence:
            self._changed[opened.segment_id] = self._segments[opened.segment_id]

    def extend(self, updates: Settled) -> None:
        """Extend segments by updates in their order in time: those with a row, and those sampled away."""
        segments, at_ns, sequences = updates.segments, updates.at_ns, updates.sequences
        rows = np.ones(len(segments), dtype=np.bool_)
        if updates.fates is not None:
            settled = updates.fates != HELD
            segments, at_ns, sequences = (
                segments[settled],
                at_ns[settled],
                sequences[settled],
            )
            rows = updates.fates[settled] == STORED
        for place in _places(segments, rows, at_ns, sequences):
            segment = self._segments[place.segment]
            if not segment.untold:
                segment.first_sequence = _known(place.first_sequence)
                if segment.told:
                    segment.first_ns = place.first_ns
            segment.last_sequence = _known(place.last_sequence)
            segment.rows += place.rows
            segment.untold_rows += place.rows
            segment.untold += place.updates
            segment.end_ns = place.last_ns
            segment.alive_until_ns = max(segment.alive_until_ns, place.last_ns)
            if segment.covers:
                self._changed[place.segment] = segment

    def alive(self, heard_ns: Mapping[int, int], held: Collection[int]) -> None:
        """Extend open segments to when their connection was last alive, except those with an update held."""
        for number, until_ns in heard_ns.items():
            if number in held:
                continue
            segment = self._segments[number]
            if until_ns > segment.alive_until_ns and segment.covers:
                segment.alive_until_ns = until_ns
                self._changed[number] = segment

    def witnessed(self, comparisons: Mapping[int, Witnessed]) -> None:
        """Add the results of comparing open segments with an independent source."""
        for number, one in comparisons.items():
            segment = self._segments.get(number)
            if segment is not None:
                segment.witnessed += one.compared
                segment.disagreed += one.disagreed
                self._changed[number] = segment

    def close(self, closed: SegmentClosed) -> None:
        """End a segment; if it is in doubt, at its last proven update."""
        segment = self._segments.pop(closed.segment_id)
        segment.end_cause = closed.cause
        segment.detail = closed.detail or None
        until_ns = closed.alive_until_ns
        segment.alive_until_ns = segment.end_ns if until_ns is None else max(segment.end_ns, until_ns)
        if segment.covers:
            self._changed[closed.segment_id] = segment

    def take_changed(self) -> tuple[SegmentState, ...]:
        """Return the segments that changed since the last call, as they stand."""
        changed, self._changed = self._changed, {}
        return tuple(self._state(segment) for segment in changed.values())

    def _state(self, segment: _Segment) -> SegmentState:
        """Return the state; what REST fills is whole as far as it goes, whatever becomes of its session."""
        opened = segment.opened
        rows, segment.untold_rows, segment.untold, segment.told = segment.untold_rows, 0, 0, True
        key = self._key_of(opened.stream)
        return SegmentState(
            segment_id=opened.segment_id,
            session_id=self._session_id,
            exchange=key.exchange,
            symbol=key.symbol,
            channel=key.channel,
            start_ns=segment.first_ns,
            end_ns=segment.end_ns,
            alive_until_ns=segment.alive_until_ns,
            first_sequence=segment.first_sequence,
            last_sequence=segment.last_sequence,
            rows=rows,
            verification=opened.verification,
            end_cause=segment.end_cause or (FILLED if opened.origin == REST else None),
            detail=segment.detail,
            witnessed=segment.witnessed,
            disagreed=segment.disagreed,
        )


class _Place(NamedTuple):
    """The updates of one segment among all."""

    segment: int
    updates: int
    rows: int
    first_ns: int
    last_ns: int
    first_sequence: int
    last_sequence: int


def _places(
    segments: Integers, rows: npt.NDArray[np.bool_], at_ns: Integers, sequences: Integers
) -> Iterator[_Place]:
    ids, firsts, numbers, updates = np.unique(
        segments, return_index=True, return_inverse=True, return_counts=True
    )
    lasts = np.zeros(len(ids), dtype=np.int64)
    lasts[numbers] = np.arange(len(segments))  # of several the last stays
    with_row = np.bincount(numbers[rows], minlength=len(ids))
    ends = (at_ns[firsts], at_ns[lasts], sequences[firsts], sequences[lasts])
    found = (ids, updates, with_row, *ends)
    return map(_Place._make, zip(*(column.tolist() for column in found), strict=True))


def _known(sequence: int) -> int | None:
    return None if sequence == NO_INT else sequence
