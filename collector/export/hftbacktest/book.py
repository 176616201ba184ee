"""Read a day's books, ten levels where they are stored and else the best one, and make their events."""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from collector.database.market_tables import LEVEL_COLUMNS, STORED_LEVELS
from collector.database.tables import Tables
from collector.export.days import Day
from collector.export.hftbacktest.choice import Choice
from collector.export.hftbacktest.depth import Differences
from collector.export.hftbacktest.layout import Events
from collector.query.instants import Span
from collector.query.rows.columns import NO_INT, Chunk, joined, length, picked
from collector.query.rows.merging import merged
from collector.query.rows.series import Series

_KEY = ("received_at_ns", "segment_id", "sequence")
_BEST = ("bid_price_1", "bid_size_1", "ask_price_1", "ask_size_1")
_MS_NS = 1_000_000
_CHUNK_ROWS = 16_384


def exchange_ns(rows: Chunk) -> npt.NDArray[np.int64]:
    """Return the exchange's time, or NO_INT."""
    exchange_ms = rows["exchange_timestamp"]
    return np.where(exchange_ms == NO_INT, NO_INT, exchange_ms * _MS_NS)


class Book:
    """The events of the book of one symbol on one day."""

    def __init__(
        self,
        connection: sa.Connection,
        tables: Tables,
        choice: Choice,
        days: Mapping[str, Day],
        span: Span,
    ) -> None:
        self._connection = connection
        self._span = span
        self._series = {
            kind: Series(choice.stream(connection, tables, days[kind]), (*_KEY, *names))
            for kind, names in (("features", ("exchange_timestamp", *_BEST)), ("levels", LEVEL_COLUMNS))
            if kind in days
        }
        self._depth = choice.depth
        self.summary = "none"

    def events(self) -> Iterator[Events]:
        """Yield the events in the order of receipt."""
        if "features" not in self._series:
            return
        best = joined(list(self._read("features")), self._series["features"].kinds)
        deep = self._deep_segments()
        is_deep = np.isin(best["segment_id"], deep)
        shallow = picked(best, ~is_deep)
        sources = [self._widened(shallow)]
        if len(deep):
            sources.insert(0, self._levels(best))
        self.summary = _summary(len(best["segment_id"]), length(shallow), self._depth)
        differences = Differences(STORED_LEVELS if len(deep) else 1)
        for rows in merged(sources):
            yield differences.events(rows, exchange_ns(rows))

    def _read(self, kind: str) -> Iterator[Chunk]:
        return self._series[kind].read(self._connection, self._span, _CHUNK_ROWS)

    def _deep_segments(self) -> npt.NDArray[np.int64]:
        if "levels" not in self._series:
            return np.empty(0, dtype=np.int64)
        only = self._series["levels"].only(("received_at_ns", "segment_id"))
        found = [np.unique(chunk["segment_id"]) for chunk in only.read(self._connection, self._span)]
        return np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)

    def _levels(self, best: Chunk) -> Iterator[Chunk]:
        """Yield the rows with ten levels, with the exchange's time of the row that belongs to them."""
        for chunk in self._read("levels"):
            place = _matching(chunk, best)
            exchange_ms = np.full(len(place), NO_INT)
            exchange_ms[place >= 0] = best["exchange_timestamp"][place[place >= 0]]
            yield {**chunk, "exchange_timestamp": exchange_ms}

    def _widened(self, rows: Chunk) -> Iterator[Chunk]:
        """Yield the rows with one level, the others missing."""
        for begin in range(0, length(rows), _CHUNK_ROWS):
            chunk = picked(rows, slice(begin, begin + _CHUNK_ROWS))
            missing = np.full(length(chunk), np.nan)
            yield dict.fromkeys(LEVEL_COLUMNS, missing) | chunk


def _matching(rows: Chunk, best: Chunk) -> npt.NDArray[np.int64]:
    """Return for each row the place of the one with the same receipt, segment and sequence; -1: none."""
    place = np.searchsorted(best["received_at_ns"], rows["received_at_ns"], side="left")
    end = np.searchsorted(best["received_at_ns"], rows["received_at_ns"], side="right")
    while True:
        inside = np.minimum(place, len(best["received_at_ns"]) - 1)
        differs = (best["segment_id"][inside] != rows["segment_id"]) | (
            best["sequence"][inside] != rows["sequence"]
        )
        if not (differs & (place < end)).any():
            return np.where(place < end, place, -1)
        place = place + (differs & (place < end))


def _summary(rows: int, shallow: int, depth: object) -> str:
    of = "" if depth is None else f" of {depth}"
    if not rows:
        return "none"
    if not shallow:
        return f"best {STORED_LEVELS}{of}"
    return (
        f"best level only{of}"
        if shallow == rows
        else f"best {STORED_LEVELS}{of}; in {shallow:,} rows the best"
    )
