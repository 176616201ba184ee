"""Read the address of a database: a path of an SQLite file, or an SQLAlchemy URL."""

import os
from importlib.util import find_spec
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from collector.errors import MissingExtra, UserError

_EXPECTED = "expected a path of an SQLite file or postgresql://user:password@host/database"
_SQLITE = ("sqlite", "sqlite+pysqlite")
_PORT = 5432
_POSTGRES = ("postgresql", "postgres", "postgresql+psycopg")


def database_url(text: str | sa.URL) -> sa.URL:
    """Return the URL, complete and checked, or raise UserError saying what to write instead."""
    if isinstance(text, str) and "://" not in text:
        return _sqlite_url(sa.URL.create("sqlite", database=text))
    try:
        url = sa.make_url(text)
    except (ArgumentError, ValueError):
        # Not chained and not shown: the text may hold a password.
        raise UserError(f"the database URL cannot be understood; {_EXPECTED}") from None
    if url.drivername in _SQLITE:
        return _sqlite_url(url)
    if url.drivername in _POSTGRES:
        if find_spec("psycopg") is None:
            raise MissingExtra("psycopg, the driver of PostgreSQL", "postgres")
        return url.set(drivername="postgresql+psycopg")
    raise UserError(f"databases of kind {url.drivername!r} are not supported; {_EXPECTED}")


def shown(url: sa.URL) -> str:
    """Return the URL as it may be printed: an SQLite file by its path, any other without its password."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return url.render_as_string(hide_password=True)


def address_of(url: sa.URL) -> str:
    """Return where the database is, the same however the URL is spelt: no user, no password, no options."""
    path = sqlite_path(url)
    if path is not None:
        return os.path.realpath(path)
    host, port = url.host or url.query.get("host"), url.port or url.query.get("port")
    return f"{str(host or 'localhost').lower()}:{port or _PORT}/{url.database or url.username or ''}"


def without_password(url: sa.URL) -> sa.URL:
    """Return the URL as it may be kept in a file: no password, neither before the host nor in the query."""
    query = {name: value for name, value in url.query.items() if "password" not in name.lower()}
    return sa.URL.create(
        *(url.drivername.partition("+")[0], url.username, None, url.host, url.port, url.database), query
    )


def sqlite_path(url: sa.URL) -> Path | None:
    """Return the path of an SQLite database; None for a database on a server."""
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def _sqlite_url(url: sa.URL) -> sa.URL:
    name = (url.database or "").strip()
    if not name or name == ":memory:" or name.startswith("file:"):
        raise UserError(f"{name or 'an empty name'!r} is not a database that can keep anything; {_EXPECTED}")
    unknown = sorted(set(url.query) - {"vfs"})
    if unknown:
        raise UserError(f"the SQLite option {unknown[0]!r} is not supported; expected none, or vfs=NAME")
    path = Path(name).expanduser().absolute()
    if path.is_dir():
        raise UserError(
            f"{path} is a folder; expected the path of an SQLite file, such as {path / 'live.db'}"
        )
    if not path.parent.is_dir():
        raise UserError(
            f"the folder {path.parent} for the database {path.name} does not exist; create it first"
        )
    return url.set(drivername="sqlite", database=str(path))
