"""Return the last verified state at evenly spaced instants, from rows in chunks.

An instant sees what was received at or before it, and only while the segment of the last row was alive
until that instant: nothing comes from the future, nothing is carried across a hole.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from collector.query.instants import Integers, Span
from collector.query.rows import NO_INT, Array, Chunk, joined, picked

Flags = npt.NDArray[np.bool_]
Fetch = Callable[[Integers], Chunk]
Until = Callable[[Integers], Integers]

_NEVER = -(2**62)
_MAX_EDGES = 200_000


@dataclass(frozen=True, slots=True)
class States:
    """The states at some instants; where `seen` is false there was no row before the instant at all."""

    at_ns: Integers
    columns: Mapping[str, Array]
    seen: Flags
    covered: Flags


@dataclass(frozen=True, slots=True)
class Alive:
    """The instant until which each segment was known to be alive."""

    segments: Integers  # sorted
    until_ns: Integers

    @classmethod
    def of(cls, until_ns: Mapping[int, int]) -> "Alive":
        """Return the table of some segments."""
        segments = np.array(sorted(until_ns), dtype=np.int64)
        return cls(segments, np.array([until_ns[one] for one in segments.tolist()], dtype=np.int64))

    @property
    def last_ns(self) -> int:
        """Return the last instant of all."""
        return int(self.until_ns.max(initial=_NEVER))

    def until(self, segment_ids: Integers) -> Integers:
        """Return the last instant at which each row's segment was alive; of an unknown one, none."""
        if not len(self.segments):
            return np.full(len(segment_ids), _NEVER, dtype=np.int64)
        place = np.minimum(np.searchsorted(self.segments, segment_ids), len(self.segments) - 1)
        return np.where(self.segments[place] == segment_ids, self.until_ns[place], _NEVER)


def is_flow(name: str) -> bool:
    """Return whether a column is a flow, which is summed, and not a state."""
    return name == "ofi" or name.startswith("ofi_")


def resampled(
    chunks: Iterator[Chunk],
    span: Span,
    step_ns: int,
    until: Until,
    fetch: Fetch | None = None,
    *,
    goes_on: bool = True,
) -> Iterator[States]:
    """Yield the states at the multiples of the step in the span; flows summed over the step before each.

    The instants begin where rows do, and end with the last state unless more rows stand behind the span
    (`goes_on`). The chunks have rows from a step before the span, in order, and the last row before those.
    Where columns are fetched by `id` afterwards, the chunks need none but receipt, segment, id and flows.
    """
    carried: Chunk | None = None
    next_ns = 0 if span.start_ns is None else at_or_after(span.start_ns, step_ns)
    for chunk in chunks:
        rows = chunk if carried is None else joined([carried, chunk])
        received = rows["received_at_ns"]
        if carried is None:  # nothing is stored before
            next_ns = max(next_ns, at_or_after(int(received[0]), step_ns))
        end_ns = int(received[-1])  # rows of this very instant may still come
        if span.end_ns is not None:
            end_ns = min(end_ns, span.end_ns)
        for edges in _edges(next_ns, end_ns, step_ns):
            yield _states(rows, edges, step_ns, until, fetch)
            next_ns = int(edges[-1]) + step_ns
        carried = _carried(rows, next_ns - step_ns)
    if carried is None:
        return
    last_ns = int(carried["received_at_ns"][-1])
    end_ns = last_ns + step_ns
    if span.end_ns is not None and not goes_on:
        end_ns = min(span.end_ns, max(last_ns, int(until(carried["segment_id"])[0])) + step_ns)
    elif span.end_ns is not None:
        end_ns = span.end_ns
    for edges in _edges(next_ns, end_ns, step_ns):
        yield _states(carried, edges, step_ns, until, fetch)


def _edges(from_ns: int, end_ns: int, step_ns: int) -> Iterator[Integers]:
    """Yield the instants, not too many at once: a hole may be long and the step short."""
    block_ns = _MAX_EDGES * step_ns
    for begin_ns in range(from_ns, end_ns, block_ns):
        yield np.arange(begin_ns, min(end_ns, begin_ns + block_ns), step_ns, dtype=np.int64)


def _carried(rows: Chunk, after_ns: int) -> Chunk:
    """Return the last row, its flows being the sums since an instant over the rows of its segment."""
    last = picked(rows, slice(-1, None))
    segment = rows["segment_id"]
    since = int(np.searchsorted(rows["received_at_ns"], after_ns, side="right"))
    own = np.flatnonzero(segment[since:] == segment[-1]) + since
    flows = {name: np.array([_sum(rows[name][own])]) for name in rows if is_flow(name)}
    return {**last, **flows}


def _sum(flow: Array) -> float:
    # One after the other, as bincount adds: the size of a chunk must change no bit.
    known = flow[~np.isnan(flow)]
    return float(_added(np.zeros(len(known), dtype=np.int64), known, 1)[0])


def _added(places: Integers, values: Array, count: int) -> Array:
    return np.bincount(places, weights=values, minlength=count).astype(np.float64)  # of nothing it makes ints


def _states(rows: Chunk, edges: Integers, step_ns: int, until: Until, fetch: Fetch | None) -> States:
    received, segment = rows["received_at_ns"], rows["segment_id"]
    last = np.searchsorted(received, edges, side="right") - 1
    seen = last >= 0
    here = np.maximum(last, 0)
    covered = seen & (edges <= until(segment[here]))
    columns = picked(rows, here)
    if fetch is not None:
        found = fetch(columns["id"])
        columns = {**found, **columns}
    interval = np.searchsorted(edges, received, side="left")  # a row belongs to the first edge at or after it
    inside = (interval < len(edges)) & (received > edges[0] - step_ns)
    inside[inside] &= segment[inside] == segment[here][interval[inside]]
    for name in [name for name in rows if is_flow(name)]:
        flow = rows[name]
        known = inside & ~np.isnan(flow)
        columns[name] = _added(interval[known], flow[known], len(edges))
    columns["segment_id"] = np.where(seen, columns["segment_id"], NO_INT)
    return States(edges, columns, seen, covered)


def at_or_after(at_ns: int, step_ns: int) -> int:
    """Return the first multiple of the step that is not before an instant."""
    return -(-at_ns // step_ns) * step_ns
