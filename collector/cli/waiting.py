"""Tell of rows that wait in spools for a database."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from collector.cli.plain import counted, span
from collector.errors import UserError

if TYPE_CHECKING:
    from collector.sinks import SinkOptions
    from collector.spool import SpoolLook


def waiting_texts(url: str, options: "SinkOptions", told: str | None = None) -> Iterator[str]:
    """Yield a line for each spool in which rows wait for the database; `told`: the path in the settings."""
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    from collector.app import address, places_of, waiting  # noqa: PLC0415
    from collector.query import database_identity, sessions  # noqa: PLC0415
    from collector.sinks import make_store  # noqa: PLC0415
    from collector.spool import SpoolOwner  # noqa: PLC0415

    store = make_store(url, options)
    try:
        identity = database_identity(url, table_name=options.table_name)
        known = {str(one["session_id"]) for one in sessions(url, table_name=options.table_name)}
    except (UserError, SQLAlchemyError):  # it cannot be asked: names and addresses say whose they are
        identity, known = "", set()
    owner = SpoolOwner(
        address(store), lambda: identity, lambda some: not known.isdisjoint(some), options.table_name
    )
    for one in waiting(places_of(told, store), owner):
        yield _text(one)


def _text(one: "SpoolLook") -> str:
    from collector.app import age_s  # noqa: PLC0415

    if one.problem:
        return f"the spool {one.path} cannot be read: {one.problem}"
    seconds = age_s(one)
    age = "" if seconds is None else f", the oldest for {span(seconds)}"
    return f"{counted(one.rows, 'row')} {'waits' if one.rows == 1 else 'wait'} in the spool {one.path}{age}"
