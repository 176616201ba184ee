"""Split a write set into parts: at most 1,000 rows of one market, with their coverage and counts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from collector.events import UNKNOWN
from collector.sinks.avro.layout import LAYOUTS, PLAIN, SHARED
from collector.sinks.avro.states import divide
from collector.sinks.contract import AccountingState, Rows, SegmentState, Value, WriteSet

MOST_ROWS = 1_000  # events and other rows in a part
MOST_BYTES = 1 << 20  # a record with its key, as Kinesis takes it
_ROOM_BYTES = (
    1_000_000  # of it for rows, however badly they compress; the rest is for what the part says of them
)
_NUMBER_BYTES, _BASE_BYTES = 9, 200
_MOST_KEY = 256

Market = tuple[str, str]  # exchange and symbol; empty: what is no market's
NO_MARKET: Market = ("", "")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some events of one market, side by side in the tables that have a row of each."""

    layout: str
    tables: tuple[Rows, ...]
    places: Sequence[int]  # of the events in those tables

    @property
    def channel(self) -> str | None:
        """Return the one channel that all are of, where their table says it."""
        stream = self.tables[0].stream
        return None if stream is None else stream.channel


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
    for layout, tables in _events(write_set.rows):
        for market, places in _by_market(tables[0]).items():
            content.setdefault(market, []).append(Chunk(layout, tables, places))
    plain: dict[Market, list[tuple[str, dict[str, Value]]]] = {}
    for table, row in _plain_rows(write_set.rows):
        plain.setdefault(_market_of(row), []).append((table, row))
    states = [_known((one.exchange, one.symbol)) for one in (*write_set.segments, *write_set.accounting)]
    parts: list[Part] = []
    for market in dict.fromkeys((*content, *plain, *states)) or (NO_MARKET,):
        of_market = _cut(write_set, market, content.get(market, ()), plain.get(market, ()))
        _divide_states(write_set, market, of_market)
        parts += of_market
    return parts


def _events(all_rows: Sequence[Rows]) -> Iterator[tuple[str, tuple[Rows, ...]]]:
    """Yield the tables of events; a table of levels belongs to the books before it."""
    filled = [rows for rows in all_rows if len(rows) and rows.table not in PLAIN]
    place = 0
    while place < len(filled):
        rows = filled[place]
        beside = filled[place + 1] if place + 1 < len(filled) else None
        place += 1
        if beside is not None and _are_of_the_same(rows, beside):
            place += 1
            yield "book+levels", (rows, beside)
        elif rows.table in LAYOUTS:
            yield rows.table, (rows,)
        else:
            raise LookupError(f"no schema for rows of the kind {rows.table!r}")


def _are_of_the_same(book: Rows, levels: Rows) -> bool:
    return (
        (book.table, levels.table) == ("book", "levels")
        and len(book) == len(levels)
        and all(
            name in book.columns and list(book.columns[name]) == list(levels.columns.get(name, ()))
            for name in SHARED
        )
    )


def _by_market(rows: Rows) -> Mapping[Market, Sequence[int]]:
    """Return where the rows of each market stand."""
    nobody = [None] * len(rows)
    told = zip(rows.columns.get("exchange", nobody), rows.columns.get("symbol", nobody), strict=True)
    names: list[tuple[Value, Value]] = list(told)
    first = dict.fromkeys(names)
    if len(first) == 1:
        return {_text_names(names[0]): range(len(rows))}
    found: dict[tuple[Value, Value], list[int]] = {one: [] for one in first}
    for place, one in enumerate(names):
        found[one].append(place)
    return {_text_names(one): places for one, places in found.items()}


def _text_names(names: tuple[Value, Value]) -> Market:
    """Return the names as text; what is none is refused when the rows are encoded."""
    exchange, symbol = names
    return (exchange if isinstance(exchange, str) else "", symbol if isinstance(symbol, str) else "")


def _plain_rows(all_rows: Sequence[Rows]) -> Iterator[tuple[str, dict[str, Value]]]:
    for rows in all_rows:
        if rows.table in PLAIN:
            for values in zip(*rows.columns.values(), strict=True):
                yield rows.table, dict(zip(rows.columns, values, strict=True))


def _market_of(row: Mapping[str, Value]) -> Market:
    exchange, symbol = row.get("exchange"), row.get("symbol")
    if isinstance(exchange, str) and isinstance(symbol, str) and symbol:
        return _known((exchange, symbol))
    return NO_MARKET


def _known(market: Market) -> Market:
    return NO_MARKET if market[1] == UNKNOWN else market


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


def _divide_states(write_set: WriteSet, market: Market, parts: Sequence[Part]) -> None:
    segments = [one for one in write_set.segments if _known((one.exchange, one.symbol)) == market]
    accounting = [one for one in write_set.accounting if _known((one.exchange, one.symbol)) == market]
    divided = divide(segments, accounting, [one.chunks for one in parts])
    for part, states in zip(parts, divided, strict=True):
        part.segments, part.accounting = states
