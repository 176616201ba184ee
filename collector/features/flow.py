"""Compute order-flow imbalance (Cont, Kukanov, Stoikov 2014) at the best level, row by row of a segment."""

import numpy as np

from collector.features.practical import Book, Floats, Integers

Top = tuple[float, float, float, float]  # bid price, bid size, ask price, ask size


class OrderFlow:
    """Remembers each open segment's last state, so that a batch goes on where the one before ended."""

    def __init__(self) -> None:
        self._last: dict[int, Top] = {}

    def compute(self, book: Book, segments: Integers) -> Floats:
        """Return each row's order flow against the row before in its segment; NaN for the first of one."""
        flow = np.full(len(segments), np.nan)
        if not len(segments):
            return flow
        order = np.argsort(segments, kind="stable")
        by_segment = segments[order]
        now = np.column_stack(
            (book.bid_prices[:, 0], book.bid_sizes[:, 0], book.ask_prices[:, 0], book.ask_sizes[:, 0])
        )[order]
        before = np.empty_like(now)
        before[1:] = now[:-1]
        starts = np.flatnonzero(np.r_[True, by_segment[1:] != by_segment[:-1]])
        ends = np.r_[starts[1:], len(by_segment)] - 1
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            segment = int(by_segment[start])
            before[start] = self._last.get(segment, (np.nan,) * 4)
            self._last[segment] = tuple(now[end].tolist())
        flow[order] = _flow(before, now)
        return flow

    def forget(self, segment: int) -> None:
        """Let go of a segment that has ended."""
        self._last.pop(segment, None)


def _flow(before: Floats, now: Floats) -> Floats:
    """Return what came to the bid less what came to the ask; NaN where a side was or is empty."""
    bid_before, bid_size_before, ask_before, ask_size_before = before.T
    bid, bid_size, ask, ask_size = now.T
    bid_came = np.where(bid >= bid_before, bid_size, 0.0)
    bid_went = np.where(bid <= bid_before, bid_size_before, 0.0)
    ask_came = np.where(ask <= ask_before, ask_size, 0.0)
    ask_went = np.where(ask >= ask_before, ask_size_before, 0.0)
    known = ~(np.isnan(before).any(axis=1) | np.isnan(now).any(axis=1))
    flow: Floats = np.where(known, bid_came - bid_went - ask_came + ask_went, np.nan)
    return flow
