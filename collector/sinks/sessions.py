"""Close what a session that died could not close itself."""

import sqlalchemy as sa

from collector.sinks.schema import Tables


def close_crashed(connection: sa.Connection, tables: Tables, cause: str) -> int:
    """End every session without an end, and its segments; return how many sessions there were."""
    sessions, coverage = tables.sessions, tables.coverage
    is_open = sessions.c.ended_ns.is_(None)
    last_alive = (
        sa.select(sa.func.max(coverage.c.alive_until_ns))
        .where(coverage.c.session_id == sessions.c.session_id)
        .scalar_subquery()
    )
    connection.execute(
        sa.update(coverage)
        .where(coverage.c.end_cause.is_(None))
        .where(coverage.c.session_id.in_(sa.select(sessions.c.session_id).where(is_open)))
        .values(end_cause=cause)
    )
    return connection.execute(
        sa.update(sessions)
        .where(is_open)
        .values(ended_ns=sa.func.coalesce(last_alive, sessions.c.started_ns), end_cause=cause)
    ).rowcount
