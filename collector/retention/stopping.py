"""End a run of the archive from another thread, also in the middle of a long query."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from collector.database import Tables, break_off
from collector.errors import CollectorError
from collector.query import reading

_NOTICE = sa.text(  # servers older than 14 lack it
    "SELECT set_config(name, '1s', false) FROM pg_settings WHERE name = 'client_connection_check_interval'"
)


class Stopped(CollectorError):  # noqa: N818  (asked for, and no fault)
    """The run was asked to end."""


class Stop:
    """Asked for by any thread, obeyed by the one that archives."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self._in_use: object | None = None  # guarded by _lock: the driver's connection that reads

    def ask(self) -> None:
        """End the run: at the next check, and the query under way at once. May be called again."""
        self._asked.set()
        with self._lock:
            if self._in_use is not None:
                break_off(self._in_use)

    def check(self) -> None:
        """Raise Stopped if the run is to end."""
        if self._asked.is_set():
            raise Stopped("the archive was asked to stop")

    @contextmanager
    def reading(self, url: str, table_name: str) -> Iterator[tuple[sa.Connection, Tables]]:
        """Yield one read-only transaction that a stop breaks off."""
        try:
            with reading(url, table_name) as (connection, tables):
                if connection.dialect.name == "postgresql":  # what is broken off must not go on there
                    connection.execute(_NOTICE)
                with self._lock:
                    self._in_use = connection.connection.driver_connection
                try:
                    self.check()
                    yield connection, tables
                finally:
                    with self._lock:
                        self._in_use = None
        except Exception:
            self.check()  # what was broken off is no failure
            raise
