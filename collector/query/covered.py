"""Read which intervals of a stream are covered, and where its holes are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import sqlalchemy as sa

from collector.database import DEFAULT_TABLE_NAME, Tables
from collector.query.between import holes_between, is_filled
from collector.query.database import Database, extra, reading
from collector.query.frames import Frame, Output, checked_output
from collector.query.names import filters_named, in_order, value_named

_STREAM = ("exchange", "symbol", "channel")
_HOLE = (*_STREAM, "start", "end", "duration", "cause", "detail", "from_ns", "until_ns")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which streams to read; None means any."""

    symbol: str | None = None
    exchange: str | None = None
    channel: str | None = None


def coverage(
    db: Database,
    symbol: str | None = None,
    *,
    exchange: str | None = None,
    channel: str | None = None,
    output: Output = "pandas",
    table_name: str = DEFAULT_TABLE_NAME,
) -> Frame:
    """Return the coverage segments, a row each, in the order of their beginning.

    Names are taken as the loaders take them; one that nothing was ever covered of is refused.

    What is covered lasts from `start` until `alive_until`, for `duration`; `end` is that of the last row's
    receipt, and all of them stand in nanoseconds beside it (`start_ns`). `how` says whether what it covers
    came `live`, or REST `filled` it afterwards. A segment that is still open has no `end_cause`.
    """
    checked_output(output)
    with reading(db, table_name) as (connection, tables):
        chosen = _chosen(connection, tables, symbol, exchange, channel)
        return _as(output, segments(connection, tables, chosen))


def gaps(
    db: Database,
    symbol: str | None = None,
    *,
    exchange: str | None = None,
    channel: str | None = None,
    output: Output = "pandas",
    table_name: str = DEFAULT_TABLE_NAME,
) -> Frame:
    """Return the holes between the segments of each stream: from `start` to `end`, and why coverage ended.

    `from_ns` and `until_ns` are the same instants in nanoseconds.
    """
    checked_output(output)
    return _as(output, holes(coverage(db, symbol, exchange=exchange, channel=channel, table_name=table_name)))


def holes(found: pd.DataFrame) -> pd.DataFrame:
    """Return the holes between the segments of each stream: where none of them covers, in order of time."""
    between: list[dict[str, Any]] = []
    for key, own in found.groupby(list(_STREAM), sort=False):
        rows: Any = own.to_dict(orient="records")
        for from_ns, until_ns, cause, detail in holes_between(rows):
            stream = dict(zip(_STREAM, key, strict=True))
            between.append(
                {**stream, "from_ns": from_ns, "until_ns": until_ns, "cause": cause, "detail": detail}
            )
    texts = {name: _texts([one[name] for one in between]) for name in (*_STREAM, "cause", "detail")}
    at = {name: pd.array([one[name] for one in between], dtype="int64") for name in ("from_ns", "until_ns")}
    frame = pd.DataFrame({**texts, **at})
    return _with_times(frame, {"start": "from_ns", "end": "until_ns"}, "end")[list(_HOLE)]


def _chosen(
    connection: sa.Connection, tables: Tables, symbol: str | None, exchange: str | None, channel: str | None
) -> Selection:
    """Return the streams that are meant; raise QueryError for a name of which nothing is known."""
    if symbol is exchange is channel is None:
        return Selection()
    table = tables.coverage
    query = sa.select(*(table.c[name] for name in _STREAM)).distinct()
    streams = [(row[0], row[1], row[2]) for row in connection.execute(query)]
    stored = {(one, of) for one, of, _ in streams}
    symbol, exchange = filters_named(stored, symbol, exchange, table.name)
    if channel is not None:
        own = {one for of, what, one in streams if of == (exchange or of) and what == (symbol or what)}
        title = " of ".join(repr(one) for one in (symbol, exchange) if one) or "any market"
        channel = value_named("channel", channel, in_order(own), title)
    return Selection(symbol, exchange, channel)


def segments(connection: sa.Connection, tables: Tables, selection: Selection) -> pd.DataFrame:
    """Read the segments that a selection names."""
    table = tables.coverage
    query = sa.select(table).order_by(table.c.exchange, table.c.symbol, table.c.channel, table.c.start_ns)
    for name in _STREAM:
        value = getattr(selection, name)
        if value is not None:
            query = query.where(table.c[name] == value)
    rows = [dict(row) for row in connection.execute(query).mappings()]
    return _with_times(
        pd.DataFrame(
            {
                **{column.name: _column(column, rows) for column in table.columns},
                "how": _texts(["filled" if is_filled(row) else "live" for row in rows]),
            }
        ),
        {"start": "start_ns", "end": "end_ns", "alive_until": "alive_until_ns"},
        "alive_until",
    )


def _column(column: "sa.Column[Any]", rows: Sequence[Mapping[str, Any]]) -> object:
    """Return the values of a column of the table; whole numbers stay whole where one is missing."""
    values = [row[column.name] for row in rows]
    if not isinstance(column.type, sa.Integer):
        return _texts(values)
    return pd.array(values, dtype="Int64" if column.nullable else "int64")


def _texts(values: Sequence[str | None]) -> "pd.Series[Any]":
    """Return a column of texts; where nothing is said there is None, and not a number that is none."""
    return pd.Series(values, dtype="object")


def _with_times(frame: pd.DataFrame, columns: Mapping[str, str], until: str) -> pd.DataFrame:
    """Return the frame with instants of some columns of nanoseconds, and how long it is from `start`."""
    instants = {name: pd.to_datetime(frame[of], unit="ns", utc=True) for name, of in columns.items()}
    return frame.assign(**instants, duration=instants[until] - instants["start"])


def _as(output: Output, frame: pd.DataFrame) -> Frame:
    if output == "pandas":
        return frame
    arrow = extra("pyarrow", "parquet")
    table = arrow.Table.from_pandas(frame, preserve_index=False)
    types = [arrow.string() if one.type == arrow.null() else one.type for one in table.schema]
    table = table.cast(arrow.schema(list(zip(table.column_names, types, strict=True))))
    return extra("polars", "research").from_arrow(table) if output == "polars" else table


def alive_until(connection: sa.Connection, tables: Tables, symbol: str, exchange: str) -> dict[int, int]:
    """Return until when each segment of a symbol was known to be alive."""
    table = tables.coverage
    query = sa.select(table.c.segment_id, table.c.alive_until_ns).where(
        table.c.exchange == exchange, table.c.symbol == symbol
    )
    return dict(connection.execute(query).all())
