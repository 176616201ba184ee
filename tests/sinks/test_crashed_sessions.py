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


def test_a_session_that_died_while_it_filled_ends_no_earlier_than_it_began(
    any_database: str, open_sink: Callable[..., SqlSink]
) -> None:
    sink = open_sink(any_database)
    add(sink, "filling", None)
    stream = {"exchange": "kraken", "symbol": "BTC/USD", "channel": "trade"}
    span = {"start_ns": -9, "end_ns": -5, "alive_until_ns": -5, "rows": 1}
    segment = {"segment_id": 1, "session_id": "filling", "verification": "sequence", "end_cause": "filled"}
    counts = {"witnessed": 0, "disagreed": 0}
    row = {**stream, **span, **segment, **counts}
    sink.maintain(lambda connection: connection.execute(sa.insert(TABLES.coverage), [row]).rowcount)
    assert sink.close_crashed_sessions() == 1
    found: list[object] = []

    def read(connection: sa.Connection) -> int:
        sessions, coverage = TABLES.sessions.c, TABLES.coverage.c
        found.extend(connection.execute(sa.select(sessions.ended_ns, sessions.end_cause)).one())
        found.extend(connection.execute(sa.select(coverage.end_cause)).one())
        return 0

    sink.maintain(read)
    assert found == [0, CRASH, "filled"]
