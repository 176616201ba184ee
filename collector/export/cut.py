"""Choose what of the stored rows an export holds: a span, books of one depth, states in place of rows."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from collector.errors import QueryError
from collector.export.utc_days import BARS, DAY_MS, Day, midnight_ms
from collector.query import Chunk, Instant, Span, Value, duration_ns, picked

BOOKS = ("features", "levels")  # kinds whose rows have a depth
STATES = "states"  # the kind of file in which states at even instants stand, in place of features
NS_A_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Cut:
    """What an export holds; by default all that is stored, as it is stored."""

    span: Span = field(default_factory=Span)
    depth: int | None = None
    every_ns: int | None = None

    @classmethod
    def of(cls, start: Instant, end: Instant, depth: int | None, every: str | None) -> "Cut":
        """Return the cut from what a caller gave."""
        return cls(Span.of(start, end), depth, None if every is None else duration_ns("every", every))

    @property
    def mark(self) -> dict[str, Any]:
        """Return what stands in the manifest beside each file; nothing for all that is stored."""
        told = {
            "start_ns": self.span.start_ns,
            "end_ns": self.span.end_ns,
            "depth": self.depth,
            "every_ns": self.every_ns,
        }
        return {name: value for name, value in told.items() if value is not None}

    def of_day(self, day: Day) -> Span | None:
        """Return what of a day is wanted; None where nothing is."""
        begin_ns = midnight_ms(day.date) * NS_A_MS
        until_ns = begin_ns + DAY_MS * NS_A_MS
        start_ns = begin_ns if self.span.start_ns is None else max(begin_ns, self.span.start_ns)
        end_ns = until_ns if self.span.end_ns is None else min(until_ns, self.span.end_ns)
        return Span(start_ns, end_ns) if start_ns < end_ns else None

    def makes_states(self, day: Day) -> bool:
        """Return whether the day's file has states in place of rows."""
        return self.every_ns is not None and day.kind == "features"

    def read_span(self, kind: str) -> Span:
        """Return the span of receipt to read; bars are chosen by when they began."""
        return Span() if kind in BARS else self.span

    def applied(self, kind: str, chunks: Iterable[Chunk], constants: Mapping[str, Value]) -> Iterator[Chunk]:
        """Yield what is wanted of each chunk of rows."""
        for chunk in chunks:
            kept = chunk
            if kind in BARS and self.span != Span():
                kept = picked(kept, np.flatnonzero(self.span.holds(kept["open_time"] * NS_A_MS)))
            if kind in BOOKS and self.depth is not None:
                if "depth" in kept:
                    kept = picked(kept, np.flatnonzero(kept["depth"] == self.depth))
                elif constants["depth"] != self.depth:
                    return
            yield kept


def refuse_other_cut(known: Iterable[Mapping[str, Any]], cut: Cut) -> None:
    """Raise QueryError where a folder has files of another span, depth or step."""
    for entry in known:
        if entry.get("cut", {}).get("of", {}) != cut.mark:
            raise QueryError(
                f"the folder has files of another span, depth or step ({entry['path']}); "
                "choose an empty one, or the same span, depth and step"
            )
