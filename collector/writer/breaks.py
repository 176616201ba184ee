"""End segments where rows are given up and begin new ones after them: what is lost shows as a hole."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from collector.sinks import Rows, SegmentState, Value, ended_before


@dataclass(slots=True)
class _Piece:
    """Rows of one segment between two that were given up."""

    number: int
    first_ns: Value
    first_sequence: Value
    last_ns: Value
    last_sequence: Value
    rows: int = 0


@dataclass(slots=True)
class Break:
    """A segment some of whose rows in a batch are given up. It is shown the batch's rows in their order."""

    segment: SegmentState
    cause: str
    detail: str
    _pieces: list[_Piece] = field(default_factory=list)
    _is_broken: bool = False  # at the row that was shown last

    def lost(self) -> None:
        """Show it a row that is given up."""
        self._is_broken = True

    def kept(self, at_ns: Value, sequence: Value, new_segment_id: Callable[[], int]) -> int:
        """Show it a row that is stored; return the segment that it belongs to, a new one after a hole."""
        if self._is_broken or not self._pieces:
            number = new_segment_id() if self._is_broken else self.segment.segment_id
            self._pieces.append(_Piece(number, at_ns, sequence, at_ns, sequence))
            self._is_broken = False
        piece = self._pieces[-1]
        piece.last_ns, piece.last_sequence = at_ns, sequence
        piece.rows += 1
        return piece.number

    def states(self) -> list[SegmentState]:
        """Return the states of the segments that it became; the last is open if its last row is stored."""
        one, found = self.segment, list[SegmentState]()
        if not self._pieces or self._pieces[0].number != one.segment_id:
            found.append(ended_before(one, self.cause, self.detail))
        for piece in self._pieces:
            state = replace(one, segment_id=piece.number, rows=piece.rows)
            if piece.number != one.segment_id:
                start_ns, first = _integer(piece.first_ns), _integer(piece.first_sequence)
                state = replace(
                    state, start_ns=one.start_ns if start_ns is None else start_ns, first_sequence=first
                )
            if piece is not self._pieces[-1] or self._is_broken:
                end_ns, last = _integer(piece.last_ns), _integer(piece.last_sequence)
                end_ns = state.start_ns if end_ns is None else end_ns
                state = replace(state, end_ns=end_ns, alive_until_ns=end_ns, last_sequence=last)
                state = replace(state, end_cause=self.cause, detail=self.detail)
            found.append(state)
        return found


def column_of(rows: Rows, name: str) -> Sequence[Value]:
    """Return the values of a column; nothing known of each row if there is no such column."""
    return rows.columns[name] if name in rows.columns else [None] * len(rows)


def _integer(value: Value) -> int | None:
    return value if isinstance(value, int) else None
