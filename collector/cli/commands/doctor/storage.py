"""Look at the database: can it be reached, is its schema the newest, does anybody else write it."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from collector.cli.commands.doctor.verdict import Verdict
from collector.errors import CollectorError, DatabaseInUse, UserError

if TYPE_CHECKING:
    import sqlalchemy as sa

    from collector.settings import DatabaseSettings

SLOW_ANSWER_S = 0.1


def folder_of(settings: "DatabaseSettings") -> Path | None:
    """Return the folder of an SQLite database; None for a server, or where there is no such folder."""
    from collector.database.url import database_url, sqlite_path  # noqa: PLC0415

    try:
        path = sqlite_path(database_url(settings.url))
    except UserError:
        return None
    return path.parent if path is not None else None


def database(settings: "DatabaseSettings") -> Verdict:
    """Look at the database that rows would go to."""
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    from collector.database.engine import make_engine  # noqa: PLC0415
    from collector.database.url import database_url, shown, sqlite_path  # noqa: PLC0415

    try:
        url = database_url(settings.url)
    except UserError as error:
        return Verdict("database", "fail", str(error), "choose another one with --db")
    path = sqlite_path(url)
    if path is not None and not path.exists():
        return Verdict("database", "ok", f"{path} will be made at the start")
    engine = make_engine(url, read_only=True)
    try:
        return _reached(engine, settings, path)
    except CollectorError as error:
        return Verdict("database", "fail", str(error))
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        advice = "is the server running, and are name and password right?" if path is None else ""
        return Verdict("database", "fail", f"{shown(url)}: {reason}", advice)
    finally:
        engine.dispose()


def _reached(engine: "sa.Engine", settings: "DatabaseSettings", path: Path | None) -> Verdict:
    from collector.database.migrate import status  # noqa: PLC0415
    from collector.database.url import shown  # noqa: PLC0415

    began_s = time.monotonic()
    position = status(engine)
    took_s = time.monotonic() - began_s
    where = shown(engine.url)
    found = f"{where} at revision {position.current or 'none'}, newest {position.head}"
    if position.current != position.head and path is None and not settings.auto_migrate:
        return Verdict("database", "fail", found, f"python run.py migrate up --db '{where}'")
    if path is not None:
        holder = _holder(path)
        if holder:
            return Verdict("database", "warn", holder, "a second collector will be refused")
    if path is None and took_s > SLOW_ANSWER_S:
        return Verdict("database", "warn", f"{found}; answers in {took_s * 1000:.0f} ms", "a nearer server")
    later = "" if position.current == position.head else "; it will be brought there at the start"
    return Verdict("database", "ok", found + later)


def _holder(path: Path) -> str:
    from collector.database.file_lock import WriterLock  # noqa: PLC0415

    lock = WriterLock(path)
    if not lock.path.exists():
        return ""  # nobody has ever written it: leave no file behind
    try:
        with lock:
            return ""
    except DatabaseInUse as error:
        return str(error).partition(";")[0]
    except UserError:
        return ""  # a folder that cannot be written is told of by the disk's check
