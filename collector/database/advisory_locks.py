"""Name the advisory locks by which collectors on a PostgreSQL server know each other; see who holds them.

A writer takes one lock a stream and one for its session, on the connection that writes: a session whose
lock nobody holds has no collector any more.
"""

import hashlib
from collections.abc import Iterable

import sqlalchemy as sa

_HELD = """
    SELECT (classid::bigint << 32 | objid::bigint) AS key FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def lock_key(*parts: str) -> int:
    """Return the number of the lock that these names stand for."""
    digest = hashlib.blake2b("\0".join(("collector", *parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


def session_key(schema: str, session_id: str) -> int:
    """Return the number of a session's lock."""
    return lock_key(schema, "session", session_id)


def sessions_with_a_lock(connection: sa.Connection, session_ids: Iterable[str]) -> set[str]:
    """Return those of the sessions whose lock somebody holds. Takes no lock itself."""
    schema = str(connection.execute(sa.text("SELECT current_schema()")).scalar() or "")
    held = set(connection.execute(sa.text(_HELD)).scalars())
    return {one for one in session_ids if session_key(schema, one) in held}
