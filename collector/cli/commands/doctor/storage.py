"""Check the sinks: can they be reached, is a schema the newest, does anybody else write there."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from collector.cli.commands.doctor.check_result import CheckResult
from collector.cli.plain import reader_text
from collector.errors import CollectorError, DatabaseInUse, MissingExtra, UserError
from collector.masking import mask_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

    from collector.settings import DatabaseSettings, Settings
    from collector.sinks import Sink, SqlSink

SLOW_ANSWER_S = 0.1


def folder_of(settings: "DatabaseSettings") -> Path | None:
    """Return the folder of a database that is a file; None for a server, or where there is no such folder."""
    from collector.sinks import make_store  # noqa: PLC0415

    try:
        file = make_store(settings.url, settings).file
    except UserError:
        return None
    return file.parent if file is not None else None


def log_held(settings: "DatabaseSettings") -> "Iterator[CheckResult]":
    """Look for those whose long reads let the log of an SQLite file grow."""
    from collector.database import log_readers  # noqa: PLC0415
    from collector.sinks import make_store  # noqa: PLC0415

    try:
        file = make_store(settings.url, settings).file
    except UserError:
        return  # the database's check says why
    for one in log_readers(file) if file is not None else []:
        advice = "end it, or let it read in pieces: iter_features, --start and --end"
        yield CheckResult("database log", "warn", reader_text(one), advice)


def database(settings: "DatabaseSettings") -> CheckResult:
    """Check the database that rows would go to."""
    from collector.sinks import make_store  # noqa: PLC0415

    try:
        store = make_store(settings.url, settings)
    except UserError as error:
        return CheckResult("database", "fail", str(error), "choose another one with --db")
    return _of_sink("database", store, settings)


def spools(settings: "Settings") -> "Iterator[CheckResult]":
    """Look for rows that wait in a spool for the database."""
    from collector.cli.waiting import waiting_texts  # noqa: PLC0415

    try:
        found = list(waiting_texts(settings.database.url, settings.database, settings.spool.path))
    except UserError:
        return  # the check of the database says it
    if not found:
        yield CheckResult("spool", "ok", "no rows wait for the database")
    for text in found:
        yield CheckResult("spool", "warn", text, "the next start on this database brings them in")


def followers(settings: "Settings") -> "Iterator[CheckResult]":
    """Check each sink that follows the database."""
    from collector.app import heartbeat_url  # noqa: PLC0415
    from collector.sinks import make_follower  # noqa: PLC0415

    for one in settings.followers:
        try:
            sink = make_follower(one.url, settings.database, one.stream)
        except MissingExtra as error:
            yield CheckResult("follower", "fail", f"{mask_url(one.url)}: {error}")
        except UserError as error:
            yield CheckResult("follower", "fail", str(error), "correct followers in the configuration")
        else:
            yield _of_sink("follower", sink, settings.database)
            into = one.heartbeat and heartbeat_url(one.url, one.heartbeat.stream)
            if into:
                yield _of_sink("heartbeat", make_follower(into, settings.database), settings.database)


def _of_sink(subject: str, sink: "Sink", settings: "DatabaseSettings") -> CheckResult:
    """Check an SQL database without changing it; open and close a sink of any other kind."""
    from collector.sinks import Examined, SqlSink  # noqa: PLC0415

    if isinstance(sink, SqlSink):
        return _of_database(subject, sink, settings)
    try:
        sink.open()
        found = sink.examine() if isinstance(sink, Examined) else f"{sink.name} can be opened"
    except CollectorError as error:
        return CheckResult(subject, "fail", str(error))
    finally:
        sink.close()
    return CheckResult(subject, "ok", found)


def _of_database(subject: str, sink: "SqlSink", settings: "DatabaseSettings") -> CheckResult:
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    from collector.database import make_engine  # noqa: PLC0415

    if sink.file is not None and not sink.file.exists():
        return CheckResult(subject, "ok", f"{sink.file} will be made at the start")
    engine = make_engine(sink.url, read_only=True)
    try:
        return _reached(subject, engine, settings, sink.file)
    except CollectorError as error:
        return CheckResult(subject, "fail", str(error))
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        advice = "is the server running, and are name and password right?" if sink.file is None else ""
        return CheckResult(subject, "fail", f"{sink.name}: {reason}", advice)
    finally:
        engine.dispose()


def _reached(
    subject: str, engine: "sa.Engine", settings: "DatabaseSettings", path: Path | None
) -> CheckResult:
    from collector.database import shown, status  # noqa: PLC0415

    began_s = time.monotonic()
    position = status(engine)
    took_s = time.monotonic() - began_s
    where = shown(engine.url)
    found = f"{where} at revision {position.current or 'none'}, newest {position.head}"
    if position.current != position.head and path is None and not settings.auto_migrate:
        return CheckResult(subject, "fail", found, f"python run.py migrate up --db '{where}'")
    if path is not None:
        holder = _holder(path)
        if holder:
            return CheckResult(subject, "warn", holder, "a second collector will be refused")
    if path is None and took_s > SLOW_ANSWER_S:
        return CheckResult(subject, "warn", f"{found}; answers in {took_s * 1000:.0f} ms", "a nearer server")
    later = "" if position.current == position.head else "; it will be brought there at the start"
    return CheckResult(subject, "ok", found + later)


def _holder(path: Path) -> str:
    from collector.database import WriterLock  # noqa: PLC0415

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
