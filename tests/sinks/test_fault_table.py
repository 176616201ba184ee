"""The table of faults is complete: every code of both databases is in it, once."""

import sqlite3

import psycopg
import pytest
from psycopg import errors as postgres_errors
from sqlalchemy import exc

from collector.database.faults import (
    DRIVER_CONTENT,
    SQLITE_CONTENT,
    SQLITE_STATE,
    SQLSTATE_CONTENT,
    SQLSTATE_STATE,
    sink_error,
)
from collector.database.sqlite_file import pysqlite3

# Primary codes are below 256; these modules also name limits, actions of authorizers and successes.
SQLITE_NAMES = [
    "ERROR", "INTERNAL", "PERM", "ABORT", "BUSY", "LOCKED", "NOMEM", "READONLY", "INTERRUPT", "IOERR",
    "CORRUPT", "NOTFOUND", "FULL", "CANTOPEN", "PROTOCOL", "EMPTY", "SCHEMA", "TOOBIG", "CONSTRAINT",
    "MISMATCH", "MISUSE", "NOLFS", "AUTH", "FORMAT", "RANGE", "NOTADB", "NOTICE", "WARNING",
]  # fmt: skip
PRIMARY = tuple(f"SQLITE_{name}_" for name in SQLITE_NAMES)  # what extended codes begin with
DRIVERS = [sqlite3, psycopg, *([pysqlite3.dbapi2] if pysqlite3 else [])]
SUCCESS = {"00", "01", "02"}  # completion, warning, no data


def transient(error: Exception) -> bool:
    return sink_error(error, "db").transient


def test_every_result_code_of_sqlite_is_classed_once_by_its_name() -> None:
    assert not SQLITE_CONTENT.keys() & SQLITE_STATE.keys()
    known = SQLITE_CONTENT | SQLITE_STATE
    assert known == {getattr(sqlite3, f"SQLITE_{name}"): name for name in SQLITE_NAMES}
    extended = {
        value & 0xFF
        for name, value in vars(sqlite3).items()
        if name.startswith(PRIMARY) and isinstance(value, int) and value > 0xFF
    }
    assert extended - {0} <= known.keys()


def test_every_class_of_sqlstate_is_classed_once() -> None:
    assert not SQLSTATE_CONTENT.keys() & SQLSTATE_STATE.keys()
    states = {
        each.sqlstate
        for each in vars(postgres_errors).values()
        if isinstance(each, type) and isinstance(getattr(each, "sqlstate", None), str)
    }
    assert len(states) > 200
    assert {state[:2] for state in states} - SUCCESS == (SQLSTATE_CONTENT | SQLSTATE_STATE).keys()


@pytest.mark.parametrize("driver", DRIVERS)
def test_every_error_class_of_every_driver_is_known_by_its_name(driver: object) -> None:
    names = {
        name
        for name, each in vars(driver).items()
        if isinstance(each, type) and issubclass(each, driver.Error)  # type: ignore[attr-defined]
    }
    assert names >= {"DataError", "IntegrityError", "OperationalError", "ProgrammingError"}
    for name in names:
        kind: type[Exception] = getattr(driver, name)
        package = kind.__module__.partition(".")[0]
        assert transient(kind("no code")) == (name not in DRIVER_CONTENT[package])


@pytest.mark.parametrize(
    ("error", "is_transient"),
    [
        (OverflowError(), False),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), False),
        (KeyError("no such column"), False),
        (MemoryError(), True),
        (OSError(), True),
        (TimeoutError(), True),
        (AttributeError(), True),
        (exc.TimeoutError(), True),
        (exc.PendingRollbackError(), True),
        (exc.StatementError("wrapped", "INSERT", None, OverflowError()), False),
        (exc.StatementError("wrapped", "INSERT", None, OSError()), True),
        (exc.ProgrammingError("INSERT", None, sqlite3.ProgrammingError("odd type")), False),
        (
            exc.ProgrammingError("INSERT", None, sqlite3.ProgrammingError("closed"), None, True),
            True,
        ),
        (psycopg.InterfaceError("the cursor is closed"), True),
        (psycopg.OperationalError("the connection is lost"), True),
    ],
)
def test_what_has_no_code_is_content_only_where_that_is_sure(error: Exception, is_transient: bool) -> None:
    assert transient(error) == is_transient
