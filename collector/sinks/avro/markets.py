"""Group the rows of a write set: the events of each market, and the rows that are no market data."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from collector.errors import UnfitRow
from collector.events import UNKNOWN
from collector.sinks.avro.layout import LAYOUTS, PLAIN, SHARED
from collector.sinks.contract import Rows, Value

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


def events_of(all_rows: Sequence[Rows]) -> Iterator[tuple[str, tuple[Rows, ...]]]:
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
            raise UnfitRow(rows.table, "the schema has no place for rows of this kind")


def _are_of_the_same(book: Rows, levels: Rows) -> bool:
    return (
        (book.table, levels.table) == ("book", "levels")
        and len(book) == len(levels)
        and all(
            name in book.columns and list(book.columns[name]) == list(levels.columns.get(name, ()))
            for name in SHARED
        )
    )


def by_market(rows: Rows) -> Mapping[Market, Sequence[int]]:
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


def plain_rows(all_rows: Sequence[Rows]) -> Iterator[tuple[str, dict[str, Value]]]:
    """Yield the table and the values of each row that is no market data."""
    for rows in all_rows:
        if rows.table in PLAIN:
            for values in zip(*rows.columns.values(), strict=True):
                yield rows.table, dict(zip(rows.columns, values, strict=True))


def market_of(row: Mapping[str, Value]) -> Market:
    """Return the market that such a row names, if it names one."""
    exchange, symbol = row.get("exchange"), row.get("symbol")
    if isinstance(exchange, str) and isinstance(symbol, str) and symbol:
        return known_market((exchange, symbol))
    return NO_MARKET


def known_market(market: Market) -> Market:
    """Return the market, or none if it is not known which one it is."""
    return NO_MARKET if market[1] == UNKNOWN else market
