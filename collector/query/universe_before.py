"""Find which markets belonged to an exchange's universe when it was last collected."""

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from collector.database import DEFAULT_TABLE_NAME, Tables
from collector.exchanges import market_meant, one_kind
from collector.query.database import Database, has_table, reading

SESSIONS = 50  # looked through, the newest first: one that died at once has nothing to tell
LEFT = frozenset({"unsubscribed", "left_universe", "delisted", "streams_taken"})  # not collected to its end


def last_universe(database: Database, exchange: str, *, table_name: str = DEFAULT_TABLE_NAME) -> list[str]:
    """Return the symbols that the last session with a universe of an exchange collected to its end for it.

    Those that its configuration named are left out. Raises QueryError where nothing can be read.
    """
    with reading(database, table_name) as (connection, tables):
        if not has_table(connection, tables.sessions):
            return []
        newest_first = (
            sa.select(tables.sessions).order_by(tables.sessions.c.started_ns.desc()).limit(SESSIONS)
        )
        for session in connection.execute(newest_first).mappings().all():
            asked = json.loads(session["wanted"]).get(exchange)
            if not isinstance(asked, Mapping) or not asked.get("universe"):
                continue
            named = {_meant(exchange, name, asked) for name in asked.get("symbols", ())}
            collected = _collected(connection, tables, session["session_id"], exchange)
            found = [symbol for symbol in collected if _meant(exchange, symbol, asked) not in named]
            if found:
                return found
    return []


def _collected(connection: sa.Connection, tables: Tables, session_id: str, exchange: str) -> list[str]:
    coverage = tables.coverage
    query = (
        sa.select(coverage.c.symbol, coverage.c.end_cause)
        .where(coverage.c.session_id == session_id, coverage.c.exchange == exchange)
        .order_by(coverage.c.start_ns)
    )
    causes: dict[str, str | None] = {row.symbol: row.end_cause for row in connection.execute(query)}
    return sorted(symbol for symbol, cause in causes.items() if cause not in LEFT)


def _meant(exchange: str, name: str, asked: Mapping[str, Any]) -> tuple[str, str | None]:
    return market_meant(exchange, name, one_kind(asked.get("market")))
