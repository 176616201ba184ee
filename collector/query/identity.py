"""Read the terms of the identity of each stream, and the sessions."""

import json
from typing import Any

import sqlalchemy as sa

from collector.database import DEFAULT_TABLE_NAME, Tables
from collector.query.database import Database, has_table, reading

SUMMED = ("received", "written", "merged", "sampled_out", "rejected", "dropped")


def status(database: Database, *, table_name: str = DEFAULT_TABLE_NAME) -> list[dict[str, Any]]:
    """Return a dict for each stream: its names, the terms over all sessions, and the reasons of rejection.

    Rows that one session left in the spool are carried in by another: they are `pending` of the first and
    `carried_in` of the second, so that over all sessions `pending` is what is still on its way and
    `carried_in` is 0, unless it came from a session that is not in this database.
    """
    with reading(database, table_name) as (connection, tables):
        return summed_accounting(connection, tables)


def summed_accounting(connection: sa.Connection, tables: Tables) -> list[dict[str, Any]]:
    """Return the terms of each stream, added up over all sessions."""
    accounting, sessions = tables.accounting, tables.sessions
    query = (
        sa.select(accounting)
        .outerjoin(sessions, sessions.c.session_id == accounting.c.session_id)
        .order_by(accounting.c.exchange, accounting.c.symbol, accounting.c.channel, sessions.c.started_ns)
    )
    found = connection.execute(query).mappings().all()
    streams: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in found:
        key = row["exchange"], row["symbol"], row["channel"]
        stream = streams.setdefault(key, nothing_yet(key))
        for term in (*SUMMED, "pending", "carried_in"):
            stream[term] += row[term]
        stream["sessions"] += 1
        for reason, count in json.loads(row["rejected_reasons"]).items():
            stream["reasons"][reason] = stream["reasons"].get(reason, 0) + count
    for stream in streams.values():
        passed_on = min(stream["pending"], stream["carried_in"])
        stream["pending"] -= passed_on
        stream["carried_in"] -= passed_on
    return list(streams.values())


def sessions(database: Database, *, table_name: str = DEFAULT_TABLE_NAME) -> list[dict[str, Any]]:
    """Return a dict for each run of the program, the newest first, with what it committed last."""
    with reading(database, table_name) as (connection, tables):
        batches = (
            sa.select(
                tables.batches.c.session_id,
                sa.func.count().label("batches"),
                sa.func.max(tables.batches.c.committed_ns).label("committed_ns"),
            )
            .group_by(tables.batches.c.session_id)
            .subquery()
        )
        query = (
            sa.select(tables.sessions, batches.c.batches, batches.c.committed_ns)
            .outerjoin(batches, batches.c.session_id == tables.sessions.c.session_id)
            .order_by(tables.sessions.c.started_ns.desc())
        )
        return [dict(row) for row in connection.execute(query).mappings()]


def database_identity(database: Database, *, table_name: str = DEFAULT_TABLE_NAME) -> str:
    """Return what tells the database from every other; empty where no collector has given it one yet."""
    with reading(database, table_name) as (connection, tables):
        if not has_table(connection, tables.database):
            return ""
        told = tables.database.c
        found = connection.execute(sa.select(told.value).where(told.name == "identity")).scalar()
        return str(found or "")


def nothing_yet(key: tuple[str, ...]) -> dict[str, Any]:
    """Return the terms of a stream, exchange, symbol and channel, of which nothing came."""
    names = dict(zip(("exchange", "symbol", "channel"), key, strict=True))
    counts = dict.fromkeys((*SUMMED, "carried_in", "pending"), 0)
    return {**names, **counts, "sessions": 0, "reasons": {}}
