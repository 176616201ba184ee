"""Compute what each transaction adds to the counts of the identity."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from collector.events import HELD, SAMPLED_OUT, STORED, Counts, Integers, Settled, StreamKey
from collector.sinks import AccountingState

UNTOLD = Counts()
NOBODY: Integers = np.zeros(0, dtype=np.int64)


class Increments:
    """Makes increments from the buffer's counts; remembers which counts are committed already."""

    def __init__(self, session_id: str, key_of: Callable[[int], StreamKey]) -> None:
        self._session_id = session_id
        self._key_of = key_of
        self._told: dict[int, Counts] = {}

    def part(self, updates: Sequence[Settled]) -> tuple[AccountingState, ...]:
        """Return what some updates of a batch add; more of the batch follows."""
        return _one_a_key(
            (key := self._key_of(stream), self._increment(key, one.received, one, UNTOLD, UNTOLD))
            for stream, one in _moves(updates).items()
        )

    def settle(
        self, counts: Mapping[int, Counts], earlier: Sequence[Settled], last: Sequence[Settled]
    ) -> tuple[AccountingState, ...]:
        """Return what the last updates of a batch add, and all its events that gave none.

        `received` is as the buffer counted it, less what the `earlier` updates have added already.
        """
        before, moves = _moves(earlier), _moves(last)
        increments = []
        for stream in {**counts, **moves}:
            told = self._told.get(stream, UNTOLD)
            now = self._told[stream] = counts.get(stream, told)
            received = now.received - told.received - before.get(stream, UNMOVED).received
            key = self._key_of(stream)
            increments.append((key, self._increment(key, received, moves.get(stream, UNMOVED), now, told)))
        return _one_a_key(increments)

    def _increment(
        self, key: StreamKey, received: int, moves: "Moves", now: Counts, told: Counts
    ) -> AccountingState:
        return AccountingState(  # by place: a batch makes many
            self._session_id,
            *key,
            received,
            0,
            moves.written,
            now.merged - told.merged,
            moves.sampled_out,
            now.dropped - told.dropped,
            moves.pending,
            {} if now.rejected == told.rejected else _new_rejections(now, told),
        )


def _new_rejections(now: Counts, told: Counts) -> dict[str, int]:
    """Return by reason what was rejected since."""
    reasons = {reason: count - told.rejected.get(reason, 0) for reason, count in now.rejected.items()}
    return {reason: count for reason, count in reasons.items() if count}


def _one_a_key(increments: Iterable[tuple[StreamKey, AccountingState]]) -> tuple[AccountingState, ...]:
    """Add up the increments of one stream: of what came live, and of what REST brought."""
    found: dict[StreamKey, AccountingState] = {}
    for key, one in increments:
        known = found.get(key)
        found[key] = one if known is None else known + one
    return tuple(found.values())


class Moves(NamedTuple):
    """What updates add to the counts of one stream."""

    received: int = 0
    written: int = 0
    sampled_out: int = 0
    pending: int = 0


UNMOVED = Moves()


def _moves(updates: Sequence[Settled]) -> dict[int, Moves]:
    received = _tally(one.streams[one.held_before :] for one in updates)
    if all(one.fates is None for one in updates):
        return {stream: Moves(count, count) for stream, count in received.items()}
    before = _tally(one.streams[: one.held_before] for one in updates)
    written, sampled_out, held = (
        _tally(_with_fate(one, fate) for one in updates) for fate in (STORED, SAMPLED_OUT, HELD)
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


def _with_fate(one: Settled, fate: int) -> Integers:
    if one.fates is None:
        return one.streams if fate == STORED else NOBODY
    streams: Integers = one.streams[one.fates == fate]
    return streams


def _tally(streams: Iterable[Integers]) -> dict[int, int]:
    """Count how often each stream is named."""
    counts = np.bincount(np.concatenate((NOBODY, *streams)))
    named = np.flatnonzero(counts)
    return dict(zip(named.tolist(), counts[named].tolist(), strict=True))
