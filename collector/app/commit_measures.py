"""Measure what is committed, batch by batch: latencies, sizes, times. With numpy, never row by row."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from collector.clock import NS_A_SECOND
from collector.histogram import Histogram
from collector.sinks import Rows, SegmentState, WriteSet

MEASURED = ("book", "trades", "ohlcv")  # one row an event
TIMED = ("book", "trades")  # whose exchange time is that of the event; a bar's is that of its interval

LATENCY_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
LAG_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
COMMIT_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
BATCH_ROWS = (0.0, 1.0, 10.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0)


@dataclass(slots=True)
class CommitMeasures:
    """What the writer thread has committed. It alone adds; others read values that are only replaced."""

    batch_rows: Histogram = field(default_factory=lambda: Histogram.of(BATCH_ROWS))
    commit_s: Histogram = field(default_factory=lambda: Histogram.of(COMMIT_S))
    latency_s: Mapping[str, Histogram] = field(default_factory=dict)  # by exchange, receipt to commit
    lag_s: Mapping[str, Histogram] = field(default_factory=dict)  # by exchange, exchange to receipt
    least_lag_s: Mapping[str, float] = field(default_factory=dict)  # by exchange, of its last batch
    rows: Mapping[str, int] = field(default_factory=dict)  # by table
    compared: Mapping[str, tuple[int, int]] = field(
        default_factory=dict
    )  # by exchange: and how many differed
    _witnessed: dict[int, tuple[int, int]] = field(default_factory=dict)  # by open segment

    def committed(self, write_set: WriteSet, took_s: float, now_ns: int | None = None) -> None:
        """Add a write set that is committed now."""
        at_ns = time.time_ns() if now_ns is None else now_ns
        self.batch_rows = self.batch_rows.plus(write_set.row_count)
        self.commit_s = self.commit_s.plus(took_s)
        counted = dict(self.rows)
        for rows in write_set.rows:
            counted[rows.table] = counted.get(rows.table, 0) + len(rows)
            if rows.table in MEASURED:
                self._measure(rows, at_ns)
        self.rows = counted
        self._compare(write_set.segments)

    def _measure(self, rows: Rows, now_ns: int) -> None:
        received_ns: npt.NDArray[np.int64] = np.asarray(rows.columns["received_at_ns"], dtype=np.int64)
        latency_s = np.maximum(now_ns - received_ns, 0) / NS_A_SECOND
        sent_ms = rows.columns.get("exchange_timestamp") if rows.table in TIMED else None
        lag_s = None if sent_ms is None else received_ns / NS_A_SECOND - _numbers(sent_ms) / 1000.0
        for exchange, here in _by_exchange(rows):
            self.latency_s = _added(self.latency_s, exchange, LATENCY_S, latency_s[here])
            if lag_s is not None:
                known = lag_s[here][~np.isnan(lag_s[here])]
                if len(known):
                    self.lag_s = _added(self.lag_s, exchange, LAG_S, np.maximum(known, 0.0))
                    self.least_lag_s = {**self.least_lag_s, exchange: float(known.min())}

    def _compare(self, segments: Sequence[SegmentState]) -> None:
        """Count the comparisons with witnesses; a segment's state has the sum so far."""
        sums = dict(self.compared)
        for one in segments:
            before, now = self._witnessed.get(one.segment_id, (0, 0)), (one.witnessed, one.disagreed)
            if now != before:
                had = sums.get(one.exchange, (0, 0))
                sums[one.exchange] = (had[0] + now[0] - before[0], had[1] + now[1] - before[1])
                self._witnessed[one.segment_id] = now
            if one.end_cause is not None:
                self._witnessed.pop(one.segment_id, None)
        self.compared = sums


def _numbers(values: Sequence[Any]) -> npt.NDArray[np.float64]:
    """Return the numbers; None becomes NaN."""
    return np.asarray(values, dtype=np.float64)


def _by_exchange(rows: Rows) -> list[tuple[str, Any]]:
    """Return the exchanges of the rows, each with the index of its rows."""
    if rows.stream is not None:
        return [(rows.stream.exchange, slice(None))]
    names = rows.columns["exchange"]
    present = sorted(str(name) for name in set(names))
    if len(present) == 1:
        return [(present[0], slice(None))]
    array = np.asarray(names)
    return [(name, array == name) for name in present]


def _added(
    had: Mapping[str, Histogram], exchange: str, edges: tuple[float, ...], values: npt.NDArray[np.float64]
) -> Mapping[str, Histogram]:
    return {**had, exchange: had.get(exchange, Histogram.of(edges)).plus_all(values)}
