"""Class what a database refuses: another try may help, or the batch itself will never do.

One table for both databases. Transient: lock, disk, connection, permission, a table gone: the batch is
good and is kept until the database is. Not transient: the content, which no waiting mends. What the
table does not know counts as transient, so that nothing good is ever thrown away.
"""

from typing import Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from collector.errors import SinkError

# Primary result codes of SQLite that speak of the content (https://www.sqlite.org/rescode.html).
SQLITE_CONTENT: Final = {
    18: "SQLITE_TOOBIG",
    19: "SQLITE_CONSTRAINT",
    20: "SQLITE_MISMATCH",
    25: "SQLITE_RANGE",
}

# Classes of SQLSTATE that speak of the content (PostgreSQL documentation, appendix A).
SQLSTATE_CONTENT: Final = {
    "22": "data exception",
    "23": "integrity constraint violation",
    "54": "program limit exceeded",
}

# Refused by a driver before the database saw it: no code, but the class says enough. A lost
# connection has no code either; its class is OperationalError.
DRIVER_CONTENT: Final = ("DataError", "IntegrityError", "InterfaceError", "ProgrammingError")

# Refused by Python while binding: int beyond 64 bits, lone surrogate, ragged columns, unknown column.
PYTHON_CONTENT: Final = (OverflowError, UnicodeError, TypeError, ValueError, LookupError)


def sink_error(error: Exception, database: str) -> SinkError:
    """Return the error to raise for one that writing a batch to the database met."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    transient = not _is_about_content(cause)
    advice = "the batch is kept for another try" if transient else "the batch will not do as it is"
    return SinkError(f"{database}: {_named(cause)}; {advice}", transient=transient)


def _is_about_content(error: BaseException) -> bool:
    sqlite_code: int | None = getattr(error, "sqlite_errorcode", None)
    if sqlite_code is not None:
        return sqlite_code & 0xFF in SQLITE_CONTENT
    sqlstate: str | None = getattr(error, "sqlstate", None)
    if sqlstate is not None:
        return sqlstate[:2] in SQLSTATE_CONTENT
    if isinstance(error, PYTHON_CONTENT):
        return True
    return not isinstance(error, SQLAlchemyError) and type(error).__name__ in DRIVER_CONTENT


def _named(error: BaseException) -> str:
    code = getattr(error, "sqlite_errorname", None) or getattr(error, "sqlstate", None)
    kind = type(error).__name__
    # The first line only: what follows may quote the row.
    text = (str(error).splitlines() or [kind])[0]
    return f"{code}: {text}" if code else f"{kind}: {text}"
