"""Find what the segments of one stream cover, and the holes between them. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Segment = Mapping[str, Any]
Hole = tuple[int, int, Any, Any]  # from, until, why coverage ended, detail


def holes_between(segments: Iterable[Segment]) -> Iterator[Hole]:
    """Yield where none of the segments covers, in order of time; they come in the order of their beginning.

    A segment that is open ends in no hole before one of its own session: that one was dated by a clock
    which was set back since.
    """
    last: Segment | None = None  # the segment that reaches furthest
    for one in segments:
        if last is not None and one["start_ns"] > last["alive_until_ns"]:
            is_ended = last["end_cause"] is not None and last["end_cause"] == last["end_cause"]
            if is_ended or one["session_id"] != last["session_id"]:
                yield last["alive_until_ns"], one["start_ns"], last["end_cause"], last["detail"]
        if last is None or one["alive_until_ns"] >= last["alive_until_ns"]:
            last = one


def covered_ns(segments: Iterable[Segment], start_ns: int, end_ns: int) -> int:
    """Return how much of a span is covered; segments that overlap, on a clock set back, count once."""
    total_ns, reached_ns = 0, start_ns
    for one in segments:
        until_ns = min(one["alive_until_ns"], end_ns)
        total_ns += max(0, until_ns - max(one["start_ns"], reached_ns))
        reached_ns = max(reached_ns, until_ns)
    return total_ns
