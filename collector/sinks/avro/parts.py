"""Split a write set into parts: at most 1,000 rows of one market, with their coverage and counts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from collector.sinks.avro.markets import (
    NO_MARKET,
    Chunk,
    Market,
    by_market,
    events_of,
    known_market,
    market_of,
    plain_rows,
)
from collector.sinks.avro.states import divide
from collector.sinks.contract import AccountingState, SegmentState, Value, WriteSet

MOST_ROWS = 1_000  # events and other rows in a part
MOST_BYTES = 1 << 20  # a record with its key, as Kinesis takes it
_ROOM_BYTES = (
    1_000_000  # of it for rows, however badly they compress; the rest is for what the part says of them
)
_NUMBER_BYTES, _BASE_BYTES = 9, 200
_MOST_KEY = 256  # characters, as Kinesis takes it

State = TypeVar("State", SegmentState, AccountingState)


@dataclass(slots=True)
class Part:
    """What is applied exactly once on the other side."""

    part_id: str
    key: str  # of the partition that it goes to
    market: Market
    after: str = ""  # the part before it, of the same write set and key
    is_last: bool = True
    chunks: list[Chunk] = field(default_factory=list)
    plain: dict[str, list[dict[str, Value]]] = field(default_factory=dict)  # rows that are no market data
    segments: tuple[SegmentState, ...] = ()
    accounting: tuple[AccountingState, ...] = ()

    @property
    def events(self) -> int:
        """Count the events: each is one record MarketData."""
        return sum(len(one.places) for one in self.chunks)

    @property
    def rows(self) -> int:
        """Count the rows in tables: an event may have one in each of two."""
        return sum(len(one.places) * len(one.tables) for one in self.chunks) + self.plain_rows

    @property
    def plain_rows(self) -> int:
        """Count the rows that are no market data."""
        return sum(map(len, self.plain.values()))


def parts_of(write_set: WriteSet) -> list[Part]:
    """Split the write set. A write set that comes again gives the same parts, by the same ids."""
    content: dict[Market, list[Chunk]] = {}
    for layout, tables in events_of(write_set.rows):
        for market, places in by_market(tables[0]).items():
            content.setdefault(market, []).append(Chunk(layout, tables, places))
    plain: dict[Market, list[tuple[str, dict[str, Value]]]] = {}
    for table, row in plain_rows(write_set.rows):
        plain.setdefault(market_of(row), []).append((table, row))
    segments, accounting = _of_markets(write_set.segments), _of_markets(write_set.accounting)
    parts: list[Part] = []
    for market in dict.fromkeys((*content, *plain, *segments, *accounting)) or (NO_MARKET,):
        of_market = _cut(write_set, market, content.get(market, ()), plain.get(market, ()))
        told = segments.get(market, ()), accounting.get(market, ())
        for part, states in zip(of_market, divide(*told, [one.chunks for one in of_market]), strict=True):
            part.segments, part.accounting = states
        parts += of_market
    return parts


def _of_markets(states: Iterable[State]) -> Mapping[Market, Sequence[State]]:
    found: dict[Market, list[State]] = {}
    for one in states:
        found.setdefault(known_market((one.exchange, one.symbol)), []).append(one)
    return found


def _cut(
    write_set: WriteSet,
    market: Market,
    chunks: Sequence[Chunk],
    plain: Sequence[tuple[str, dict[str, Value]]],
) -> list[Part]:
    """Put the rows of one market into parts that are within the limits; one part at least."""
    key = f"session:{write_set.session.session_id}" if market == NO_MARKET else ":".join(market)
    parts: list[Part] = []
    rows_left = bytes_left = 0

    def begin() -> None:
        nonlocal rows_left, bytes_left
        after = parts[-1].part_id if parts else ""
        if parts:
            parts[-1].is_last = False
        name = f"{write_set.batch_id}/{key}/{len(parts)}"
        parts.append(Part(name, key[:_MOST_KEY], market, after))
        rows_left, bytes_left = MOST_ROWS, _ROOM_BYTES

    begin()
    for chunk in chunks:
        first, size = 0, _event_bytes(chunk, len(key))
        while first < len(chunk.places):
            end = min(len(chunk.places), first + min(rows_left, bytes_left // size))
            if end > first:
                parts[-1].chunks.append(replace(chunk, places=chunk.places[first:end]))
                rows_left, bytes_left = rows_left - (end - first), bytes_left - size * (end - first)
                first = end
            if first < len(chunk.places):
                begin()
    for table, row in plain:
        size = _BASE_BYTES + sum(len(str(value).encode(errors="replace")) for value in row.values())
        if not rows_left or (size > bytes_left and bytes_left < _ROOM_BYTES):
            begin()
        parts[-1].plain.setdefault(table, []).append(row)
        rows_left, bytes_left = rows_left - 1, bytes_left - size
    return parts


def _event_bytes(chunk: Chunk, key: int) -> int:
    """Return more bytes than any of the events takes."""
    size, seen = _BASE_BYTES + 4 * key, set[str]()
    for rows in chunk.tables:
        for name, column in rows.columns.items():
            if name in seen:
                continue
            seen.add(name)
            if isinstance(column[chunk.places[0]], str):
                texts = {str(column[place]) for place in chunk.places}
                size += 2 + max(len(one.encode(errors="replace")) for one in texts)
            else:
                size += _NUMBER_BYTES
    return min(size, _ROOM_BYTES)
