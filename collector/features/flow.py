"""Compute order-flow imbalance (Cont, Kukanov, Stoikov 2014) level by level, row by row of a segment."""

from dataclasses import dataclass

import numpy as np

from collector.features.practical import Flags, Floats
from collector.features.runs import Memory, Runs

BID_PRICE, BID_SIZE, ASK_PRICE, ASK_SIZE = range(4)


@dataclass(frozen=True, slots=True)
class Steps:
    """Each row's state and the one before it in its segment, segment by segment: rows x 4 x levels."""

    runs: Runs
    before: Floats
    now: Floats
    first: list[bool]  # for each segment of `runs`: its first row in this batch is its first of all

    def flow(self) -> Floats:
        """Return the order-flow imbalance, bid less ask: rows x levels, in the order of receipt.

        NaN for the first row of a segment, and where a side has no such level now or had none before.
        """
        before, now = self.before, self.now
        bid_before, ask_before = before[:, BID_PRICE], before[:, ASK_PRICE]
        bid, ask = now[:, BID_PRICE], now[:, ASK_PRICE]
        flow: Floats = np.where(bid >= bid_before, now[:, BID_SIZE], 0.0)
        flow -= np.where(bid <= bid_before, before[:, BID_SIZE], 0.0)
        flow -= np.where(ask <= ask_before, now[:, ASK_SIZE], 0.0)
        flow += np.where(ask >= ask_before, before[:, ASK_SIZE], 0.0)
        flow[np.isnan(bid + ask + bid_before + ask_before)] = np.nan
        received = np.empty_like(flow)
        received[self.runs.order] = flow
        return received

    def moved(self) -> Flags:
        """Return, in the order of receipt, which rows have another best level than the row before."""
        now, before = self.now[:, :, 0], self.before[:, :, 0]
        same = (now == before) | (np.isnan(now) & np.isnan(before))
        other: Flags = ~same.all(axis=1)
        other[self.runs.starts] |= self.first
        moved = np.empty_like(other)
        moved[self.runs.order] = other
        return moved


class LastStates:
    """Keeps the last state of each open segment, for the first row of the next batch."""

    def __init__(self, levels: int) -> None:
        self._levels = levels
        self._last = Memory((4, levels), np.nan)

    def steps(self, states: Floats, runs: Runs) -> Steps:
        """Put each state (rows x 4 x levels) beside the one before it in its segment."""
        now = states[runs.order, :, : self._levels]
        before = np.empty_like(now)
        before[1:] = now[:-1]
        first = [segment not in self._last for segment in runs.segments]
        before[runs.starts] = self._last.recall(runs.segments)
        self._last.remember(runs.segments, now[runs.ends])
        return Steps(runs, before, now, first)

    def forget(self, segment: int) -> None:
        """Forget a segment that has ended."""
        self._last.forget(segment)
