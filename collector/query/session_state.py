"""Tell which sessions write now, and which died: by the lock that a living collector holds."""

import time
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from collector.database import (
    DEFAULT_TABLE_NAME,
    Tables,
    file_holder,
    sessions_with_a_lock,
    sqlite_path,
)
from collector.query.database import Database, has_table, located, reading
from collector.query.identity import sessions

STALE_S = 30.0  # a session that runs and has committed nothing for so long deserves a word
REMEMBERED_S = 7 * 86_400  # so long a session that crashed is missed
_NS = 1_000_000_000


class SessionState(StrEnum):
    """What a session does now."""

    WRITING = "writing"
    STALE = "stale"  # its collector lives, and has committed nothing for a while
    ENDED = "ended"  # in order
    DEAD = "dead"  # its collector is gone without having ended it
    CRASHED = "crashed"  # the same, and another collector has closed it since


def sessions_now(database: Database, *, table_name: str = DEFAULT_TABLE_NAME) -> list[dict[str, Any]]:
    """Return a dict for each session, the newest first, with its `state` and whether it is `missed`.

    A session is missed when it died and none with the same wishes has begun since: nobody collects what it
    was to collect.
    """
    found = sessions(database, table_name=table_name)
    held = _held(database, [one["session_id"] for one in found if one["ended_ns"] is None], table_name)
    now_ns = time.time_ns()
    stated = [{**one, "state": _state(one, held, now_ns)} for one in found]
    return [
        {**one, "state": str(one["state"]), "missed": _is_missed(one, stated[:number], now_ns)}
        for number, one in enumerate(stated)
    ]


def _held(database: Database, unended: list[str], table_name: str) -> set[str]:
    """Return those of the sessions without an end whose collector lives."""
    if not unended:
        return set()
    path = sqlite_path(located(database))
    if path is not None and file_holder(path) is not None:
        return set(unended)  # who takes the lock closes all sessions that others left open
    with reading(database, table_name) as (connection, tables):
        held = set[str]() if path is not None else sessions_with_a_lock(connection, unended)
        return held | _from_streams(connection, tables).intersection(unended)


def _from_streams(connection: sa.Connection, tables: Tables) -> set[str]:
    """Return the sessions whose rows come of a stream: who reads it ends them when nothing comes any more."""
    if not has_table(connection, tables.stream_sessions):
        return set()
    return set(connection.execute(sa.select(tables.stream_sessions.c.session_id)).scalars())


def _state(session: Mapping[str, Any], held: set[str], now_ns: int) -> SessionState:
    if session["ended_ns"] is not None:
        return SessionState.CRASHED if session["end_cause"] == "crash" else SessionState.ENDED
    if session["session_id"] not in held:
        return SessionState.DEAD
    committed_ns = session["committed_ns"] or session["started_ns"]
    return SessionState.STALE if now_ns - committed_ns > STALE_S * _NS else SessionState.WRITING


def _is_missed(session: Mapping[str, Any], later: Iterable[Mapping[str, Any]], now_ns: int) -> bool:
    if session["state"] is SessionState.DEAD:
        return True
    if session["state"] is not SessionState.CRASHED:
        return False
    if now_ns - session["ended_ns"] > REMEMBERED_S * _NS:
        return False
    return not any(one["wanted"] == session["wanted"] for one in later)
