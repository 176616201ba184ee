"""List what is stored, as a loader is asked for it."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
import sqlalchemy as sa

from collector.database import DEFAULT_TABLE_NAME, Tables
from collector.events import OHLCV, TRADE, Channel
from collector.query.between import covered_ns
from collector.query.database import Database, has_table, reading
from collector.query.rows import Archive
from collector.query.stored_groups import SOURCE, Group, Groups, Market, Segment

COLUMNS = (
    *("table", "exchange", "symbol", "channel", "depth", "kind", "interval"),
    *("data_source", "rows", "first", "last", "covered"),
)
_NAMED = {"features": "depth", "levels": "depth", "trades": "kind", "ohlcv": "interval"}


def symbols(db: Database, *, table_name: str = DEFAULT_TABLE_NAME) -> pd.DataFrame:
    """Return a row for each thing that can be loaded: which table, which names, how much, from when.

    `table` is that of `load_features`, `load_levels`, `load_trades` or `load_ohlcv`; `exchange`, `symbol`,
    `depth`, `kind`, `interval` and `data_source` are what the loader takes under these names. `first` and
    `last` are the instants of its rows, `covered` is the share of the time from the channel's first segment
    to the end of its last that was seen without a hole.

    >>> symbols("live.db")  # doctest: +SKIP
    """
    with reading(db, table_name) as (connection, tables):
        found = list(_rows(connection, tables))
    # Texts as objects: there what is missing is None, which a loader takes as well.
    frame = pd.DataFrame(
        {name: pd.Series([one.get(name) for one in found], dtype="object") for name in COLUMNS}
    )
    for name in ("first", "last"):
        frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601").dt.as_unit("ns")
    return frame.astype({"depth": "Int64", "rows": "int64", "covered": "float64"})


def _rows(connection: sa.Connection, tables: Tables) -> Iterator[dict[str, Any]]:
    segments = _segments(connection, tables)
    named = {"features": tables.hot, "levels": tables.levels, "trades": tables.trades, "ohlcv": tables.ohlcv}
    sources: dict[tuple[str, str], str | None] = {}
    for name, table in named.items():
        if not has_table(connection, table):
            continue
        if name == "ohlcv":
            groups: Iterator[tuple[Market, list[Group]]] = _bars(connection, table)
        else:
            of_books = name != "trades"
            own: dict[Market, list[Segment]] = {}
            for (exchange, symbol, channel), those in segments.items():
                if channel.is_book if of_books else channel.family == TRADE:
                    own.setdefault((exchange, symbol), []).extend(one for one in those if one["rows"])
            for those in own.values():
                those.sort(key=lambda one: int(one["start_ns"]))
            archive = Archive.read(connection, tables, table)
            groups = Groups(connection, tables, table, _NAMED[name], own, archive, sources).of_each()
        for market, found in groups:
            for one in found:
                yield {
                    "table": name,
                    **dict(zip(("exchange", "symbol"), market, strict=True)),
                    **_covered(segments, market, name, one.value),
                    _NAMED[name]: one.value,
                    SOURCE: one.source,
                    "rows": one.rows,
                    "first": one.first,
                    "last": one.last,
                }


def _segments(
    connection: sa.Connection, tables: Tables
) -> dict[tuple[str, str, Channel], list[dict[str, Any]]]:
    """Return the segments of each stream, in the order of their beginning."""
    table = tables.coverage
    names = ("exchange", "symbol", "channel", "session_id", "segment_id", "start_ns", "end_ns")
    query = sa.select(*(table.c[name] for name in (*names, "alive_until_ns", "rows")))
    found: dict[tuple[str, str, Channel], list[dict[str, Any]]] = {}
    for row in connection.execute(query.order_by(table.c.start_ns)).mappings():
        key = row["exchange"], row["symbol"], Channel.of(row["channel"])
        found.setdefault(key, []).append(dict(row))
    return found


def _covered(
    segments: Mapping[tuple[str, str, Channel], list[dict[str, Any]]], market: Market, name: str, value: Any
) -> dict[str, Any]:
    """Return the channel that brought such rows, and the share of its time that is covered."""
    own = [
        (str(channel), those)
        for (*of, channel), those in segments.items()
        if tuple(of) == market and _brings(channel, name, value)
    ]
    if not own:
        return {"channel": None, "covered": None}
    first_ns = min(those[0]["start_ns"] for _, those in own)
    last_ns = max(one["alive_until_ns"] for _, those in own for one in those)
    together = sorted((one for _, those in own for one in those), key=lambda one: int(one["start_ns"]))
    share = covered_ns(together, first_ns, last_ns) / (last_ns - first_ns) if last_ns > first_ns else 1.0
    return {"channel": ", ".join(sorted(channel for channel, _ in own)), "covered": share}


def _brings(channel: Channel, name: str, value: Any) -> bool:
    if name == "trades":
        return channel.family == TRADE
    if name == "ohlcv":
        return channel.family == OHLCV and channel.interval == value
    return channel.is_book and channel.depth == value


def _bars(connection: sa.Connection, table: sa.Table) -> Iterator[tuple[Market, list[Group]]]:
    """Yield the groups of each market; a table of bars is small."""
    c = table.c
    names = (c.exchange, c.symbol, c.interval, c[SOURCE])
    query = sa.select(*names, sa.func.count(), sa.func.min(c.timestamp), sa.func.max(c.timestamp))
    for exchange, symbol, *group in connection.execute(query.group_by(*names).order_by(*names)):
        yield (exchange, symbol), [Group(*group)]
