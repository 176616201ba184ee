"""Close what a session that died could not close itself, and open again what was closed in error."""

from collections.abc import Collection

import sqlalchemy as sa

from collector.database import Tables
from collector.events import FILLED, REST

CRASH = "crash"


def open_sessions(connection: sa.Connection, tables: Tables) -> list[str]:
    """Return the sessions without an end whose collectors write here, not into a stream that is read."""
    sessions, from_stream = tables.sessions, tables.stream_sessions
    is_from_stream = sa.exists().where(from_stream.c.session_id == sessions.c.session_id)
    query = sa.select(sessions.c.session_id).where(sessions.c.ended_ns.is_(None), ~is_from_stream)
    return list(connection.execute(query).scalars())


def close_crashed(
    connection: sa.Connection, tables: Tables, session_ids: Collection[str], cause: str = CRASH
) -> int:
    """End these sessions and their segments; return how many there were."""
    sessions, last_alive = tables.sessions, _last_alive(tables)
    end_segments(connection, tables, session_ids, cause)
    return connection.execute(
        sa.update(sessions)
        .where(sessions.c.ended_ns.is_(None), sessions.c.session_id.in_(session_ids))
        .values(ended_ns=sa.func.coalesce(last_alive, sessions.c.started_ns), end_cause=cause)
    ).rowcount


def extend_to_last_sign(connection: sa.Connection, tables: Tables, session_ids: Collection[str]) -> None:
    """Let these sessions, which have ended, end no earlier than the last sign of their life."""
    sessions, last_alive = tables.sessions, _last_alive(tables)
    connection.execute(
        sa.update(sessions)
        .where(sessions.c.session_id.in_(session_ids), sessions.c.ended_ns < last_alive)
        .values(ended_ns=last_alive)
    )


def _last_alive(tables: Tables) -> sa.ScalarSelect[int]:
    coverage = tables.coverage.c
    query = sa.select(sa.func.max(coverage.alive_until_ns))
    # What REST filled lies in the past.
    query = query.where(coverage.verification != REST, coverage.end_cause.is_distinct_from(FILLED))
    return query.where(coverage.session_id == tables.sessions.c.session_id).scalar_subquery()


def end_segments(connection: sa.Connection, tables: Tables, session_ids: Collection[str], cause: str) -> int:
    """End the segments of these sessions that are still open; return how many there were."""
    coverage = tables.coverage
    return connection.execute(
        sa.update(coverage)
        .where(coverage.c.end_cause.is_(None), coverage.c.session_id.in_(session_ids))
        .values(end_cause=cause)
    ).rowcount


def end_all(connection: sa.Connection, tables: Tables, session_id: str, cause: str) -> None:
    """End the segments of a session that are open or that only a crash ended: something of them is lost."""
    coverage = tables.coverage
    may_go_on = sa.or_(coverage.c.end_cause.is_(None), coverage.c.end_cause == CRASH)
    connection.execute(
        sa.update(coverage).where(coverage.c.session_id == session_id, may_go_on).values(end_cause=cause)
    )


def reopen(connection: sa.Connection, tables: Tables, session_id: str) -> bool:
    """Take back what another collector said of a session that it took for dead; return whether it had."""
    for table in (tables.coverage, tables.sessions):
        ended = {"ended_ns": None} if table is tables.sessions else {}
        found = connection.execute(
            sa.update(table)
            .where(table.c.session_id == session_id, table.c.end_cause == CRASH)
            .values(end_cause=None, **ended)
        ).rowcount
    return found > 0
