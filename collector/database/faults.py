"""Classify what a database refuses: a retry may help, or the batch itself is unacceptable.

One table for both databases. State (lock, disk, connection, permission, a table gone): the batch is good and
is kept until the database is. Content: no waiting mends it; the rows that are to blame are found and set
aside, as they came. What no table knows counts as state, so that nothing good is ever set aside.
"""

import errno
from typing import Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError

from collector.errors import DatabaseAway, SinkError, UserError

# Every primary result code of SQLite that is an error (https://www.sqlite.org/rescode.html).
SQLITE_CONTENT: Final = {
    18: "TOOBIG",
    19: "CONSTRAINT",  # a trigger that others have set is one as well
    20: "MISMATCH",
    25: "RANGE",
}
SQLITE_STATE: Final = {
    1: "ERROR",  # no such table or column, mostly
    2: "INTERNAL",
    3: "PERM",
    4: "ABORT",
    5: "BUSY",
    6: "LOCKED",
    7: "NOMEM",
    8: "READONLY",
    9: "INTERRUPT",
    10: "IOERR",
    11: "CORRUPT",
    12: "NOTFOUND",
    13: "FULL",
    14: "CANTOPEN",
    15: "PROTOCOL",
    16: "EMPTY",
    17: "SCHEMA",
    21: "MISUSE",
    22: "NOLFS",
    23: "AUTH",
    24: "FORMAT",
    26: "NOTADB",
    27: "NOTICE",
    28: "WARNING",
}

# Every class of SQLSTATE that is an error (PostgreSQL documentation, appendix A).
SQLSTATE_CONTENT: Final = {
    "21": "cardinality violation",  # one statement would change a row twice
    "22": "data exception",
    "23": "integrity constraint violation",
    "44": "check option violation",
    "54": "program limit exceeded",
    "P0": "raised by a function",  # a trigger that others have set
}
SQLSTATE_STATE: Final = {
    "03": "statement not yet complete",
    "08": "connection exception",
    "09": "triggered action exception",
    "0A": "feature not supported",
    "0B": "invalid transaction initiation",
    "0F": "locator exception",
    "0L": "invalid grantor",
    "0P": "invalid role",
    "0Z": "diagnostics exception",
    "10": "XQuery error",
    "20": "case not found",
    "24": "invalid cursor state",
    "25": "invalid transaction state",  # read only
    "26": "invalid statement name",
    "27": "triggered data change violation",
    "28": "invalid authorization",
    "2B": "dependent privileges still exist",
    "2D": "invalid transaction termination",
    "2F": "routine exception",
    "34": "invalid cursor name",
    "38": "external routine exception",
    "39": "external routine invocation exception",
    "3B": "savepoint exception",
    "3D": "invalid catalog name",
    "3F": "invalid schema name",
    "40": "transaction rollback",
    "42": "syntax error or access rule violation",  # a table or a column gone, a permission taken
    "53": "insufficient resources",
    "55": "object not in prerequisite state",
    "57": "operator intervention",
    "58": "system error",
    "72": "snapshot failure",
    "F0": "configuration file error",
    "HV": "foreign data wrapper error",
    "XX": "internal error",
}

# Refused by a driver before the database saw it: no code, but the class says enough. A connection that is
# lost or closed has no code either; psycopg then says OperationalError or InterfaceError.
DRIVER_CONTENT: Final = {
    "sqlite3": ("DataError", "IntegrityError", "InterfaceError", "ProgrammingError"),
    "pysqlite3": ("DataError", "IntegrityError", "InterfaceError", "ProgrammingError"),
    "psycopg": ("DataError", "IntegrityError", "ProgrammingError"),
}

_NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE}

# Refused by us or by Python while binding: int beyond 64 bits, lone surrogate, ragged or unknown columns.
PYTHON_CONTENT: Final = (OverflowError, UnicodeError, TypeError, ValueError, LookupError)


def sink_error(error: Exception, database: str) -> SinkError:
    """Return the error to raise for one that writing a batch to the database met."""
    if isinstance(error, SinkError):
        return error
    cause = error.orig if isinstance(error, StatementError) and error.orig is not None else error
    is_cut = isinstance(error, DBAPIError) and error.connection_invalidated
    transient = is_cut or not _is_about_content(cause)
    advice = "the batch is kept for another try" if transient else "the batch will not do as it is"
    return SinkError(f"{database}: {_named(cause)}; {advice}", transient=transient)


# While a database is opened: states that pass, and of a server's classes those that do.
_SQLITE_PASSING: Final = {5, 6, 9, 10, 13, 15}  # busy, locked, interrupted, I/O, full, lock protocol
_SQLSTATE_PASSING: Final = ("08", "25", "40", "53", "55", "57", "58")
# A refused login has no code: libpq gives only the server's words.
_REFUSED_LOGIN: Final = (
    "authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "no password supplied",
)


def may_come_back(error: BaseException) -> bool:
    """Return whether a database that could not be opened may be there later, with the same settings."""
    cause = error.orig if isinstance(error, StatementError) and error.orig is not None else error
    if isinstance(cause, SinkError):
        return cause.transient
    if isinstance(cause, OSError):
        return cause.errno in _NO_ROOM
    sqlite_code: int | None = getattr(cause, "sqlite_errorcode", None)
    if sqlite_code is not None:
        return sqlite_code & 0xFF in _SQLITE_PASSING
    sqlstate: str | None = getattr(cause, "sqlstate", None)
    if sqlstate is not None:
        return sqlstate[:2] in _SQLSTATE_PASSING
    is_servers = type(cause).__module__.partition(".")[0] == "psycopg"
    return is_servers and not any(words in str(cause) for words in _REFUSED_LOGIN)


def is_from_a_database(error: BaseException) -> bool:
    """Return whether an error is the database's, its driver's or the system's, and no fault of ours."""
    driver = type(error).__module__.partition(".")[0]
    return isinstance(error, (SQLAlchemyError, OSError)) or driver in DRIVER_CONTENT


def opening_error(error: BaseException, text: str) -> UserError:
    """Return the error for a database that could not be opened: DatabaseAway where waiting may help."""
    return DatabaseAway(text) if may_come_back(error) else UserError(text)


def _is_about_content(error: BaseException) -> bool:
    sqlite_code: int | None = getattr(error, "sqlite_errorcode", None)
    if sqlite_code is not None:
        return sqlite_code & 0xFF in SQLITE_CONTENT
    sqlstate: str | None = getattr(error, "sqlstate", None)
    if sqlstate is not None:
        return sqlstate[:2] in SQLSTATE_CONTENT
    if isinstance(error, SQLAlchemyError):
        return False
    if isinstance(error, PYTHON_CONTENT):
        return True
    driver = type(error).__module__.partition(".")[0]
    return type(error).__name__ in DRIVER_CONTENT.get(driver, ())


def _named(error: BaseException) -> str:
    code = getattr(error, "sqlite_errorname", None) or getattr(error, "sqlstate", None)
    kind = type(error).__name__
    # The first line only: what follows may quote the row.
    text = (str(error).splitlines() or [kind])[0]
    return f"{code}: {text}" if code else f"{kind}: {text}"
