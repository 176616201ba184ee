"""Choose which rows of a stream are stored: all, those with another best level, or the last of each window.

Rows that are not stored count for order flow: a stored row has the sum over all updates since the stored one
before it, added up one by one in the order of receipt.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from collector.events.batch import RECEIVED, SEGMENT, STREAM
from collector.events.settled import HELD, SAMPLED_OUT, STORED, Fates
from collector.features.practical import Flags, Floats, Integers
from collector.features.runs import Memory, Runs

Over = Callable[[int, int], bool]  # nothing more will come of this segment before this instant

EVERY, ON_TOP_CHANGE, INTERVAL = range(3)


@dataclass(frozen=True, slots=True)
class States:
    """Book states in the order of receipt, and what follows from the one before each."""

    levels: Floats  # rows x 4 x levels
    integers: Integers  # rows x INT_COLUMNS
    flow: Floats  # rows x levels of flow
    moved: Flags  # the best level is another than before

    def __getitem__(self, rows: Flags) -> "States":
        """Return some of the rows."""
        return States(self.levels[rows], self.integers[rows], self.flow[rows], self.moved[rows])

    def after(self, others: "States") -> "States":
        """Return the others' rows and then these."""
        return States(
            np.concatenate((others.levels, self.levels)),
            np.concatenate((others.integers, self.integers)),
            np.concatenate((others.flow, self.flow)),
            np.concatenate((others.moved, self.moved)),
        )


class Sampler:
    """Keeps each segment's flow since its last stored row, and the row whose window is not over."""

    def __init__(self, flow_levels: int) -> None:
        self._since_stored = Memory((flow_levels,), 0.0)
        self._held: States | None = None

    @property
    def holds(self) -> int:
        """Return the number of rows whose windows are not over."""
        return 0 if self._held is None else len(self._held.integers)

    def settle(
        self, new: States | None, modes: Integers, windows_ns: Integers, over: Over
    ) -> tuple[States, Fates]:
        """Return the rows held so far and the new ones, with the flow that a stored one has, and their fates.

        `modes` and `windows_ns` are by stream.
        """
        states = _together(self._held, new)
        runs = Runs.of(states.integers[:, SEGMENT])
        fates = _fates(states, runs, modes, windows_ns, over)
        flow = self._summed_flow(states.flow, fates, runs)
        held = fates == HELD
        # What a held row adds to the flow is remembered already.
        self._held = replace(some := states[held], flow=np.zeros_like(some.flow)) if held.any() else None
        return replace(states, flow=flow), fates

    def forget(self, segment: int) -> None:
        """Forget a segment that has ended."""
        self._since_stored.forget(segment)

    def _summed_flow(self, flow: Floats, fates: Fates, runs: Runs) -> Floats:
        """Sum flow from stored row to stored row; what comes after the last is kept for the next batch."""
        stored = fates[runs.order] == STORED
        begins = np.zeros(len(stored), dtype=np.bool_)
        begins[1:] = stored[:-1]
        begins[runs.starts] = True
        group = np.cumsum(begins) - 1
        kept = self._since_stored.recall(runs.segments)
        sums = _sums(np.concatenate((group[runs.starts], group)), np.concatenate((kept, flow[runs.order])))
        left = np.where(stored[runs.ends, None], 0.0, sums[group[runs.ends]])
        self._since_stored.remember(runs.segments, left)
        summed = np.empty_like(flow)
        summed[runs.order] = sums[group]
        return summed


def _together(held: States | None, new: States | None) -> States:
    if held is None or new is None:
        states = held or new
        assert states is not None  # noqa: S101  (there is a row)
        return states
    return new.after(held)


def _fates(states: States, runs: Runs, modes: Integers, windows_ns: Integers, over: Over) -> Fates:
    streams = states.integers[runs.order, STREAM]
    mode = modes[streams]
    window_ns = windows_ns[streams]
    window = states.integers[runs.order, RECEIVED] // window_ns
    is_last = np.empty(len(window), dtype=np.bool_)  # of its window
    is_last[:-1] = window[1:] != window[:-1]
    waits = np.zeros(len(window), dtype=np.bool_)
    for segment, end in zip(runs.segments, runs.ends.tolist(), strict=True):
        is_last[end] = mode[end] != INTERVAL or over(segment, int((window[end] + 1) * window_ns[end]))
        waits[end] = not is_last[end]
    stored = mode == EVERY
    stored |= (mode == ON_TOP_CHANGE) & states.moved[runs.order]
    stored |= (mode == INTERVAL) & is_last
    fates = np.empty(len(window), dtype=np.int8)
    fates[runs.order] = np.where(stored, STORED, np.where(waits, HELD, SAMPLED_OUT))
    return fates


def _sums(groups: npt.NDArray[np.intp], numbers: Floats) -> Floats:
    """Add up the rows of each group one after the other, whichever batch they came in: groups x columns."""
    width = numbers.shape[1]
    places = (groups[:, None] * width + np.arange(width)).ravel()
    sums = np.bincount(places, weights=numbers.ravel()).astype(np.float64, copy=False)
    return sums.reshape(-1, width)
