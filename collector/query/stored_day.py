"""Count what is stored of a stream of one day, and look at a few of its rows: how late, how large."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import sqlalchemy as sa

from collector.database import Tables
from collector.events import OHLCV, REST, TRADE, Channel
from collector.query.database import has_table
from collector.query.instants import midnight_ns, text_of
from collector.query.rows import Archive, beside

QUARTER_NS = 900 * 10**9
OF_A_QUARTER = 50  # rows, of each quarter of an hour, from which lag is told
NS_A_MS = 1e6
PERCENTILES = (50, 95, 99)
NUMBER_BYTES, ROW_BYTES = 8, 8  # of a value that is no text; of a row beside its values

Key = tuple[str, str, str]


class StoredDay:
    """The rows of one day, in the tables and in the archive."""

    def __init__(self, connection: sa.Connection, tables: Tables, day: str, streams: Sequence[Key]) -> None:
        self._connection = connection
        self._tables = tables
        self._day = day
        self._start_ns = midnight_ns(day)
        self._next_day = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
        self._archives: dict[str, Archive] = {}
        self._depths: dict[tuple[str, str], list[int]] = {}  # of the books that a market has in one table
        for exchange, symbol, channel in streams:
            if Channel.of(channel).is_book:
                self._depths.setdefault((exchange, symbol), []).append(Channel.of(channel).depth)

    def rows(self, exchange: str, symbol: str, channel: str) -> tuple[int | None, int | None]:
        """Return how many rows there are, and about how many bytes they take, without indexes.

        The number is None where rows of several books were moved to one file.
        """
        table = self._table(channel)
        own = self._of_day(table, exchange, symbol, channel)
        is_one = not Channel.of(channel).is_book or len(self._depths[exchange, symbol]) == 1
        count = self._count(table, exchange, symbol, own, is_one=is_one)
        if count is None:
            return None, None
        size = count * self._row_bytes(table, own)
        levels = self._tables.levels
        if Channel.of(channel).is_book and has_table(self._connection, levels):
            beside = self._of_day(levels, exchange, symbol, channel)
            more = self._count(levels, exchange, symbol, beside, is_one=is_one)
            size += (more or 0) * self._row_bytes(levels, beside)
        return count, round(size)

    def has_rows(self, exchange: str, symbol: str, channel: str) -> bool:
        """Return whether there is any row of a stream, in the table or in a file."""
        table = self._table(channel)
        if any(one.day == self._day for one in self._archive(table).of(symbol, exchange)):
            return True
        own = self._of_day(table, exchange, symbol, channel)
        return self._connection.execute(sa.select(sa.literal(1)).where(*own).limit(1)).first() is not None

    def lag(self, exchange: str, symbol: str, channel: str) -> Mapping[str, float | None]:
        """Return how late rows came: receipt less the exchange's time. None for bars, and where none says."""
        names = [f"lag_p{one}_ms" for one in PERCENTILES]
        found = [] if Channel.of(channel).family == OHLCV else self._lags_ms(exchange, symbol, channel)
        if not found:
            return dict.fromkeys(names)
        return dict(zip(names, map(float, np.percentile(found, PERCENTILES)), strict=True))

    def _table(self, channel: str) -> sa.Table:
        tables = self._tables
        return {TRADE: tables.trades, OHLCV: tables.ohlcv}.get(Channel.of(channel).family, tables.hot)

    def _of_day(
        self, table: sa.Table, exchange: str, symbol: str, channel: str
    ) -> list[sa.ColumnElement[bool]]:
        """Return what holds for the rows of the day; all but the depth of a book is in an index."""
        known = Channel.of(channel)
        own: list[sa.ColumnElement[bool]] = [table.c.symbol == symbol, table.c.exchange == exchange]
        if known.family == OHLCV:  # a bar is of the day in which it opens
            first_ms = self._start_ns // 10**6
            opens = table.c.open_time
            return [
                *own,
                table.c.interval == known.interval,
                opens >= first_ms,
                opens < first_ms + 86_400_000,
            ]
        return [
            *self._of_stream(table, exchange, symbol, channel),
            *(table.c.timestamp >= self._day, table.c.timestamp < self._next_day),
        ]

    def _of_stream(
        self, table: sa.Table, exchange: str, symbol: str, channel: str
    ) -> list[sa.ColumnElement[bool]]:
        """Return what holds for the rows of a stream that is no stream of bars."""
        known = Channel.of(channel)
        own: list[sa.ColumnElement[bool]] = [table.c.symbol == symbol, table.c.exchange == exchange]
        if not known.is_book:
            return own
        depths = self._depths[exchange, symbol]
        if len(depths) > 1:
            own.append(table.c.depth == known.depth)
        if depths.count(known.depth) > 1:  # such as bbo and book.1: their segments tell them apart
            covered = self._tables.coverage.c
            theirs = sa.select(covered.segment_id).where(
                covered.exchange == exchange, covered.symbol == symbol, covered.channel == channel
            )
            own.append(table.c.segment_id.in_(theirs))
        return own

    def _count(
        self,
        table: sa.Table,
        exchange: str,
        symbol: str,
        own: Sequence[sa.ColumnElement[bool]],
        *,
        is_one: bool,
    ) -> int | None:
        parts = [one for one in self._archive(table).of(symbol, exchange) if one.day == self._day]
        if parts and not is_one:
            return None
        query = sa.select(sa.func.count()).select_from(table).where(*own)
        if parts:  # those that a file holds may not all be deleted yet
            query = query.where(*beside(table, parts))
        return int(self._connection.execute(query).scalar_one()) + sum(one.rows for one in parts)

    def _archive(self, table: sa.Table) -> Archive:
        if table.name not in self._archives:
            self._archives[table.name] = (
                Archive()
                if table is self._tables.ohlcv
                else Archive.read(self._connection, self._tables, table)
            )
        return self._archives[table.name]

    def _row_bytes(self, table: sa.Table, own: Sequence[sa.ColumnElement[bool]]) -> float:
        """Return how long a row is, in the middle of the first ones."""
        rows = self._connection.execute(sa.select(table).where(*own).limit(OF_A_QUARTER)).all()
        sizes = [ROW_BYTES + sum(_bytes_of(value) for value in row) for row in rows]
        return float(np.mean(sizes)) if sizes else 0.0

    def _lags_ms(self, exchange: str, symbol: str, channel: str) -> list[float]:
        """Return the lags of some rows of each quarter of an hour: as long a look, however many there are."""
        table = self._table(channel)
        # Not with the day's bounds as well: SQLite would walk from there to each quarter.
        own = self._of_stream(table, exchange, symbol, channel)
        received, told = table.c.received_at_ns, table.c.exchange_timestamp
        known: list[sa.ColumnElement[bool]] = [received.is_not(None), told.is_not(None)]
        if "origin" in table.c:  # what REST brought afterwards is not late
            known.append(sa.func.coalesce(table.c.origin, "") != REST)
        query = sa.select(received, told).where(*own, *known)
        found: list[float] = []
        for since_ns in range(self._start_ns, midnight_ns(self._next_day), QUARTER_NS):
            within = (
                table.c.timestamp >= text_of(since_ns),
                table.c.timestamp < text_of(since_ns + QUARTER_NS),
            )
            few = query.where(*within).order_by(table.c.timestamp).limit(OF_A_QUARTER)
            found += [at_ns / NS_A_MS - told_ms for at_ns, told_ms in self._connection.execute(few)]
        return found


def _bytes_of(value: Any) -> int:
    if value is None:
        return 0
    return len(value.encode()) if isinstance(value, str) else NUMBER_BYTES
