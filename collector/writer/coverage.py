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
from collector.features import Runs
from collector.sinks import SegmentState


@dataclass(slots=True)
class _Segment:
    opened: SegmentOpened
    key: StreamKey
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
        key, start_ns = self._key_of(opened.stream), opened.start_ns
        self._segments[opened.segment_id] = _Segment(opened, key, start_ns, start_ns, start_ns)
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
        if not len(segments):
            return
        for one in _by_segment(segments, at_ns, sequences, rows):
            segment = self._segments[one.segment]
            if not segment.untold:
                segment.first_sequence = None if one.first_sequence == NO_INT else one.first_sequence
                if segment.told:
                    segment.first_ns = one.first_ns
            segment.last_sequence = None if one.last_sequence == NO_INT else one.last_sequence
            segment.rows += one.rows
            segment.untold_rows += one.rows
            segment.untold += one.updates
            segment.end_ns = one.last_ns
            segment.alive_until_ns = max(segment.alive_until_ns, one.last_ns)
            if segment.covers:
                self._changed[one.segment] = segment

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
        return SegmentState(  # by place: a batch makes many
            opened.segment_id,
            self._session_id,
            *segment.key,
            segment.first_ns,
            segment.end_ns,
            segment.alive_until_ns,
            segment.first_sequence,
            segment.last_sequence,
            rows,
            opened.verification,
            segment.end_cause or (FILLED if opened.origin == REST else None),
            segment.detail,
            segment.witnessed,
            segment.disagreed,
        )


class _Updates(NamedTuple):
    """What the updates of one segment add to it."""

    segment: int
    first_ns: int
    last_ns: int
    first_sequence: int  # or NO_INT
    last_sequence: int
    updates: int
    rows: int


def _by_segment(
    segments: Integers, at_ns: Integers, sequences: Integers, rows: npt.NDArray[np.bool_]
) -> Iterator[_Updates]:
    runs = Runs.of(segments)
    firsts, lasts = runs.order[runs.starts], runs.order[runs.ends]
    return map(
        _Updates,
        runs.segments,
        at_ns[firsts].tolist(),
        at_ns[lasts].tolist(),
        sequences[firsts].tolist(),
        sequences[lasts].tolist(),
        (runs.ends - runs.starts + 1).tolist(),
        np.add.reduceat(rows[runs.order], runs.starts, dtype=np.int64).tolist(),
    )
