"""Read what coverage says of streams as plain spans, for whoever fills what is missing."""

from collections.abc import Collection
from typing import NamedTuple

import sqlalchemy as sa

from collector.database import DEFAULT_TABLE_NAME
from collector.events import StreamKey
from collector.query.between import is_filled
from collector.query.database import Database, reading


class CoveredSpan(NamedTuple):
    """A span that a segment covers, both ends included; filled: by REST, afterwards."""

    start_ns: int
    until_ns: int
    is_filled: bool


def spans_covered(
    database: Database,
    streams: Collection[StreamKey],
    start_ns: int,
    end_ns: int,
    table_name: str = DEFAULT_TABLE_NAME,
) -> dict[StreamKey, list[CoveredSpan]]:
    """Return the spans of each stream that meet a time, in the order of their beginning."""
    found: dict[StreamKey, list[CoveredSpan]] = {key: [] for key in streams}
    with reading(database, table_name) as (connection, tables):
        coverage = tables.coverage
        query = (
            sa.select(coverage)
            .where(coverage.c.alive_until_ns >= start_ns, coverage.c.start_ns <= end_ns)
            .order_by(coverage.c.start_ns)
        )
        for row in connection.execute(query).mappings():
            key = StreamKey(row["exchange"], row["symbol"], row["channel"])
            if key in found:
                span = CoveredSpan(row["start_ns"], row["alive_until_ns"], is_filled(dict(row)))
                found[key].append(span)
    return found
