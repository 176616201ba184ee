"""Interrupt a database call from another thread than the one that waits for it."""

import os
import socket
import sqlite3
from contextlib import suppress

from collector.database.sqlite_file import sqlite_library


def break_off(connection: object) -> None:
    """Make the call that waits on this driver's connection end with an error. Harmless when none does.

    SQLite ends its statement. The socket of a server is shut down, not closed: the waiting thread still has
    it, and its number must not be given to something else meanwhile. Nothing that a driver offers does that:
    with keepalives and every timeout set, a half-open connection was still waited for.
    """
    if isinstance(connection, (sqlite3.Connection, sqlite_library().Connection)):
        with suppress(sqlite_library().Error, sqlite3.Error):  # closed meanwhile
            connection.interrupt()
        return
    fileno = getattr(connection, "fileno", None)
    if fileno is not None:
        with suppress(Exception):  # closed meanwhile; each driver says so in its own way
            _shut_down(fileno())


def _shut_down(descriptor: int) -> None:
    with socket.socket(fileno=os.dup(descriptor)) as same, suppress(OSError):
        same.shutdown(socket.SHUT_RDWR)
