"""Count what is stored of a stream of one day, and look at a few of its rows: how late, how large."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from collector.database import Tables
from collector.events import OHLCV, REST, TRADE, Channel
from collector.query.database import has_table
from collector.query.instants import midnight_ns, text_of
from collector.query.rows import NO_INT, ORIGIN, RECEIPT, TOLD, Archive, Chunk, Kind, Part, chunks_of, length
from collector.query.rows import beside as in_no_file

QUARTER_NS = 900 * 10**9
OF_A_QUARTER = 50  # rows, of each quarter of an hour, from which lag is told
NS_A_MS = 1e6
PERCENTILES = (50, 95, 99)
NUMBER_BYTES, ROW_BYTES = 8, 8  # of a value that is no text; of a row beside its values

Key = tuple[str, str, str]
Flags = npt.NDArray[np.bool_]
_WHOSE: dict[str, Kind] = {"depth": "int", "segment_id": "int"}


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

    def rows(self, exchange: str, symbol: str, channel: str) -> tuple[int, int]:
        """Return how many rows there are, and about how many bytes they take, without indexes."""
        key = exchange, symbol, channel
        table, levels = self._table(channel), self._tables.levels
        count = self._count(table, key)
        size = count * self._row_bytes(table, key)
        if Channel.of(channel).is_book and has_table(self._connection, levels):
            size += self._count(levels, key) * self._row_bytes(levels, key)
        return count, round(size)

    def has_rows(self, exchange: str, symbol: str, channel: str) -> bool:
        """Return whether there is any row of a stream, in the table or in a file."""
        table = self._table(channel)
        if self._parts(table, (exchange, symbol, channel)):
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
            own.append(table.c.segment_id.in_(self._segments_of(exchange, symbol, channel)))
        return own

    def _segments_of(self, exchange: str, symbol: str, channel: str) -> "sa.Select[tuple[int]]":
        covered = self._tables.coverage.c
        of_stream = covered.exchange == exchange, covered.symbol == symbol, covered.channel == channel
        return sa.select(covered.segment_id).where(*of_stream)

    def _count(self, table: sa.Table, key: Key) -> int:
        parts = self._parts(table, key)
        query = sa.select(sa.func.count()).select_from(table).where(*self._of_day(table, *key))
        query = query.where(*in_no_file(table, parts))  # rows that a file holds may not all be deleted yet
        count = int(self._connection.execute(query).scalar_one())
        is_one = not Channel.of(key[2]).is_book or len(self._depths[key[:2]]) == 1
        if is_one:
            return count + sum(part.rows for part in parts)
        of_stream = self._of_files(key)
        return count + sum(
            int(of_stream(chunk).sum()) for part in parts for chunk in chunks_of(part, table, _WHOSE)
        )

    def _of_files(self, key: Key) -> Callable[[Chunk], Flags]:
        """Return what tells which rows of a file of the market are a stream's, by depth and segment."""
        channel = Channel.of(key[2])
        if not channel.is_book:
            return lambda chunk: np.ones(length(chunk), dtype=np.bool_)
        depths = self._depths[key[:2]]
        if depths.count(channel.depth) <= 1:
            return lambda chunk: np.asarray(chunk["depth"] == channel.depth)
        segments = list(self._connection.execute(self._segments_of(*key)).scalars())
        return lambda chunk: (chunk["depth"] == channel.depth) & np.isin(chunk["segment_id"], segments)

    def _parts(self, table: sa.Table, key: Key) -> list[Part]:
        """Return the files with rows of the market and day."""
        return [one for one in self._archive(table).of(key[1], key[0]) if one.day == self._day]

    def _archive(self, table: sa.Table) -> Archive:
        if table.name not in self._archives:
            self._archives[table.name] = (
                Archive()
                if table is self._tables.ohlcv
                else Archive.read(self._connection, self._tables, table)
            )
        return self._archives[table.name]

    def _row_bytes(self, table: sa.Table, key: Key) -> float:
        """Return how long a row is, in the middle of the first ones."""
        few = sa.select(table).where(*self._of_day(table, *key)).limit(OF_A_QUARTER)
        rows: Sequence[Sequence[Any]] = self._connection.execute(few).all()
        if not rows:
            rows = [
                tuple(row.values())
                for part in self._parts(table, key)[:1]
                for row in part.last_rows(OF_A_QUARTER)
            ]
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
        for part in self._parts(table, (exchange, symbol, channel)):
            found += self._lags_in(part, (exchange, symbol, channel))
        return found

    def _lags_in(self, part: Part, key: Key) -> list[float]:
        """Return the lags of the first rows of each quarter of an hour in a file."""
        kinds: dict[str, Kind] = {RECEIPT: "int", TOLD: "int", ORIGIN: "text"}
        of_stream, seen, found = self._of_files(key), Counter[int](), list[float]()
        kinds |= _WHOSE if Channel.of(key[2]).is_book else {}
        for chunk in chunks_of(part, self._table(key[2]), kinds):
            told = of_stream(chunk) & (chunk[TOLD] != NO_INT) & (chunk[ORIGIN] != REST)
            at_ns, told_ms = chunk[RECEIPT][told], chunk[TOLD][told]
            for quarter in np.unique(at_ns // QUARTER_NS).tolist():
                few = np.flatnonzero(at_ns // QUARTER_NS == quarter)[: OF_A_QUARTER - seen[quarter]]
                seen[quarter] += len(few)
                found += (at_ns[few] / NS_A_MS - told_ms[few]).tolist()
        return found


def _bytes_of(value: Any) -> int:
    if value is None:
        return 0
    return len(value.encode()) if isinstance(value, str) else NUMBER_BYTES
