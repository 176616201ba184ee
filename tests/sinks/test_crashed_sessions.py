"""A session taken for dead that goes on: what was said of it is taken back."""

from collections.abc import Callable

import sqlalchemy as sa

from collector.database.tables import DEFAULT_TABLE_NAME, make_tables
from collector.sinks.sql.crashed_sessions import CRASH, reopen
from collector.sinks.sql.sink import SqlSink

TABLES = make_tables(DEFAULT_TABLE_NAME)


def add(sink: SqlSink, session_id: str, end_cause: str | None) -> None:
    row = {"session_id": session_id, "started_ns": 0, "version": "0", "host": "h", "pid": 1, "wanted": "{}"}
    row |= {"end_cause": end_cause, "ended_ns": None if end_cause is None else 5}
    sink.maintain(lambda connection: connection.execute(sa.insert(TABLES.sessions), [row]).rowcount)


def test_only_what_was_called_a_crash_is_taken_back(
    any_database: str, open_sink: Callable[..., SqlSink]
) -> None:
    sink = open_sink(any_database)
    for session_id, cause in (("dead", CRASH), ("stopped", "stop"), ("alive", None)):
        add(sink, session_id, cause)
    found: dict[str, bool] = {}

    def take_back(connection: sa.Connection) -> int:
        found.update({name: reopen(connection, TABLES, name) for name in ("dead", "stopped", "alive")})
        return 0

    sink.maintain(take_back)
    assert found == {"dead": True, "stopped": False, "alive": False}
    kept: dict[str, object] = {}

    def read(connection: sa.Connection) -> int:
        sessions = TABLES.sessions.c
        rows = connection.execute(sa.select(sessions.session_id, sessions.end_cause, sessions.ended_ns))
        kept.update({name: (cause, ended) for name, cause, ended in rows})
        return 0

    sink.maintain(read)
    assert kept == {"dead": (None, None), "stopped": ("stop", 5), "alive": (None, None)}
