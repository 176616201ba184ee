"""Give a database an identity of its own, once, and tell which sessions it knows."""

from collections.abc import Collection

import sqlalchemy as sa

from collector.database import Tables
from collector.sinks.sql import multi_row

IDENTITY = "identity"
_MOST_VALUES = 500  # in one question


def identity_of(connection: sa.Connection, tables: Tables, proposed: str) -> str:
    """Return the identity of the database, which is the proposed one where it has none yet."""
    table = tables.database
    multi_row.upsert(connection, table, [{"name": IDENTITY, "value": proposed}], if_there="skip")
    question = sa.select(table.c.value).where(table.c.name == IDENTITY)
    return str(connection.execute(question).scalar_one())


def knows_any(connection: sa.Connection, tables: Tables, sessions: Collection[str]) -> bool:
    """Return whether one of these sessions has written here."""
    wanted, table = list(sessions), tables.sessions
    for first in range(0, len(wanted), _MOST_VALUES):
        some = wanted[first : first + _MOST_VALUES]
        question = sa.select(table.c.session_id).where(table.c.session_id.in_(some)).limit(1)
        if connection.execute(question).first() is not None:
            return True
    return False
