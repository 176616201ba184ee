"""Check the bars: each by itself, and against the trades where these are covered without a hole."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from math import isclose
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.selectable import NamedFromClause

from collector.database import Tables
from collector.events import OHLCV, TRADE
from collector.query.audit.chunks import Chunk, chunks, floats, integers, of
from collector.query.audit.finding import Finding, Ledger
from collector.query.audit.segments import Segment, Segments
from collector.query.database import has_table
from collector.query.rows import archived

MINUTE_MS = 60_000
UNITS_MS = {"m": MINUTE_MS, "h": 60 * MINUTE_MS, "d": 1440 * MINUTE_MS}
MARGIN_NS = 2_000_000_000  # a trade of a bar's last moment is received a little later
NS_A_MS = 1_000_000
DAY_NS = 1440 * MINUTE_MS * NS_A_MS
NOT_A_TRADE, FAR_OFF = "not_a_trade", "time_far_off"  # reasons of the identity
Window = tuple[int, int]  # stamps, from and until
KEY = ("exchange", "symbol", "interval", "open_time")
COLUMNS = (
    *("id", "exchange", "symbol", "interval", "open_time", "open", "high", "low", "close", "volume"),
    *("vwap", "count", "confirmed", "received_at_ns", "segment_id"),
)


def fixed_length_ms(interval: str) -> int | None:
    """Return the length of bars that begin at its multiples since 1970; None where none is known."""
    unit = UNITS_MS.get(interval[-1])
    if unit is None or (interval[-1] == "d" and interval != "1d"):
        return None
    return int(interval[:-1]) * unit


def findings(
    connection: sa.Connection, tables: Tables, segments: Segments, done: Callable[[int], None]
) -> Iterator[Finding]:
    """Yield the findings in the bars and in their corrections."""
    trades = _Trades(connection, tables, segments)
    bar_tables = _tables(connection, tables)
    offs_ns = {number: one.off_ns for number, one in segments.by_id.items() if one.off_ns}
    for table in bar_tables:
        ledger = Ledger(table.name)
        for chunk in chunks(connection, _query(table, bar_tables, offs_ns)):
            _in_themselves(chunk, segments, ledger)
            for bar in _rows(chunk):
                if table is not bar_tables[0] and not (bar["confirmed"] and bar["was_confirmed"]):
                    ledger.add("corrections", "of no confirmed bar", [bar["id"]])
                # A bar that was corrected is not compared with the trades, but its correction is.
                if bar["confirmed"] and not bar["is_corrected"]:
                    for text in trades.against(bar):
                        ledger.add("bars against trades", text, [bar["id"]])
            done(len(chunk["id"]))
        yield from ledger.findings()
    yield from _missing(connection, bar_tables, segments)


def _tables(connection: sa.Connection, tables: Tables) -> tuple[sa.Table, ...]:
    if has_table(connection, tables.ohlcv_corrections):
        return tables.ohlcv, tables.ohlcv_corrections
    return (tables.ohlcv,)  # a database of an earlier version


def _query(table: sa.Table, bar_tables: tuple[sa.Table, ...], offs_ns: Mapping[int, int]) -> sa.Select[Any]:
    """Select all rows, each with whether another row holds a later confirmation of its bar.

    `offs_ns`: what is to be added to the stamps of a segment, for its clock was stepped since.
    """
    first, *others = (one.alias() for one in bar_tables)
    own_place, own_ns = bar_tables.index(table), _at_ns(table, offs_ns)
    is_later = [
        _is_later(table, own_ns, other, _at_ns(other, offs_ns), own_place - place)
        for place, other in enumerate((first, *others))
    ]
    was_confirmed = sa.exists().where(*_same_bar(table, first), first.c.confirmed == 1)
    return sa.select(
        *(table.c[name] for name in COLUMNS),
        sa.or_(*is_later).label("is_corrected"),
        was_confirmed.label("was_confirmed"),
    ).order_by(table.c.id)


def _at_ns(table: NamedFromClause, offs_ns: Mapping[int, int]) -> sa.ColumnElement[int]:
    """Return when a row was received by the clock that was right."""
    received_ns = sa.func.coalesce(table.c.received_at_ns, 0)
    if not offs_ns:
        return received_ns
    off_ns = {number: sa.literal(off, sa.BIGINT) for number, off in offs_ns.items()}
    return received_ns + sa.case(off_ns, value=table.c.segment_id, else_=0)


def _is_later(
    table: sa.Table,
    at_ns: sa.ColumnElement[int],
    other: NamedFromClause,
    other_ns: sa.ColumnElement[int],
    places_before: int,
) -> sa.ColumnElement[bool]:
    id_is_later = other.c.id > table.c.id if not places_before else sa.literal(places_before < 0)
    is_later = sa.or_(other_ns > at_ns, sa.and_(other_ns == at_ns, id_is_later))
    return sa.exists().where(*_same_bar(table, other), is_later)


def _same_bar(table: sa.Table, other: NamedFromClause) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == other.c[name] for name in KEY]


def _in_themselves(chunk: Chunk, segments: Segments, ledger: Ledger) -> None:
    ids = integers(chunk["id"])
    opened, high, low, close, volume, vwap = (
        floats(chunk[name]) for name in ("open", "high", "low", "close", "volume", "vwap")
    )
    around = (low > 0) & (low <= opened) & (low <= close) & (opened <= high) & (close <= high)
    ledger.add("values", "whose open and close do not lie between low and high", of(ids, ~around))
    ledger.add("values", "with a volume below 0", of(ids, ~(volume >= 0)))
    # A bar without a trade has a vwap of 0 on some exchanges.
    outside = (volume > 0) & ((vwap < low * (1 - 1e-9)) | (vwap > high * (1 + 1e-9)))
    ledger.add("values", "whose vwap does not lie between low and high", of(ids, outside))
    strays, off_grid = [], []
    for row in _rows(chunk):
        length_ms = fixed_length_ms(row["interval"])
        if length_ms is not None and row["open_time"] % length_ms:
            off_grid.append(row["id"])
        if row["segment_id"] is not None:
            segment = segments.by_id.get(row["segment_id"])
            stream = (row["exchange"], row["symbol"], f"ohlcv.{row['interval']}")
            if segment is None or _stream(segment) != stream:
                strays.append(row["id"])
    ledger.add("values", "that begin at no multiple of their interval", off_grid)
    ledger.add("stray rows", "in no coverage segment of their stream", strays)


def _missing(
    connection: sa.Connection, bar_tables: tuple[sa.Table, ...], segments: Segments
) -> Iterator[Finding]:
    """Yield streams with fewer bars than their segments say; bars from elsewhere may add to them."""
    there: Counter[tuple[str, str, str]] = Counter()
    for table in bar_tables:
        key = (table.c.exchange, table.c.symbol, table.c.interval)
        for row in connection.execute(sa.select(*key, sa.func.count()).group_by(*key)):
            there[row[0], row[1], f"ohlcv.{row[2]}"] += row[3]
    expected: dict[tuple[str, str, str], int] = {}
    for segment in segments.by_id.values():
        if segment.channel.family == OHLCV:
            expected[_stream(segment)] = expected.get(_stream(segment), 0) + segment.coverage["rows"]
    for stream, rows in expected.items():
        if there[stream] < rows:
            text = f"{' '.join(stream)}: its segments say {rows} rows, there are {there[stream]}"
            yield Finding("segment rows", text)


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
    """A segment of trades: its time by the clock that was right, and how far from theirs its trades came."""

    start_ns: int
    until_ns: int
    off_ns: int  # what was added to its stamps
    early_ns: int
    late_ns: int

    @classmethod
    def of(cls, segment: Segment) -> "_Span":
        """Return that of a segment."""
        start_ns, until_ns = (
            segment.coverage[name] + segment.off_ns for name in ("start_ns", "alive_until_ns")
        )
        return cls(start_ns, until_ns, segment.off_ns, segment.held.early_ns, segment.held.late_ns)

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


class _Trades:
    """Builds bars of trades that are known to be complete."""

    def __init__(self, connection: sa.Connection, tables: Tables, segments: Segments) -> None:
        self._connection = connection
        self._table = tables.trades
        self._covered: dict[tuple[str, str], list[_Span]] = {}
        self._moved = {
            (row["exchange"], row["symbol"], _day(row["date"]))
            for row in archived(connection, tables, tables.trades)
        }
        far_off = {
            (*_stream(one), one.coverage["session_id"])
            for one in segments.by_id.values()
            if one.coverage["end_cause"] == FAR_OFF
        }
        for segment in segments.by_id.values():
            is_told = (*_stream(segment), segment.coverage["session_id"]) in far_off
            # One without a trade does not show how far its clock was from the exchange's.
            if segment.channel.family == TRADE and segment.held.rows and _complete(segment, is_told=is_told):
                self._covered.setdefault(_stream(segment)[:2], []).append(_Span.of(segment))

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
        days = range(begin_ns // DAY_NS, (end_ns - 1) // DAY_NS + 1)
        return any((bar["exchange"], bar["symbol"], day) in self._moved for day in days)

    def _built(self, bar: Mapping[str, Any], window: Window) -> Built | None:
        """Return the bar built from the trades received in a window; None without any."""
        length_ms = fixed_length_ms(bar["interval"])
        assert length_ms is not None  # noqa: S101  (callers look first)
        begin_ms = bar["open_time"]
        table = self._table
        query = (
            sa.select(table.c.price, table.c.size, table.c.exchange_timestamp)
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
        trades = self._connection.execute(query).all()
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


def _complete(segment: Segment, *, is_told: bool) -> bool:
    """Return whether every trade of the stream in its segments is a row.

    None was rejected or dropped in its session, but for ids without a trade, and for trades far off in time
    where it is told that they ended their segment.
    """
    counted = segment.accounting
    reasons = json.loads(counted.get("rejected_reasons") or "{}")
    harmless = reasons.get(NOT_A_TRADE, 0) + (reasons.get(FAR_OFF, 0) if is_told else 0)
    return counted.get("rejected", 0) <= harmless and not counted.get("dropped", 0)


def _day(text: str) -> int:
    return date.fromisoformat(text).toordinal() - date(1970, 1, 1).toordinal()


def _text(at_ns: int) -> str:
    from collector.events import iso_text  # noqa: PLC0415

    return iso_text(at_ns)


def _rows(chunk: Chunk) -> Iterator[dict[str, Any]]:
    names = tuple(chunk)
    for values in zip(*chunk.values(), strict=True):
        yield dict(zip(names, values, strict=True))


def _stream(segment: Segment) -> tuple[str, str, str]:
    coverage = segment.coverage
    return coverage["exchange"], coverage["symbol"], coverage["channel"]
