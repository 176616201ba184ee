"""Read two columns of every row, all columns only of rows that resampling keeps.

SQLite alone: there a value that is read into Python costs more than its row.
"""

from collections.abc import Sequence

import numpy as np
import sqlalchemy as sa

from collector.database import Tables
from collector.query.instants import Integers
from collector.query.resample import Fetch, is_flow
from collector.query.rows import Chunk, Series, Source, chunks, joined, picked

_WORTH_COLUMNS = 4  # fewer columns are read at once
_WORTH_ROWS = 5.0  # and so are rows of which more than every fifth would be kept
_IDS_A_QUESTION = 2_000


def sparse(
    connection: sa.Connection, tables: Tables, series: Series, step_ns: int
) -> tuple[Series, Fetch | None]:
    """Return what to read of every row and how to fetch the rest; the whole series if nothing is gained."""
    later = [name for name in series.names if not _is_key(name)]
    if series.stream.parts or connection.dialect.name != "sqlite" or len(later) < _WORTH_COLUMNS:
        return series, None
    if _rows_a_second(connection, tables, series) * step_ns / 1e9 < _WORTH_ROWS:
        return series, None
    keys = tuple(dict.fromkeys(["id", *(name for name in series.names if _is_key(name))]))
    return series.only(keys), _fetcher(connection, series.stream.table, later)


def _is_key(name: str) -> bool:
    return name in {"id", "received_at_ns", "segment_id"} or is_flow(name)


def _rows_a_second(connection: sa.Connection, tables: Tables, series: Series) -> float:
    coverage = tables.coverage
    total, covered_ns = connection.execute(
        sa.select(
            sa.func.sum(coverage.c.rows), sa.func.sum(coverage.c.alive_until_ns - coverage.c.start_ns)
        ).where(coverage.c.exchange == series.stream.exchange, coverage.c.symbol == series.stream.symbol)
    ).one()
    return float(total or 0) / max(float(covered_ns or 0), 1.0) * 1e9


def _fetcher(connection: sa.Connection, table: Source, names: Sequence[str]) -> Fetch:
    columns = [table.c[name] for name in ("id", *names)]

    def fetch(ids: Integers) -> Chunk:
        wanted, places = np.unique(ids, return_inverse=True)
        found: list[Chunk] = []
        for begin in range(0, len(wanted), _IDS_A_QUESTION):
            listed = ",".join(map(str, wanted[begin : begin + _IDS_A_QUESTION].tolist()))
            query = sa.select(*columns).where(sa.text(f"id IN ({listed})")).order_by(table.c.id)
            found += chunks(connection, query, _IDS_A_QUESTION)
        rows = joined(found)
        del rows["id"]
        return picked(rows, places)

    return fetch
