"""Find the holes between the segments of one stream. Pure."""

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
