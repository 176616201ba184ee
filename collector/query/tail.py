"""Read the newest rows of a table, then those that follow."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from collector.database import DEFAULT_TABLE_NAME, Tables
from collector.errors import QueryError
from collector.nearest import did_you_mean
from collector.query.database import as_stored, open_for_reading, reading
from collector.query.names import Market, filters_named
from collector.query.rows import Archive, markets_in

TABLES = ("book", "levels", "trades", "ohlcv", "ohlcv_corrections", "rejected", "events")
MOST_AT_ONCE = 1000
MOST_LAST = 100_000
_UNINDEXED = ("collector_rejected", "collector_events")
REVISED_ROWS = 200  # so many of the newest bars are read each time: a bar changes until it is confirmed


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows to read; None means any."""

    table: str = "book"
    exchange: str | None = None
    symbol: str | None = None


class Tail:
    """Reads on from the last rows that were read; each call of `more` is one short transaction."""

    def __init__(
        self, database: str, wanted: Wanted, *, last: int = 10, table_name: str = DEFAULT_TABLE_NAME
    ) -> None:
        if wanted.table not in TABLES:
            hint = did_you_mean(wanted.table, TABLES)
            raise QueryError(
                f"no table is called {wanted.table!r}, expected one of {', '.join(TABLES)}{hint}"
            )
        if not 0 <= last <= MOST_LAST:
            raise QueryError(f"last is {last}; expected at most {MOST_LAST:,}: export writes all rows")
        self._engine = open_for_reading(database)
        self._wanted = wanted
        self._last = last
        self._table_name = table_name
        self._seen: int | None = None
        self._bars: dict[int, tuple[Any, Any]] = {}  # when each of the newest bars was last updated

    def more(self) -> Iterator[dict[str, Any]]:
        """Yield the new rows, oldest first; on the first call the last rows of the table."""
        with reading(self._engine, self._table_name) as (connection, tables):
            table = self._table(connection, tables)
            if self._seen is None:
                self._wanted = self._named(connection, tables, table)
                rows = self._newest(connection, table, self._last)
                if self._last:
                    rows = self._with_moved(connection, tables, table, rows)
                self._seen = self._highest_id(connection, table)
                if self._wanted.table == "ohlcv":
                    self._changed(self._newest(connection, table, REVISED_ROWS))
                yield from rows
            elif self._wanted.table == "ohlcv":
                yield from self._changed(self._newest(connection, table, REVISED_ROWS))
            else:
                yield from self._following(connection, table)

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()

    def _table(self, connection: sa.Connection, tables: Tables) -> sa.Table:
        name = "hot" if self._wanted.table == "book" else self._wanted.table
        table: sa.Table = getattr(tables, name)
        return as_stored(connection, table)

    def _named(self, connection: sa.Connection, tables: Tables, table: sa.Table) -> Wanted:
        """Return what is wanted by the names that are stored; a stream that brought nothing yet is known."""
        wanted = self._wanted
        if wanted.exchange is wanted.symbol is None:
            return wanted
        query = sa.select(tables.coverage.c.exchange, tables.coverage.c.symbol).distinct()
        stored = {(row[0], row[1]) for row in connection.execute(query)} | _markets_told(connection, table)
        symbol, exchange = filters_named(stored, wanted.symbol, wanted.exchange, table.name)
        return Wanted(wanted.table, exchange, symbol)

    def _query(self, table: sa.Table) -> sa.Select[Any]:
        query = sa.select(table)
        for name in ("exchange", "symbol"):
            value = getattr(self._wanted, name)
            if value is not None:
                query = query.where(table.c[name] == value)
        return query

    def _newest(self, connection: sa.Connection, table: sa.Table, most: int) -> list[dict[str, Any]]:
        query = self._query(table).order_by(table.c.id.desc()).limit(most)
        return [dict(row) for row in connection.execute(query).mappings()][::-1]

    def _with_moved(
        self, connection: sa.Connection, tables: Tables, table: sa.Table, rows: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """Return the last of these rows and of those in files of the archive."""
        wanted = self._wanted
        parts = [
            part
            for part in Archive.read(connection, tables, table).parts
            if wanted.exchange in {None, part.exchange} and wanted.symbol in {None, part.symbol}
        ]
        names, most = table.c.keys(), self._last
        found = {row["id"]: row for row in rows}
        for part in sorted(parts, key=lambda one: one.last_id, reverse=True):
            if len(found) >= most and part.last_id < min(found):
                break
            # Of one whose rows are still being deleted some are in the table as well.
            moved = {row["id"]: {name: row.get(name) for name in names} for row in part.last_rows(most)}
            found = dict(sorted((moved | found).items())[-most:])
        return list(found.values())

    def _highest_id(self, connection: sa.Connection, table: sa.Table) -> int:
        return int(connection.execute(sa.select(sa.func.max(table.c.id))).scalar_one() or 0)

    def _following(self, connection: sa.Connection, table: sa.Table) -> Iterator[dict[str, Any]]:
        """Yield the rows of a higher id. On PostgreSQL ids of one writer become visible in their order."""
        highest = self._highest_id(connection, table)
        query = self._query(table).where(table.c.id > self._seen, table.c.id <= highest)
        query = query.order_by(table.c.id).execution_options(yield_per=MOST_AT_ONCE)
        for row in connection.execute(query).mappings():
            yield dict(row)
        self._seen = highest

    def _changed(self, bars: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the bars that are new or have changed."""
        changed = [
            bar for bar in bars if self._bars.get(bar["id"]) != (bar["received_at_ns"], bar["confirmed"])
        ]
        self._bars = {bar["id"]: (bar["received_at_ns"], bar["confirmed"]) for bar in bars}
        return changed


def _markets_told(connection: sa.Connection, table: sa.Table) -> set[Market]:
    """Return the markets with rows in a table; those of books and trades have an index to look them up."""
    if table.name in _UNINDEXED:
        query = sa.select(table.c.exchange, table.c.symbol).distinct().where(table.c.symbol.is_not(None))
        return {(row[0], row[1]) for row in connection.execute(query)}
    return markets_in(connection, table, Archive())
