"""List what is stored, as a loader is asked for it."""

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

import pandas as pd
import sqlalchemy as sa

from collector.database import DEFAULT_TABLE_NAME, Tables
from collector.events import OHLCV, TRADE, Channel
from collector.query.between import covered_ns
from collector.query.database import Database, has_table, reading
from collector.query.names import Market
from collector.query.rows import Archive
from collector.query.stored_groups import SOURCE, Groups, Holds, segments_by_market

COLUMNS = (
    *("table", "exchange", "symbol", "channel", "depth", "kind", "interval"),
    *("data_source", "rows", "first", "last", "covered"),
)
_STREAM = ("exchange", "symbol", "channel")


def _is_book(channel: Channel) -> bool:
    return channel.is_book


_LISTED: tuple[tuple[str, str, Callable[[Tables], sa.Table], Holds], ...] = (
    ("features", "depth", lambda tables: tables.hot, _is_book),
    ("levels", "depth", lambda tables: tables.levels, _is_book),
    ("trades", "kind", lambda tables: tables.trades, lambda channel: channel.family == TRADE),
    ("ohlcv", "interval", lambda tables: tables.ohlcv, lambda channel: channel.family == OHLCV),
)


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
    covered = _covered(connection, tables)
    for name, of, choose, holds in _LISTED:
        table = choose(tables)
        if not has_table(connection, table):
            continue
        segments = segments_by_market(connection, tables, holds)
        archive = Archive.read(connection, tables, table)
        for (exchange, symbol), found in Groups(connection, tables, table, of, segments, archive).of_each():
            for one in found:
                channels = [
                    (str(channel), share)
                    for channel, share in covered.get((exchange, symbol), {}).items()
                    if holds(channel) and _value(channel, of) in {one.value, None}
                ]
                yield {
                    "table": name,
                    "exchange": exchange,
                    "symbol": symbol,
                    of: one.value,
                    "channel": ", ".join(channel for channel, _ in channels) or None,
                    SOURCE: one.source,
                    "rows": one.rows,
                    "first": one.first,
                    "last": one.last,
                    "covered": max((share for _, share in channels), default=None),
                }


def _covered(connection: sa.Connection, tables: Tables) -> dict[Market, dict[Channel, float]]:
    """Return the share of the time of each stream, from its first segment to the end of its last."""
    table = tables.coverage
    query = sa.select(*(table.c[name] for name in (*_STREAM, "start_ns", "alive_until_ns")))
    found: dict[Market, dict[Channel, float]] = {}
    rows = connection.execute(query.order_by(*(table.c[name] for name in (*_STREAM, "start_ns")))).mappings()
    for (exchange, symbol, channel), own in groupby(rows, lambda row: tuple(row[name] for name in _STREAM)):
        segments = [dict(row) for row in own]
        first_ns, last_ns = segments[0]["start_ns"], max(one["alive_until_ns"] for one in segments)
        share = covered_ns(segments, first_ns, last_ns) / (last_ns - first_ns) if last_ns > first_ns else 1.0
        found.setdefault((exchange, symbol), {})[Channel.of(channel)] = share
    return found


def _value(channel: Channel, name: str) -> str | int | None:
    """Return the depth or the interval of a channel; None if it tells nothing of a kind."""
    if name == "kind":
        return None
    return channel.depth if name == "depth" else channel.interval
