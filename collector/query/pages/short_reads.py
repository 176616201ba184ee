"""Read a database while another thread or process writes it: no transaction lasts longer than a second."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from collector.database import DEFAULT_TABLE_NAME, Tables
from collector.errors import DatabaseAway, QueryError, ReadTooLong, in_one_line
from collector.masking import passwords_in, without
from collector.query.database import Database, located, reading

READ_LIMIT_S = 1.0
_STEPS = 10_000  # of SQLite's virtual machine, between two looks at the time: about a tenth of a millisecond


class ShortReads:
    """Reads one database. For any thread; several may read at once.

    It is opened anew each time, so that a file that was replaced is seen and no connection stays.
    """

    def __init__(
        self, database: Database, table_name: str = DEFAULT_TABLE_NAME, *, limit_s: float = READ_LIMIT_S
    ) -> None:
        self._url = located(database)
        self._secrets = passwords_in(self._url.render_as_string(hide_password=False))
        self._table_name = table_name
        self._limit_s = limit_s

    @contextmanager
    def reading(self) -> Iterator[tuple[sa.Connection, Tables]]:
        """Yield one read-only transaction.

        Raises ReadTooLong when its time is over, DatabaseAway where the database cannot be read: without a
        password, which a driver may repeat.
        """
        until_s = time.monotonic() + self._limit_s
        too_long = ReadTooLong(
            f"it takes longer than {self._limit_s:g} s, and is given up to disturb no writer; "
            "expected a shorter span or a lower limit"
        )
        try:
            with (
                reading(self._url, self._table_name) as (connection, tables),
                _limited(connection, until_s, too_long),
            ):
                yield connection, tables
        except sa.exc.DBAPIError as error:
            if time.monotonic() >= until_s or _is_cancelled(error):
                raise too_long from None
            if isinstance(error, sa.exc.DataError):
                raise QueryError("a value that the database does not take; expected plain text") from None
            words = in_one_line(error if error.orig is None else Exception(str(error.orig)))
            told = without(words, self._secrets)
            raise DatabaseAway(f"the database cannot be read now: {told}") from None


@contextmanager
def _limited(connection: sa.Connection, until_s: float, too_long: ReadTooLong) -> Iterator[None]:
    """End whatever is asked within the block when the time is over."""
    if connection.dialect.name != "sqlite":
        event.listen(connection, "before_cursor_execute", _TimeLeft(until_s, too_long))
        yield
        return
    driver: Any = connection.connection.driver_connection
    driver.set_progress_handler(lambda: int(time.monotonic() >= until_s), _STEPS)
    try:
        yield
    finally:
        driver.set_progress_handler(None, 0)


class _TimeLeft:
    """Gives each statement of a server what is left of the time of all."""

    def __init__(self, until_s: float, too_long: ReadTooLong) -> None:
        self._until_s = until_s
        self._too_long = too_long

    def __call__(self, _connection: sa.Connection, cursor: Any, *_: object) -> None:
        """Tell the server before a statement."""
        left_ms = int((self._until_s - time.monotonic()) * 1000)
        if left_ms <= 0:  # 0 would mean no limit
            raise self._too_long
        cursor.execute(f"SET LOCAL statement_timeout = {left_ms}")


def _is_cancelled(error: sa.exc.DBAPIError) -> bool:
    """Return whether a server ended a statement for the time that it took (SQLSTATE 57014)."""
    return getattr(error.orig, "sqlstate", None) == "57014"
