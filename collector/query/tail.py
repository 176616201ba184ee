"""Read the rows of a table as they come, the newest first asked for, then whatever follows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from collector.database.tables import DEFAULT_TABLE_NAME, Tables
from collector.errors import QueryError
from collector.query.database import open_for_reading, reading

TABLES = ("book", "levels", "trades", "ohlcv", "ohlcv_corrections", "rejected", "events")
MOST_AT_ONCE = 1000
REVISED_ROWS = 200  # so many of the newest bars are looked at again: a bar changes until it is confirmed


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows are asked for; None leaves it open."""

    table: str = "book"
    exchange: str | None = None
    symbol: str | None = None


class Tail:
    """Remembers what was shown. Each call of `more` is a short transaction of its own."""

    def __init__(
        self, database: str, wanted: Wanted, *, last: int = 10, table_name: str = DEFAULT_TABLE_NAME
    ) -> None:
        if wanted.table not in TABLES:
            raise QueryError(f"no table is called {wanted.table!r}, expected one of {', '.join(TABLES)}")
        self._engine = open_for_reading(database)
        self._wanted = wanted
        self._last = last
        self._table_name = table_name
        self._seen: int | None = None
        self._bars: dict[int, tuple[Any, Any]] = {}  # when each of the newest bars was last updated

    def more(self) -> Iterator[dict[str, Any]]:
        """Yield what is new, oldest first; on the first call the last rows there are."""
        with reading(self._engine, self._table_name) as (connection, tables):
            table = self._table(tables)
            if self._seen is None:
                rows = self._newest(connection, table, self._last)
                self._seen = self._highest_id(connection, table)
                if self._wanted.table == "ohlcv":
                    self._changed(self._newest(connection, table, REVISED_ROWS))
                yield from rows
            elif self._wanted.table == "ohlcv":
                yield from self._changed(self._newest(connection, table, REVISED_ROWS))
            else:
                yield from self._following(connection, table)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def _table(self, tables: Tables) -> sa.Table:
        name = "hot" if self._wanted.table == "book" else self._wanted.table
        table: sa.Table = getattr(tables, name)
        return table

    def _question(self, table: sa.Table) -> sa.Select[Any]:
        question = sa.select(table)
        for name in ("exchange", "symbol"):
            value = getattr(self._wanted, name)
            if value is not None:
                question = question.where(table.c[name] == value)
        return question

    def _newest(self, connection: sa.Connection, table: sa.Table, most: int) -> list[dict[str, Any]]:
        question = self._question(table).order_by(table.c.id.desc()).limit(most)
        return [dict(row) for row in connection.execute(question).mappings()][::-1]

    def _highest_id(self, connection: sa.Connection, table: sa.Table) -> int:
        return int(connection.execute(sa.select(sa.func.max(table.c.id))).scalar_one() or 0)

    def _following(self, connection: sa.Connection, table: sa.Table) -> Iterator[dict[str, Any]]:
        """Yield the rows of a higher id. On PostgreSQL ids of one writer become visible in their order."""
        highest = self._highest_id(connection, table)
        question = self._question(table).where(table.c.id > self._seen, table.c.id <= highest)
        question = question.order_by(table.c.id).execution_options(yield_per=MOST_AT_ONCE)
        for row in connection.execute(question).mappings():
            yield dict(row)
        self._seen = highest

    def _changed(self, bars: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the bars that are new or say something new."""
        changed = [
            bar for bar in bars if self._bars.get(bar["id"]) != (bar["received_at_ns"], bar["confirmed"])
        ]
        self._bars = {bar["id"]: (bar["received_at_ns"], bar["confirmed"]) for bar in bars}
        return changed
