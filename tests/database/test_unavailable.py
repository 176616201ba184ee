"""Which failures of opening a database are waited for, and which are mistakes."""

import sqlite3

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from collector.database.faults import may_come_back
from collector.errors import DatabaseAway
from collector.sinks.sql.sink import SqlSink


class AnsweredError(Exception):
    """An error as psycopg raises it: with the server's code, where there was an answer."""

    def __init__(self, text: str, sqlstate: str | None = None) -> None:
        self.sqlstate = sqlstate
        super().__init__(text)


AnsweredError.__module__ = "psycopg.errors"


def sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("words")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize("code", [5, 6, 10, 13, 15, 5 | 2 << 8, 10 | 15 << 8])
def test_a_file_that_is_locked_or_has_no_room_is_waited_for(code: int) -> None:
    assert may_come_back(OperationalError("BEGIN", {}, sqlite_error(code)))


@pytest.mark.parametrize("code", [1, 8, 11, 14, 23, 26])
def test_a_file_that_cannot_be_used_is_a_mistake(code: int) -> None:
    assert not may_come_back(OperationalError("BEGIN", {}, sqlite_error(code)))


@pytest.mark.parametrize(
    "error",
    [
        AnsweredError("connection refused"),
        AnsweredError("connection failed: FATAL:  the database system is starting up"),
        AnsweredError("failed to resolve host 'db': Name or service not known"),
        AnsweredError("out of memory", "53200"),
        AnsweredError("the database system is starting up", "57P03"),
        AnsweredError("canceling statement due to lock timeout", "55P03"),
        AnsweredError("no space left on device", "53100"),
        AnsweredError("terminating connection due to idle-in-transaction timeout", "25P03"),
    ],
)
def test_a_server_that_is_away_is_waited_for(error: Exception) -> None:
    assert may_come_back(OperationalError("SELECT 1", {}, error))


@pytest.mark.parametrize(
    "error",
    [
        AnsweredError('FATAL:  password authentication failed for user "me"'),
        AnsweredError('FATAL:  database "nothing" does not exist'),
        AnsweredError('FATAL:  no pg_hba.conf entry for host "1.2.3.4"'),
        AnsweredError("permission denied for table collector_sessions", "42501"),
        AnsweredError("the schema is not there", "3F000"),
        AnsweredError("password wrong", "28P01"),
    ],
)
def test_a_server_that_refuses_us_is_a_mistake(error: Exception) -> None:
    assert not may_come_back(OperationalError("SELECT 1", {}, error))


def test_so_is_one_that_may_only_be_read(empty_postgres_url: str) -> None:
    """As a standby is until it takes over: before its tables are made, and when they are there."""
    engine = sa.create_engine(empty_postgres_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)

    def read_only(is_so: str) -> None:
        with engine.connect() as connection:
            name = engine.url.database
            connection.exec_driver_sql("SET default_transaction_read_only = off")
            connection.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_read_only = {is_so}")

    sink = SqlSink(empty_postgres_url, auto_migrate=True)
    for _ in ("empty", "with tables"):
        read_only("on")
        with pytest.raises(DatabaseAway, match="read-only transaction"):
            sink.open()
        read_only("off")
        sink.open()
        sink.close()
