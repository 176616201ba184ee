"""Keep what is known of each open segment, and say it in terms that a transaction can commit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from collector.events.batch import NO_INT, SegmentClosed, SegmentOpened, StreamKey, Witnessed
from collector.sinks.contract import SegmentState

Integers = npt.NDArray[np.int64]


@dataclass(slots=True)
class _Segment:
    opened: SegmentOpened
    first_ns: int  # of the rows to tell; of the first ones, the segment's own start
    end_ns: int
    alive_until_ns: int
    first_sequence: int | None = None  # of the rows to tell
    last_sequence: int | None = None
    rows: int = 0  # so far
    untold: int = 0  # of them, those since the last state was told
    witnessed: int = 0
    disagreed: int = 0
    end_cause: str | None = None
    detail: str | None = None

    @property
    def covers(self) -> bool:
        """Say whether there is anything to cover: a row, or a silence that means that nothing happened."""
        return self.rows > 0 or self.opened.covers_silence


class Coverage:
    """The segments of one session. Used by the writer thread alone."""

    def __init__(self, session_id: str, key_of: Callable[[int], StreamKey]) -> None:
        self._session_id = session_id
        self._key_of = key_of
        self._segments: dict[int, _Segment] = {}
        self._changed: dict[int, _Segment] = {}

    def open(self, opened: SegmentOpened) -> None:
        """Note a segment's beginning."""
        self._segments[opened.segment_id] = _Segment(
            opened, opened.start_ns, opened.start_ns, opened.start_ns
        )
        if opened.covers_silence:
            self._changed[opened.segment_id] = self._segments[opened.segment_id]

    def extend(self, segments: Integers, received_at_ns: Integers, sequences: Integers) -> None:
        """Note rows, in the order of their receipt."""
        ids, firsts, counts = np.unique(segments, return_index=True, return_counts=True)
        _, lasts_from_the_end = np.unique(segments[::-1], return_index=True)
        lasts = len(segments) - 1 - lasts_from_the_end
        for number, first, last, count in zip(
            ids.tolist(), firsts.tolist(), lasts.tolist(), counts.tolist(), strict=True
        ):
            segment = self._segments[number]
            if not segment.untold:
                segment.first_sequence = _sequence(sequences, first)
                if segment.rows:
                    segment.first_ns = int(received_at_ns[first])
            segment.last_sequence = _sequence(sequences, last)
            segment.rows += count
            segment.untold += count
            segment.end_ns = int(received_at_ns[last])
            segment.alive_until_ns = max(segment.alive_until_ns, segment.end_ns)
            self._changed[number] = segment

    def alive(self, heard_ns: Mapping[int, int]) -> None:
        """Note until when the connections of open segments were alive."""
        for number, until_ns in heard_ns.items():
            segment = self._segments[number]
            if until_ns > segment.alive_until_ns and segment.covers:
                segment.alive_until_ns = until_ns
                self._changed[number] = segment

    def witnessed(self, comparisons: Mapping[int, Witnessed]) -> None:
        """Note how open segments compared with something independent."""
        for number, one in comparisons.items():
            segment = self._segments.get(number)
            if segment is not None:
                segment.witnessed += one.compared
                segment.disagreed += one.disagreed
                self._changed[number] = segment

    def close(self, closed: SegmentClosed) -> None:
        """Note a segment's end; doubt pulls it back to the last proven update."""
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
        opened = segment.opened
        rows, segment.untold = segment.untold, 0
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
            end_cause=segment.end_cause,
            detail=segment.detail,
            witnessed=segment.witnessed,
            disagreed=segment.disagreed,
        )


def _sequence(sequences: Integers, row: int) -> int | None:
    sequence = int(sequences[row])
    return None if sequence == NO_INT else sequence
