"""Lock streams in a PostgreSQL database: one collector a stream, several for different streams.

An advisory lock a stream, and one for the session, held by the very connection that writes: to lose the
connection is to lose the locks, so nothing is ever written without them. A new connection takes them again
before it is used. A server may believe for hours that a connection cut half-way is alive: such a one of
our own is ended.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collector.database import lock_key, session_key
from collector.errors import DatabaseInUse, SinkError
from collector.events import UNKNOWN, StreamKey
from collector.loggers import get_logger
from collector.sinks.contract import SessionState

if TYPE_CHECKING:
    from collector.database import Driver


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
        """Return whether it is a connection of this session."""
        return self.name.startswith(f"collector {session.session_id} ")

    @property
    def session_id(self) -> str | None:
        """Return the id of the session that it belongs to, if it is known."""
        words = self.name.split(" ")
        return words[1] if words[0] == "collector" and len(words) > 1 else None


def introduce(connection: "Driver", session: SessionState) -> None:
    """Set the connection's application name to the session, for other collectors to read."""
    name = f"collector {session.session_id} {session.pid}@{session.host}"
    connection.execute("SELECT set_config('application_name', %s, false)", (name[:_MAX_NAME_BYTES],))


def holder_of(connection: "Driver", key: int) -> Holder | None:
    """Return the holder of the lock of this key; None if nobody holds it any more."""
    row = connection.execute(_HOLDER, (key,)).fetchone()
    return None if row is None else Holder(int(str(row[0])), str(row[1]))


def described(connection: "Driver", holder: Holder | None, stream: StreamKey | None) -> str:
    """Return the words for a holder: process, host and session as far as the database knows them."""
    row = None
    if holder is not None and holder.session_id is not None:
        row = connection.execute(_SESSION, (holder.session_id,)).fetchone()
    if row is None and stream is not None:
        row = connection.execute(_WRITER, tuple(stream)).fetchone()
    if row is not None:
        return f"process {row[1]} on {row[0]} (session {row[2]})"
    return f"{holder.name or 'a connection'} (backend {holder.backend})" if holder else "one that just left"


_PATIENCE_MS = 5_000  # for the server to end a connection

log = get_logger(__name__)


class StreamLocks:
    """The locks of one session. Used by the thread that writes."""

    def __init__(self) -> None:
        self._session: SessionState | None = None
        self._streams: frozenset[StreamKey] = frozenset()
        self.were_lost = False  # and are back: meanwhile anything may have happened to the database

    def claim(self, connection: "Driver", session: SessionState, streams: Iterable[StreamKey]) -> None:
        """Lock these streams as well, all or none, or raise DatabaseInUse naming who holds one."""
        wanted = frozenset(streams)
        if self._session is not None and wanted <= self._streams:
            return
        new = frozenset(stream for stream in wanted if stream.symbol != UNKNOWN) - self._streams
        if self._session is not None and not new:
            return
        held = self._take(connection, session, new)
        if held is not None:
            raise DatabaseInUse(
                f"{held[0]} is collected into this database already, by {held[1]}; stop that one, leave the "
                f"stream out here, or use another database"
            )
        self._session = session
        self._streams |= new

    def take_again(self, connection: "Driver", _record: object = None) -> None:
        """Lock on a new connection what the previous one held, or raise a transient SinkError."""
        if self._session is None:
            return
        introduce(connection, self._session)
        held = self._take(connection, self._session, self._streams)
        connection.commit()  # the locks are the connection's and stay
        if held is not None:
            connection.close()
            log.error("database.streams_taken", stream=held[0], holder=held[1])
            raise SinkError(
                f"while the connection was lost, {held[0]} was taken by {held[1]}; waiting for it to end",
                transient=True,
            )
        self.were_lost = True
        log.info("database.streams_locked_again", streams=len(self._streams))

    def _take(
        self, connection: "Driver", session: SessionState, streams: Iterable[StreamKey]
    ) -> tuple[str, str] | None:
        """Lock all or none, and the session; return the first that somebody else holds, and who that is."""
        schema = _schema(connection)
        keys = {session_key(schema, session.session_id): StreamKey("", "this session", "")}
        keys |= {lock_key(schema, *stream): stream for stream in streams}
        refused = _try(connection, list(keys))
        for key in refused:
            holder = holder_of(connection, key)
            if holder is not None and holder.is_of(session):
                log.warning("database.lost_connection_ended", backend=holder.backend)
                connection.execute("SELECT pg_terminate_backend(%s, %s)", (holder.backend, _PATIENCE_MS))
        refused = _try(connection, refused)
        found = None
        if refused:
            stream = keys[refused[0]]
            who = described(connection, holder_of(connection, refused[0]), stream)
            found = " ".join(stream).strip(), who
            taken = list(keys.keys() - set(refused))
            connection.execute("SELECT pg_advisory_unlock(key) FROM unnest(%s::bigint[]) AS key", (taken,))
        return found


def ownerless(connection: "Driver", session_ids: Sequence[str]) -> list[str]:
    """Return the sessions whose collector has ended, locked until the transaction ends."""
    schema = _schema(connection)
    keys = {session_key(schema, session_id): session_id for session_id in session_ids}
    query = "SELECT key FROM unnest(%s::bigint[]) AS key WHERE pg_try_advisory_xact_lock(key)"
    return [keys[int(str(row[0]))] for row in connection.execute(query, (list(keys),))]


def _try(connection: "Driver", keys: Sequence[int]) -> list[int]:
    """Lock what can be locked; return what cannot."""
    query = "SELECT key FROM unnest(%s::bigint[]) AS key WHERE NOT pg_try_advisory_lock(key)"
    return [int(str(row[0])) for row in connection.execute(query, (list(keys),))] if keys else []


def _schema(connection: "Driver") -> str:
    row = connection.execute("SELECT current_schema()").fetchone()
    return "" if row is None else str(row[0])
