"""Find what a session was asked to collect and has nothing of."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from collector.database import DEFAULT_TABLE_NAME, Tables
from collector.events import StreamKey
from collector.exchanges import is_registered, kind_of, market_meant, one_kind
from collector.query.database import Database, reading


def missing(database: Database, *, table_name: str = DEFAULT_TABLE_NAME) -> list[StreamKey]:
    """Return the streams configured for the sessions that run, or for the last one, that brought nothing.

    Neither a message was received of them, nor was silence covered. A market stands as it is written in the
    configuration.
    """
    with reading(database, table_name) as (connection, tables):
        newest_first = sa.select(tables.sessions).order_by(tables.sessions.c.started_ns.desc())
        sessions = connection.execute(newest_first).mappings().all()
        chosen = [one for one in sessions if one["ended_ns"] is None] or sessions[:1]
        absent = [
            key
            for session in chosen
            for key in _absent(session["wanted"], _had(connection, tables, session["session_id"]))
        ]
    return list(dict.fromkeys(absent))


def _had(connection: sa.Connection, tables: Tables, session_id: str) -> list[StreamKey]:
    """Return the streams of which a session received or covered something."""
    accounting, coverage = tables.accounting.c, tables.coverage.c
    queries = (
        sa.select(accounting.exchange, accounting.symbol, accounting.channel).where(
            accounting.session_id == session_id, accounting.received > 0
        ),
        sa.select(coverage.exchange, coverage.symbol, coverage.channel)
        .where(coverage.session_id == session_id)
        .distinct(),
    )
    return [StreamKey(*row) for query in queries for row in connection.execute(query)]


def _absent(wanted_text: str, had: list[StreamKey]) -> Iterator[StreamKey]:
    wanted: Mapping[str, Mapping[str, Any]] = json.loads(wanted_text)
    for exchange, asked in wanted.items():
        if not is_registered(exchange):
            continue  # of a version that knew more, or less
        here = [key for key in had if key.exchange == exchange]
        for symbol in asked.get("symbols", ()):
            for channel in asked.get("channels", ()):
                if not any(key.channel == channel and _means(symbol, key, asked) for key in here):
                    yield StreamKey(exchange, symbol, channel)


def _means(name: str, key: StreamKey, asked: Mapping[str, Any]) -> bool:
    """Return whether a name of the configuration may be the market that was collected under ccxt's name."""
    if name == key.symbol:
        return True
    market = one_kind(asked.get("market"))
    pair, _ = market_meant(key.exchange, name, market)
    other, kind = market_meant(key.exchange, key.symbol, market)
    return pair == other and kind_of(name) in (None, kind)
