"""Check the rows of trades: their segment, their numbers, their ids."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import sqlalchemy as sa

from collector.events import NO_INT, REST, TRADE
from collector.features import Runs
from collector.query.audit.books import count_rows
from collector.query.audit.chunks import Chunk, chunks, floats, integers, of
from collector.query.audit.finding import Finding, Ledger
from collector.query.audit.segments import Segments
from collector.query.database import column_or_null
from collector.query.rows import place

COLUMNS = (
    *("id", "timestamp", "exchange", "symbol", "kind", "trade_id", "price", "size", "side"),
    *("received_at_ns", "segment_id", "exchange_timestamp", "origin"),
)
NS_A_MS = 1_000_000
MOST_DIGITS = 18  # a longer id may not fit into 64 bits


def findings(
    connection: sa.Connection, table: sa.Table, segments: Segments, done: Callable[[int], None]
) -> Iterator[Finding]:
    """Yield the findings in the trades."""
    ledger = Ledger(table.name)
    stands = place(table).label("at_ns")
    query = sa.select(*(column_or_null(table, name) for name in COLUMNS), stands).order_by(table.c.id)
    for chunk in chunks(connection, query):
        _check(chunk, segments, ledger)
        done(len(chunk["id"]))
    yield from ledger.findings()
    yield from _doubled(connection, table)


def _check(chunk: Chunk, segments: Segments, ledger: Ledger) -> None:
    ids = integers(chunk["id"])
    price, size = floats(chunk["price"]), floats(chunk["size"])
    bad = ~(np.isfinite(price) & np.isfinite(size) & (price > 0) & (size > 0))
    ledger.add("values", "with a price or a size that is not above 0", of(ids, bad))
    pairs = zip(chunk["kind"], chunk["side"], strict=True)
    words = [kind not in {"trade", "agg"} or side not in {"buy", "sell"} for kind, side in pairs]
    ledger.add("values", "with a kind or a side that is none", of(ids, np.array(words, dtype=np.bool_)))
    ours = np.array([segment is not None for segment in chunk["segment_id"]], dtype=np.bool_)
    if not ours.any():
        return
    places = np.flatnonzero(ours)
    rows = places.tolist()
    stands = integers([chunk["at_ns"][at] for at in rows])
    received = integers([chunk["received_at_ns"][at] for at in rows])
    came_live = np.array([chunk["origin"][at] != REST for at in rows], dtype=np.bool_)
    told_ns = integers([chunk["exchange_timestamp"][at] for at in rows])
    told_ns = np.where(told_ns == NO_INT, received, told_ns * NS_A_MS)
    numbers = integers([_number(chunk["trade_id"][at]) for at in rows])
    runs = Runs.of(integers([chunk["segment_id"][at] for at in rows]))
    stray: list[int] = []
    for segment_id, start, end in zip(runs.segments, runs.starts.tolist(), runs.ends.tolist(), strict=True):
        own = here = runs.order[start : end + 1]
        segment = segments.by_id.get(segment_id)
        if segment is None:
            stray += ids[places[own]].tolist()
            continue
        count_rows(segment.held, stands[here], numbers[here])
        here = here[came_live[here]]  # what REST brought shows nothing of how late a stream is
        late_ns = received[here] + segment.off_ns - told_ns[here]
        # What is sent at a subscription may be old.
        late_ns = late_ns[told_ns[here] >= segment.coverage["start_ns"] + segment.off_ns]
        segment.held.late_ns = max(segment.held.late_ns, int(late_ns.max(initial=0)))
        segment.held.early_ns = min(segment.held.early_ns, int(late_ns.min(initial=0)))
        stream = segment.coverage["exchange"], segment.coverage["symbol"], TRADE
        stray += [
            int(ids[at])
            for at in places[own].tolist()
            if (chunk["exchange"][at], chunk["symbol"][at], segment.channel.family) != stream
        ]
    ledger.add("stray rows", "in no coverage segment of their stream", sorted(stray))


def _doubled(connection: sa.Connection, table: sa.Table) -> Iterator[Finding]:
    """Find trades that are stored twice, where the unique index is gone."""
    key = [table.c[name] for name in ("exchange", "symbol", "kind", "trade_id")]
    indexes = sa.inspect(connection).get_indexes(table.name)
    constraints = sa.inspect(connection).get_unique_constraints(table.name)
    unique = [one["column_names"] for one in (*indexes, *constraints) if one.get("unique", True)]
    if [column.name for column in key] in unique:
        return
    query: sa.Select[Any] = sa.select(*key).group_by(*key).having(sa.func.count() > 1).limit(5)
    twice = [" ".join(map(str, row)) for row in connection.execute(query)]
    yield Finding("unique trades", f"{table.name}: the unique index is gone")
    if twice:
        yield Finding("unique trades", f"{table.name}: there more than once: {', '.join(twice)}")


def _number(trade_id: str) -> int:
    return int(trade_id) if trade_id.isdecimal() and len(trade_id) <= MOST_DIGITS else NO_INT
