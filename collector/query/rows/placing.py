"""Say where a row stands in time: at its receipt, or at the exchange's time if REST brought it afterwards."""

from collections.abc import Mapping

import numpy as np
import sqlalchemy as sa

from collector.events import REST
from collector.query.rows.columns import NO_INT, Array

RECEIPT, PLACE, ORIGIN, TOLD = "received_at_ns", "place_ns", "origin", "exchange_timestamp"
NEEDED = (RECEIPT, TOLD, ORIGIN)  # to tell it
NS_A_MS = 1_000_000


def place_name(table: sa.FromClause) -> str:
    """Return the column that says where rows of a table stand, as it is read."""
    return PLACE if ORIGIN in table.c else RECEIPT


def place(table: sa.FromClause) -> "sa.ColumnElement[int]":
    """Return where rows stand as the database reckons it."""
    received: sa.ColumnElement[int] = table.c[RECEIPT]
    if ORIGIN not in table.c:
        return received
    told = sa.func.coalesce(table.c[TOLD] * sa.literal(NS_A_MS, sa.BIGINT), received, type_=sa.BIGINT())
    return sa.case((table.c[ORIGIN] == REST, told), else_=received).label(PLACE)


def places(rows: Mapping[str, Array]) -> Array:
    """Return where rows stand that have the columns NEEDED, or are of before there was an origin."""
    received = rows[RECEIPT]
    if ORIGIN not in rows:
        return received
    told_ms = rows[TOLD]
    is_placed = (rows[ORIGIN] == REST) & (told_ms != NO_INT)
    return np.where(is_placed, np.where(is_placed, told_ms, 0) * NS_A_MS, received)
