"""Build bars of trades that are known to be complete, and compare the exchange's with them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from typing import Any

import numpy as np
import sqlalchemy as sa

from collector.database import DAY_DIGITS, HOUR_DIGITS, Tables
from collector.events import TRADE
from collector.query.audit.chunks import integers
from collector.query.audit.segments import Segment, Segments
from collector.query.between import chains
from collector.query.database import as_stored, column_or_null
from collector.query.filled import fillings
from collector.query.rows import FIRST, LAST, PLACE, Archive, Fillings, StoredStream, archived, place

MINUTE_MS = 60_000
UNITS_MS = {"m": MINUTE_MS, "h": 60 * MINUTE_MS, "d": 1440 * MINUTE_MS}
MARGIN_NS = 2_000_000_000  # a trade of a bar's last moment is received a little later
NS_A_MS = 1_000_000
HOUR_NS = 60 * MINUTE_MS * NS_A_MS
NOT_A_TRADE, FAR_OFF = "not_a_trade", "time_far_off"  # reasons of the identity
Window = tuple[int, int]  # stamps, from and until
_WHOSE = ("segment_id", PLACE, FIRST, LAST)


def fixed_length_ms(interval: str) -> int | None:
    """Return the length of bars that begin at its multiples since 1970; None where none is known."""
    unit = UNITS_MS.get(interval[-1])
    if unit is None or (interval[-1] == "d" and interval != "1d"):
        return None
    return int(interval[:-1]) * unit


@dataclass(frozen=True, slots=True)
class Built:
    """A bar made of trades. Of those at its first and last instant any may be the first and last."""

    opens: frozenset[float]
    high: float
    low: float
    closes: frozenset[float]
    volume: float

    def against(self, bar: Mapping[str, Any]) -> Iterator[str]:
        """Yield the differences from the exchange's bar."""
        if bar["high"] != self.high or bar["low"] != self.low:
            yield "whose high or low is not that of the trades"
        if bar["open"] not in self.opens or bar["close"] not in self.closes:
            yield "whose open or close is not that of the trades"
        if not isclose(bar["volume"], self.volume, rel_tol=1e-6, abs_tol=1e-9):
            yield "whose volume is not the sum of the trades"


@dataclass(frozen=True, slots=True)
class _Span:
    """Trades without a hole: their time by the clock that was right, and how far from theirs they came."""

    start_ns: int
    until_ns: int
    off_ns: int  # what was added to its stamps
    early_ns: int
    late_ns: int

    @classmethod
    def of(cls, segments: Sequence[Segment]) -> "_Span":
        """Return that of a segment, or of several that go on from each other without a hole."""
        off_ns = segments[0].off_ns
        return cls(
            min(one.coverage["start_ns"] for one in segments) + off_ns,
            max(one.coverage["alive_until_ns"] for one in segments) + off_ns,
            off_ns,
            min(one.held.early_ns for one in segments),
            max(one.held.late_ns for one in segments),
        )

    def windows(self, first_ns: int, last_ns: int) -> list[Window]:
        """Return the stamps among which to look for the trades of a time; none if it does not cover that.

        The first of them will do for nearly all: few trades come later than they do as a rule.
        """
        first_ns, last_ns = first_ns - MARGIN_NS + self.early_ns, last_ns + MARGIN_NS
        # Where trades were late, one of the last may have been under way when the segment ended.
        if self.start_ns > first_ns or last_ns + self.late_ns > self.until_ns:
            return []
        ends_ns = dict.fromkeys((last_ns, last_ns + self.late_ns))
        return [(first_ns - self.off_ns, end_ns - self.off_ns) for end_ns in ends_ns]


class CompleteTrades:
    """Builds bars of trades that are known to be complete."""

    def __init__(self, connection: sa.Connection, tables: Tables, segments: Segments) -> None:
        self._connection = connection
        self._table = as_stored(connection, tables.trades)
        self._covered: dict[tuple[str, str], list[_Span]] = {}
        self._moved = {
            (row["exchange"], row["symbol"], row["date"])
            for row in archived(connection, tables, tables.trades)
        }
        far_off = {
            (*stream_of(one), one.coverage["session_id"])
            for one in segments.by_id.values()
            if one.coverage["end_cause"] == FAR_OFF
        }
        whole: dict[tuple[str, str, str], list[Segment]] = {}
        for segment in segments.by_id.values():
            is_told = (*stream_of(segment), segment.coverage["session_id"]) in far_off
            # A live one without a trade does not show how far its clock was from the exchange's.
            shows = segment.held.rows or segment.is_filled
            if segment.channel.family == TRADE and shows and _complete(segment, is_told=is_told):
                whole.setdefault(stream_of(segment), []).append(segment)
        for stream, own in whole.items():
            self._covered.setdefault(stream[:2], []).extend(map(_Span.of, _without_holes(own)))
        self._fillings: dict[tuple[str, str], Fillings | None] = {}
        self._tables = tables

    def against(self, bar: Mapping[str, Any]) -> list[str]:
        """Return how a bar differs from its trades: those stored, however late they were received."""
        told: list[str] = []
        for window in self._windows(bar):
            built = self._built(bar, window)
            told = [] if built is None else list(built.against(bar))
            if built is not None and not told:
                break
        return told

    def _windows(self, bar: Mapping[str, Any]) -> list[Window]:
        length_ms = fixed_length_ms(bar["interval"])
        if length_ms is None:
            return []
        span = bar["open_time"] * NS_A_MS, (bar["open_time"] + length_ms) * NS_A_MS
        spans = self._covered.get((bar["exchange"], bar["symbol"]), ())
        found = next((found for one in spans if (found := one.windows(*span))), [])
        return [] if any(self._is_moved(bar, *window) for window in found) else found

    def _is_moved(self, bar: Mapping[str, Any], begin_ns: int, end_ns: int) -> bool:
        """Return whether trades received in a window, or some of them, are in a file of the archive."""
        hours = range(begin_ns // HOUR_NS, (end_ns - 1) // HOUR_NS + 1)
        texts = [_text(hour * HOUR_NS) for hour in hours]
        periods = {text[:digits] for text in texts for digits in (DAY_DIGITS, HOUR_DIGITS)}
        return any((bar["exchange"], bar["symbol"], one) in self._moved for one in periods)

    def _counting(self, bar: Mapping[str, Any], trades: Sequence[Any]) -> Sequence[Any]:
        """Return the trades without the aggregates of REST where single trades are covered."""
        market = (bar["exchange"], bar["symbol"])
        if market not in self._fillings:
            stream = StoredStream(
                self._table,
                market[1],
                market[0],
                (self._table.c.symbol == market[1], self._table.c.exchange == market[0]),
                parts=Archive.read(self._connection, self._tables, self._table).of(market[1], market[0]),
            )
            self._fillings[market] = fillings(self._connection, self._tables, stream)
        found = self._fillings[market]
        if found is None or not trades:
            return trades
        chunk = found.sized(
            {
                "size": np.array([row[1] for row in trades], dtype=np.float64),
                **{name: integers([row[at] for row in trades]) for at, name in enumerate(_WHOSE, 3)},
            }
        )
        counts, sizes = found.count(chunk, PLACE), chunk["size"].tolist()
        return [
            (row[0], size, *row[2:])
            for row, size, is_there in zip(trades, sizes, counts, strict=True)
            if is_there
        ]

    def _built(self, bar: Mapping[str, Any], window: Window) -> Built | None:
        """Return the bar built from the trades received in a window; None without any."""
        length_ms = fixed_length_ms(bar["interval"])
        assert length_ms is not None  # noqa: S101  (callers look first)
        begin_ms = bar["open_time"]
        table = self._table
        columns = (table.c.price, table.c.size, table.c.exchange_timestamp, table.c.segment_id)
        query = (
            sa.select(*columns, place(table), *(column_or_null(table, one) for one in (FIRST, LAST)))
            .where(
                table.c.exchange == bar["exchange"],
                table.c.symbol == bar["symbol"],
                table.c.timestamp >= _text(window[0]),
                table.c.timestamp < _text(window[1]),
                table.c.exchange_timestamp >= begin_ms,
                table.c.exchange_timestamp < begin_ms + length_ms,
                table.c.marked.is_(None),
            )
            .order_by(table.c.timestamp)
        )
        trades = self._counting(bar, self._connection.execute(query).all())
        if not trades:
            return None
        first, last = min(row[2] for row in trades), max(row[2] for row in trades)
        return Built(
            frozenset(row[0] for row in trades if row[2] == first),
            max(row[0] for row in trades),
            min(row[0] for row in trades),
            frozenset(row[0] for row in trades if row[2] == last),
            sum(row[1] for row in trades),
        )


def _without_holes(segments: list[Segment]) -> Iterator[list[Segment]]:
    """Yield the segments of one stream in groups that go on from each other without a hole.

    One whose clock was stepped since stays alone: its stamps are not those of what it meets.
    """
    ordered = sorted(segments, key=lambda one: (one.coverage["start_ns"], one.coverage["segment_id"]))
    first_of = chains(one.coverage for one in ordered if not one.off_ns)
    groups: dict[int, list[Segment]] = {}
    for one in ordered:
        number = one.coverage["segment_id"]
        groups.setdefault(first_of.get(number, number), []).append(one)
    yield from groups.values()


def _complete(segment: Segment, *, is_told: bool) -> bool:
    """Return whether every trade of the stream in its segments is a row.

    None was rejected or dropped in its session, but for ids without a trade, and for trades far off in time
    where it is told that they ended their segment.
    """
    counted = segment.accounting
    reasons = json.loads(counted.get("rejected_reasons") or "{}")
    harmless = reasons.get(NOT_A_TRADE, 0) + (reasons.get(FAR_OFF, 0) if is_told else 0)
    return counted.get("rejected", 0) <= harmless and not counted.get("dropped", 0)


def _text(at_ns: int) -> str:
    from collector.events import iso_text  # noqa: PLC0415

    return iso_text(at_ns)


def stream_of(segment: Segment) -> tuple[str, str, str]:
    """Return the stream that a segment is of."""
    coverage = segment.coverage
    return coverage["exchange"], coverage["symbol"], coverage["channel"]
