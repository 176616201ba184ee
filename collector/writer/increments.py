"""Say what each transaction adds to the identity's terms."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from collector.events.batch import Counts, StreamKey
from collector.events.settled import HELD, SAMPLED_OUT, STORED, Integers, Settled
from collector.sinks.contract import AccountingState

NOBODY: Integers = np.zeros(0, dtype=np.int64)


class Increments:
    """Makes increments of what the buffer counted; remembers which counts are told already."""

    def __init__(self, session_id: str, key_of: Callable[[int], StreamKey]) -> None:
        self._session_id = session_id
        self._key_of = key_of
        self._told: dict[int, Counts] = {}

    def part(self, portions: Sequence[Settled]) -> tuple[AccountingState, ...]:
        """Return what some of a batch's portions add, more of it being to come."""
        return tuple(
            AccountingState(
                self._session_id,
                *self._key_of(stream),
                received=moves.received,
                written=moves.written,
                sampled_out=moves.sampled_out,
                pending=moves.pending,
            )
            for stream, moves in _moves(portions).items()
        )

    def settle(
        self, counts: Mapping[int, Counts], earlier: Sequence[Settled], last: Sequence[Settled]
    ) -> tuple[AccountingState, ...]:
        """Return what a batch's last portions add, and all its events that gave none.

        What came in stands as it was counted where it came in, less what the `earlier` ones have told of it.
        """
        told, moves = _moves(earlier), _moves(last)
        return tuple(
            self._increment(stream, counts.get(stream), told.get(stream, UNMOVED), moves.get(stream, UNMOVED))
            for stream in {**counts, **moves}
        )

    def _increment(self, stream: int, now: Counts | None, earlier: "Moves", last: "Moves") -> AccountingState:
        told = self._told.get(stream) or Counts()
        now = now or told
        self._told[stream] = now
        reasons = {reason: count - told.rejected.get(reason, 0) for reason, count in now.rejected.items()}
        return AccountingState(
            self._session_id,
            *self._key_of(stream),
            received=now.received - told.received - earlier.received,
            written=last.written,
            merged=now.merged - told.merged,
            sampled_out=last.sampled_out,
            dropped=now.dropped - told.dropped,
            pending=last.pending,
            rejected={reason: count for reason, count in reasons.items() if count},
        )


class Moves(NamedTuple):
    """What portions add to the terms of one stream."""

    received: int = 0
    written: int = 0
    sampled_out: int = 0
    pending: int = 0


UNMOVED = Moves()


def _moves(portions: Sequence[Settled]) -> dict[int, Moves]:
    received = _tally(one.streams[one.held_before :] for one in portions)
    if all(one.fates is None for one in portions):
        return {stream: Moves(count, count) for stream, count in received.items()}
    before = _tally(one.streams[: one.held_before] for one in portions)
    written, sampled_out, held = (
        _tally(_with_fate(one, fate) for one in portions) for fate in (STORED, SAMPLED_OUT, HELD)
    )
    return {
        stream: Moves(
            received.get(stream, 0),
            written.get(stream, 0),
            sampled_out.get(stream, 0),
            held.get(stream, 0) - before.get(stream, 0),
        )
        for stream in {**before, **received}
    }


def _with_fate(portion: Settled, fate: int) -> Integers:
    if portion.fates is None:
        return portion.streams if fate == STORED else NOBODY
    streams: Integers = portion.streams[portion.fates == fate]
    return streams


def _tally(streams: Iterable[Integers]) -> dict[int, int]:
    """Count how often each stream is named."""
    numbers, counts = np.unique(np.concatenate((NOBODY, *streams)), return_counts=True)
    return dict(zip(numbers.tolist(), counts.tolist(), strict=True))
