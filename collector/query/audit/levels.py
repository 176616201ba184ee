"""Check the rows of the best ten levels: each belongs to a row of the hot table, and agrees with it."""

from collections.abc import Callable, Iterator

import numpy as np
import sqlalchemy as sa

from collector.database import DAY_DIGITS, HOUR_DIGITS, Tables
from collector.features import TOTAL_LEVELS, imbalance, total
from collector.query.audit.chunks import Chunk, Flags, chunks, differs, floats, integers, of
from collector.query.audit.finding import Finding, Ledger
from collector.query.audit.segments import Segments, moved_by_file, summed
from collector.query.rows import Archive

SIDES = ("bid_price", "bid_size", "ask_price", "ask_size")
SHARED = ("bid_price_1", "bid_size_1", "ask_price_1", "ask_size_1", "ofi_1")
IMBALANCES = (5, 10)


def findings(
    connection: sa.Connection, tables: Tables, segments: Segments, done: Callable[[int], None]
) -> Iterator[Finding]:
    """Yield the findings in the levels."""
    hot, table = tables.hot, tables.levels
    ledger = Ledger(table.name)
    by_file = moved_by_file(connection, tables)
    held = {one: values[0] for kind, one, values in summed(by_file) if kind == "levels"}
    moved = {
        (part.exchange, part.symbol, part.period) for part in Archive.read(connection, tables, hot).parts
    }
    elsewhere = {number for number, one in segments.by_id.items() if one.is_elsewhere}
    for chunk in chunks(connection, _query(hot, table)):
        _check(chunk, ledger, moved, elsewhere)
        for segment in chunk["segment_id"]:
            held[segment] = held.get(segment, 0) + 1
        done(len(chunk["id"]))
    yield from ledger.findings()
    for segment_id, rows in held.items():
        segment = segments.by_id.get(segment_id)
        if segment is not None and rows != segment.held.rows and not segment.is_elsewhere:
            text = f"{segment.name}: {rows} rows of levels beside {segment.held.rows} of the book"
            yield Finding("levels", text)


def _query(hot: sa.Table, table: sa.Table) -> "sa.Select[tuple[object, ...]]":
    """Join each row with the row of the hot table that it belongs to, found by the index.

    Without numbers, those that came in one frame belong together in the order of their ids.
    """
    unnumbered = sa.and_(hot.c.sequence.is_(None), table.c.sequence.is_(None), _place(hot) == _place(table))
    same_sequence = sa.or_(hot.c.sequence == table.c.sequence, unnumbered)
    beside = sa.and_(
        hot.c.symbol == table.c.symbol,
        hot.c.exchange == table.c.exchange,
        hot.c.timestamp == table.c.timestamp,
        hot.c.segment_id == table.c.segment_id,
        hot.c.received_at_ns == table.c.received_at_ns,
        same_sequence,
    )
    theirs = {"ofi_1": "ofi"}
    return (
        sa.select(
            table,
            hot.c.id.label("hot_id"),
            *(hot.c[theirs.get(name, name)].label(f"hot_{name}") for name in SHARED),
            *(hot.c[f"total_{side}_volume_10"].label(f"hot_{side}") for side in ("bid", "ask")),
        )
        .select_from(table.outerjoin(hot, beside))
        .where(table.c.segment_id.is_not(None))
        .order_by(table.c.id)
    )


def _place(table: sa.Table) -> "sa.ScalarSelect[int]":
    """Count the rows without a number that came before one in the same frame."""
    other = table.alias()
    same = ("symbol", "exchange", "timestamp", "segment_id", "received_at_ns")
    before = sa.and_(*(other.c[name] == table.c[name] for name in same), other.c.id < table.c.id)
    return (
        sa.select(sa.func.count())
        .select_from(other)
        .where(before, other.c.sequence.is_(None))
        .correlate(table)
        .scalar_subquery()
    )


def _check(chunk: Chunk, ledger: Ledger, moved: set[tuple[str, str, str]], elsewhere: set[int]) -> None:
    """Check rows. Where rows of the book were moved first, only the number is compared."""
    ids = integers(chunk["id"])
    lonely = np.array([one is None for one in chunk["hot_id"]], dtype=np.bool_)
    places = zip(chunk["exchange"], chunk["symbol"], chunk["timestamp"], strict=True)
    is_left = np.array(
        [
            moved.isdisjoint({(*market, text[:DAY_DIGITS]), (*market, text[:HOUR_DIGITS])})
            for *market, text in places
        ],
        dtype=np.bool_,
    )
    is_here = np.array([one not in elsewhere for one in chunk["segment_id"]], dtype=np.bool_)
    ledger.add("levels", "that belong to no row of the book", of(ids, lonely & is_left & is_here))
    for name in SHARED:
        wrong = ~lonely & differs(floats(chunk[name]), floats(chunk[f"hot_{name}"]))
        ledger.add("levels", f"whose {name} is not that of the book's row", of(ids, wrong))
    ladders = {
        side: np.stack([floats(chunk[f"{side}_{level}"]) for level in range(1, TOTAL_LEVELS + 1)], axis=1)
        for side in SIDES
    }
    with np.errstate(invalid="ignore"):
        steps = (np.diff(ladders["ask_price"], axis=1) <= 0) | (np.diff(ladders["bid_price"], axis=1) >= 0)
    disordered: Flags = np.any(steps, axis=1)
    ledger.add("levels", "whose prices are not in order", of(ids, disordered))
    for side in ("bid", "ask"):
        stored, sums = floats(chunk[f"hot_{side}"]), total(ladders[f"{side}_size"], TOTAL_LEVELS)
        wrong = ~lonely & ~np.isnan(stored) & (stored != sums)
        ledger.add("levels", f"whose {side} sizes do not add up to the book's total", of(ids, wrong))
    for levels in IMBALANCES:
        stored = floats(chunk[f"imbalance_{levels}"])
        bid, ask = (total(ladders[f"{side}_size"], levels) for side in ("bid", "ask"))
        wrong = ~np.isnan(stored) & (stored != imbalance(bid, ask))
        ledger.add("levels", f"whose imbalance_{levels} does not follow from its sizes", of(ids, wrong))
