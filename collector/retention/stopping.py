"""End a run of the archive from another thread, also in the middle of a long query."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from collector.database import Tables, break_off
from collector.errors import CollectorError
from collector.query import reading

_PATIENCE_S = 0.5  # for a server to take the word that a query is to end


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
                _cancel(self._in_use)

    def check(self) -> None:
        """Raise Stopped if the run is to end."""
        if self._asked.is_set():
            raise Stopped("the archive was asked to stop")

    @contextmanager
    def reading(self, url: str, table_name: str) -> Iterator[tuple[sa.Connection, Tables]]:
        """Yield one read-only transaction that a stop breaks off."""
        try:
            with reading(url, table_name) as (connection, tables):
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


def _cancel(connection: object) -> None:
    """End the query under way; a server is asked to, so that the connection can be closed in good order."""
    ask_server = getattr(connection, "cancel_safe", None)
    if ask_server is None:
        break_off(connection)
        return
    try:
        ask_server(timeout=_PATIENCE_S)
    except Exception:  # noqa: BLE001  (each driver says in its own way that it cannot)
        break_off(connection)
