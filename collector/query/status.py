"""Read the terms of the identity, stream by stream."""

import json
from typing import Any

import sqlalchemy as sa

from collector.query.database import Database, reading
from collector.sinks.schema import DEFAULT_TABLE_NAME

SUMMED = ("received", "written", "merged", "sampled_out", "rejected", "dropped")


def status(database: Database, *, table_name: str = DEFAULT_TABLE_NAME) -> list[dict[str, Any]]:
    """Return a dict for each stream: its names, the terms over all sessions, and the reasons of rejection.

    `pending` and `carried_in` belong to a moment, not to a sum: they are the newest session's `pending` and
    the first one's `carried_in`.
    """
    with reading(database, table_name) as (connection, tables):
        accounting, sessions = tables.accounting, tables.sessions
        question = (
            sa.select(accounting)
            .outerjoin(sessions, sessions.c.session_id == accounting.c.session_id)
            .order_by(accounting.c.exchange, accounting.c.symbol, accounting.c.channel, sessions.c.started_ns)
        )
        found = connection.execute(question).mappings().all()
    streams: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in found:
        key = row["exchange"], row["symbol"], row["channel"]
        names = dict(zip(("exchange", "symbol", "channel"), key, strict=True))
        stream = streams.setdefault(
            key,
            {
                **names,
                **dict.fromkeys(SUMMED, 0),
                "carried_in": row["carried_in"],
                "sessions": 0,
                "reasons": {},
            },
        )
        for term in SUMMED:
            stream[term] += row[term]
        stream["pending"] = row["pending"]
        stream["sessions"] += 1
        for reason, count in json.loads(row["rejected_reasons"]).items():
            stream["reasons"][reason] = stream["reasons"].get(reason, 0) + count
    return list(streams.values())
