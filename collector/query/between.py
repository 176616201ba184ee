"""Find what the segments of one stream cover, and the holes between them. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from collector.events import FILLED, REST

Segment = Mapping[str, Any]
Hole = tuple[int, int, Any, Any]  # from, until, why coverage ended, detail


def holes_between(segments: Iterable[Segment]) -> Iterator[Hole]:
    """Yield where none of the segments covers, in order of time; they come in the order of their beginning.

    A segment that is open ends in no hole before one of its own session: that one was dated by a clock
    which was set back since. Where only part of a hole was filled, the cause of the rest is still why the
    last live segment ended.
    """
    last: Segment | None = None  # the segment that reaches furthest
    live: Segment | None = None  # and of those that came live
    for one in segments:
        if last is not None and one["start_ns"] > last["alive_until_ns"]:
            is_ended = last["end_cause"] is not None and last["end_cause"] == last["end_cause"]
            if is_ended or one["session_id"] != last["session_id"]:
                told = last if live is None else live
                yield last["alive_until_ns"], one["start_ns"], told["end_cause"], told["detail"]
        if last is None or one["alive_until_ns"] >= last["alive_until_ns"]:
            last = one
        if not is_filled(one) and (live is None or one["alive_until_ns"] >= live["alive_until_ns"]):
            live = one


def is_filled(segment: Segment) -> bool:
    """Return whether REST brought a segment afterwards: it lies in exchange time, and none was alive then."""
    return bool(segment["verification"] == REST or segment["end_cause"] == FILLED)


def chains(segments: Iterable[Segment]) -> dict[int, int]:
    """Return for each segment of a stream the first one that it goes on from without a hole, or itself.

    Where two live segments meet, something ended; but what REST filled goes on from what it meets, and what
    it meets goes on from it. The segments come in the order of their beginning.
    """
    found: dict[int, int] = {}
    first = 0
    reached: dict[bool, int] = {}  # how far the chain goes, by whether that was filled
    for one in segments:
        filled = is_filled(one)
        meets = [until for kind, until in reached.items() if filled or kind]
        if one["start_ns"] > max(meets, default=one["start_ns"] - 1):
            first, reached = one["segment_id"], {}
        found[one["segment_id"]] = first
        reached[filled] = max(reached.get(filled, 0), one["alive_until_ns"])
    return found


def covered_ns(segments: Iterable[Segment], start_ns: int, end_ns: int) -> int:
    """Return how much of a span is covered; segments that overlap, on a clock set back, count once."""
    total_ns, reached_ns = 0, start_ns
    for one in segments:
        until_ns = min(one["alive_until_ns"], end_ns)
        total_ns += max(0, until_ns - max(one["start_ns"], reached_ns))
        reached_ns = max(reached_ns, until_ns)
    return total_ns


def union(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join spans that overlap or touch: what two segments cover is covered once."""
    joined: list[tuple[int, int]] = []
    for start, until in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(until, joined[-1][1])
        else:
            joined.append((start, until))
    return joined
