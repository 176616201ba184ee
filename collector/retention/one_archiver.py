"""Let one process at a time archive a database, and tell which of its rows are final.

An SQLite file has one collector, and its ids appear in the order of their commits. A server has several:
there an advisory lock keeps a second archiver out, and a row may appear with an id below ones that are
committed, as long as the transaction that has taken the id is open.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import sqlalchemy as sa

from collector.database import database_url, make_engine, shown, sqlite_path
from collector.errors import CollectorError, DatabaseInUse
from collector.retention.stopping import Stop

LastFinal = Callable[[sa.Table], int | None]

_LOCK = 0x61726368  # "arch"; with the schema's name it is the key of the lock
_PATIENCE_S = 5.0  # for transactions that write while we look
_LOOK_AGAIN_S = 0.05
_TRY_LOCK = sa.text("SELECT pg_try_advisory_lock(:lock, hashtext(current_schema()))")
_UNLOCK = sa.text("SELECT pg_advisory_unlock(:lock, hashtext(current_schema()))")
_HOLDER = sa.text(
    "SELECT coalesce(activity.application_name, '') FROM pg_locks AS held "
    "LEFT JOIN pg_stat_activity AS activity USING (pid) "
    "WHERE held.locktype = 'advisory' AND held.granted AND held.objsubid = 2 AND held.classid = :lock "
    "AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_WRITERS = sa.text(  # a transaction takes this lock before it takes its first id
    "SELECT virtualtransaction, coalesce(pid, 0) FROM pg_locks WHERE locktype = 'relation' AND granted "
    "AND mode = 'RowExclusiveLock' AND relation = CAST(:name AS regclass) "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@contextmanager
def only_archiver(url: str, stop: Stop) -> Iterator[LastFinal]:
    """Be the only archiver of the database, or raise DatabaseInUse naming the one that there is.

    Yields a function that returns the id up to which no row of a table can appear any more; None: any id.
    """
    where = database_url(url)
    if sqlite_path(where) is not None:
        yield lambda _: None
        return
    engine = make_engine(where)
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            me = f"collector archive {os.getpid()}@{socket.gethostname()}"
            connection.execute(sa.text("SELECT set_config('application_name', :me, false)"), {"me": me})
            if not connection.execute(_TRY_LOCK, {"lock": _LOCK}).scalar_one():
                holder = connection.execute(_HOLDER, {"lock": _LOCK}).scalar()
                raise DatabaseInUse(
                    f"old rows of {shown(where)} are being moved to files already, by "
                    f"{holder or 'another process'}; one at a time does that: wait until it is through"
                )
            try:
                yield lambda table: _last_final(connection, table, stop)
            finally:  # the server lets go of what a closed connection held a moment later only
                with suppress(sa.exc.DBAPIError, sa.exc.InvalidRequestError):
                    connection.execute(_UNLOCK, {"lock": _LOCK})
    finally:
        engine.dispose()


def _last_final(connection: sa.Connection, table: sa.Table, stop: Stop) -> int:
    last_id = connection.execute(sa.select(sa.func.coalesce(sa.func.max(table.c.id), 0))).scalar_one()
    name = {"name": connection.dialect.identifier_preparer.format_table(table)}
    open_then = {row[0]: row[1] for row in connection.execute(_WRITERS, name)}
    deadline_s = time.monotonic() + _PATIENCE_S
    while open_then:
        stop.check()
        open_now = {row[0] for row in connection.execute(_WRITERS, name)}
        open_then = {one: pid for one, pid in open_then.items() if one in open_now}
        if open_then and time.monotonic() > deadline_s:
            raise CollectorError(
                f"a transaction of server process {next(iter(open_then.values()))} has been writing to "
                f"{table.name} for more than {_PATIENCE_S:g} s; which of its rows are final is not known"
            )
        if open_then:
            time.sleep(_LOOK_AGAIN_S)
    return int(last_id)
