"""Find out who holds an advisory lock of PostgreSQL, and say it in words."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from collector.events.batch import StreamKey
from collector.sinks.contract import SessionState

if TYPE_CHECKING:
    import psycopg

    Driver = psycopg.Connection[tuple[object, ...]]

_MAX_NAME_BYTES = 63  # PostgreSQL's limit for an application's name
_HOLDER = """
    SELECT held.pid, coalesce(activity.application_name, '')
    FROM pg_locks AS held LEFT JOIN pg_stat_activity AS activity USING (pid)
    WHERE held.locktype = 'advisory' AND held.granted AND held.objsubid = 1
      AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (held.classid::bigint << 32 | held.objid::bigint) = %s
"""
_SESSION = "SELECT host, pid, session_id FROM collector_sessions WHERE session_id = %s"
# A role may not see what the connections of another one are called; coverage tells who wrote last.
_WRITER = """
    SELECT host, pid, session_id FROM collector_coverage JOIN collector_sessions USING (session_id)
    WHERE (exchange, symbol, channel) = (%s, %s, %s) ORDER BY start_ns DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Holder:
    """A connection that holds a lock."""

    backend: int  # its number on the server
    name: str  # what it calls itself

    def is_of(self, session: SessionState) -> bool:
        """Say whether it is a connection of this very session."""
        return self.name.startswith(f"collector {session.session_id} ")

    @property
    def session_id(self) -> str | None:
        """Name the session that it belongs to, if it says so."""
        words = self.name.split(" ")
        return words[1] if words[0] == "collector" and len(words) > 1 else None


def introduce(connection: "Driver", session: SessionState) -> None:
    """Give the connection a name by which others know whose it is."""
    name = f"collector {session.session_id} {session.pid}@{session.host}"
    connection.execute("SELECT set_config('application_name', %s, false)", (name[:_MAX_NAME_BYTES],))


def holder_of(connection: "Driver", key: int) -> Holder | None:
    """Return who holds the lock of this key; None when nobody does any more."""
    row = connection.execute(_HOLDER, (key,)).fetchone()
    return None if row is None else Holder(int(str(row[0])), str(row[1]))


def described(connection: "Driver", holder: Holder | None, stream: StreamKey | None) -> str:
    """Say who it is: process, host and session as far as the database knows them."""
    row = None
    if holder is not None and holder.session_id is not None:
        row = connection.execute(_SESSION, (holder.session_id,)).fetchone()
    if row is None and stream is not None:
        row = connection.execute(_WRITER, tuple(stream)).fetchone()
    if row is not None:
        return f"process {row[1]} on {row[0]} (session {row[2]})"
    return f"{holder.name or 'a connection'} (backend {holder.backend})" if holder else "one that just left"
