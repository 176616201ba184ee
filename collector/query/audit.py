"""Audit a database: whether everything that it says of itself holds."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from collector.features.practical import derived
from collector.query.database import Database, reading
from collector.sinks.schema import DEFAULT_TABLE_NAME, Tables

ROWS_A_CHUNK = 20_000
EXAMPLES = 5
CLOCKS_DIFFER_NS = 1_000_000_000  # receipt times and the wall clock may differ by this much

TERMS = ("written", "merged", "sampled_out", "rejected", "dropped", "pending")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not hold, and which rows say so."""

    check: str
    text: str


@dataclass(frozen=True, slots=True)
class Audit:
    """What was looked at, and what was found."""

    rows: int
    segments: int
    streams: int
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Say whether nothing was found."""
        return not self.findings


def audit(
    database: Database,
    *,
    table_name: str = DEFAULT_TABLE_NAME,
    on_progress: Callable[[int, int], None] | None = None,
) -> Audit:
    """Check the identity, coverage against rows, order within segments, and every derived column."""
    with reading(database, table_name) as (connection, tables):
        hot = tables.hot
        rows = connection.execute(sa.select(sa.func.count()).select_from(hot)).scalar_one()
        findings = [
            *_identity(connection, tables),
            *_written(connection, tables),
            *_segments(connection, tables),
            *_strays(connection, tables),
            *_overlaps(connection, tables),
            *_outlived(connection, tables),
            *_rows(connection, tables, lambda done: on_progress(done, rows) if on_progress else None),
        ]
        segments = connection.execute(sa.select(sa.func.count()).select_from(tables.coverage)).scalar_one()
        stream = (hot.c.exchange, hot.c.symbol, hot.c.depth)
        streams = len(connection.execute(sa.select(*stream).distinct()).all())
    return Audit(rows, segments, streams, tuple(findings))


def _identity(connection: sa.Connection, tables: Tables) -> Iterator[Finding]:
    """Find streams where what came in is not what is accounted for (the identity of docs/data.md)."""
    table = tables.accounting
    for row in connection.execute(sa.select(table)).mappings():
        settled = sum(row[term] for term in TERMS)
        came = row["received"] + row["carried_in"]
        if came != settled:
            yield Finding("identity", f"{_name(row)}: {came} came in, {settled} are accounted for")


def _written(connection: sa.Connection, tables: Tables) -> Iterator[Finding]:
    """What accounting calls written is what the session's segments hold."""
    accounting, coverage = tables.accounting, tables.coverage
    stream = ("session_id", "exchange", "symbol", "channel")
    held = {
        tuple(row[:4]): row[4]
        for row in connection.execute(
            sa.select(*(coverage.c[name] for name in stream), sa.func.sum(coverage.c.rows)).group_by(
                *(coverage.c[name] for name in stream)
            )
        )
    }
    for row in connection.execute(sa.select(accounting)).mappings():
        in_segments = int(held.get(tuple(row[name] for name in stream), 0))
        if row["written"] != in_segments:
            text = f"{_name(row)}: {row['written']} counted as written, {in_segments} in its segments"
            yield Finding("written", text)


def _segments(connection: sa.Connection, tables: Tables) -> Iterator[Finding]:
    """Each segment has as many rows as it says, from its start to its end."""
    hot, coverage = tables.hot, tables.coverage
    found = (
        sa.select(
            hot.c.segment_id,
            sa.func.count().label("found"),
            sa.func.min(hot.c.received_at_ns).label("first_ns"),
            sa.func.max(hot.c.received_at_ns).label("last_ns"),
            sa.func.max(hot.c.sequence).label("last_sequence"),
            sa.func.min(hot.c.sequence).label("first_sequence"),
        )
        .where(hot.c.segment_id.is_not(None))
        .group_by(hot.c.segment_id)
        .subquery()
    )
    question = sa.select(
        coverage,
        found.c.found,
        found.c.first_ns,
        found.c.last_ns,
        found.c.first_sequence.label("found_first"),
        found.c.last_sequence.label("found_last"),
    ).outerjoin(found, found.c.segment_id == coverage.c.segment_id)
    question = question.where(_is_of_books(coverage))
    for row in connection.execute(question).mappings():
        name = f"segment {row['segment_id']} of {_name(row)}"
        if (row["found"] or 0) != row["rows"]:
            yield Finding("segment rows", f"{name}: says {row['rows']} rows, has {row['found'] or 0}")
        elif (row["first_ns"], row["last_ns"]) != (row["start_ns"], row["end_ns"]):
            said = f"{row['start_ns']} to {row['end_ns']}"
            has = f"{row['first_ns']} to {row['last_ns']}"
            yield Finding("segment span", f"{name}: says {said}, its rows go from {has}")
        elif (row["found_first"], row["found_last"]) != (row["first_sequence"], row["last_sequence"]):
            said = f"{row['first_sequence']} to {row['last_sequence']}"
            has = f"{row['found_first']} to {row['found_last']}"
            yield Finding("segment sequence", f"{name}: says sequences {said}, its rows have {has}")
        if row["alive_until_ns"] < row["end_ns"]:
            text = f"{name}: alive until {row['alive_until_ns']}, before its end {row['end_ns']}"
            yield Finding("segment span", text)


def _is_of_books(coverage: sa.Table) -> sa.ColumnElement[bool]:
    """Tell the segments whose rows stand in the hot table from those of trades and bars."""
    return sa.or_(coverage.c.channel == "bbo", coverage.c.channel.startswith("book."))


def _strays(connection: sa.Connection, tables: Tables) -> Iterator[Finding]:
    """Every row that names a segment names one that coverage knows, of the same stream."""
    hot, coverage = tables.hot, tables.coverage
    of_the_depth = sa.literal("book.") + sa.cast(hot.c.depth, sa.TEXT)
    same_channel = sa.or_(
        coverage.c.channel == of_the_depth, sa.and_(coverage.c.channel == "bbo", hot.c.depth == 1)
    )
    other_stream = sa.or_(
        coverage.c.segment_id.is_(None),
        coverage.c.symbol != hot.c.symbol,
        coverage.c.exchange != hot.c.exchange,
        sa.not_(same_channel),
    )
    question = (
        sa.select(hot.c.id)
        .outerjoin(coverage, coverage.c.segment_id == hot.c.segment_id)
        .where(hot.c.segment_id.is_not(None), other_stream)
        .order_by(hot.c.id)
    )
    ids = connection.execute(question).scalars().all()
    if ids:
        yield Finding("stray rows", f"{_ids(ids)} in no coverage segment of their stream")


def _overlaps(connection: sa.Connection, tables: Tables) -> Iterator[Finding]:
    """The segments of one stream follow each other."""
    table = tables.coverage
    stream = ("exchange", "symbol", "channel")
    order = (*(table.c[name] for name in stream), table.c.start_ns)
    before = None
    for row in connection.execute(sa.select(table).order_by(*order)).mappings():
        same = before is not None and all(before[name] == row[name] for name in stream)
        if before is not None and same and before["alive_until_ns"] > row["start_ns"]:
            pair = f"{before['segment_id']} and {row['segment_id']}"
            yield Finding("segment overlap", f"segments {pair} of {_name(row)} overlap")
        before = row


def _outlived(connection: sa.Connection, tables: Tables) -> Iterator[Finding]:
    """No segment is alive after its session has ended."""
    coverage, sessions = tables.coverage, tables.sessions
    question = (
        sa.select(coverage, sessions.c.ended_ns)
        .join(sessions, sessions.c.session_id == coverage.c.session_id)
        .where(coverage.c.alive_until_ns > sessions.c.ended_ns + CLOCKS_DIFFER_NS)
    )
    for row in connection.execute(question).mappings():
        name = f"segment {row['segment_id']} of {_name(row)}"
        text = f"{name}: alive until {row['alive_until_ns']}, its session ended at {row['ended_ns']}"
        yield Finding("segment span", text)


def _rows(connection: sa.Connection, tables: Tables, on_progress: Callable[[int], None]) -> Iterator[Finding]:
    """Derived columns follow from the stored ones, bit for bit, and sequences grow within a segment."""
    hot = tables.hot
    names = [name for name in _ROW_CHECKS_READ if name in hot.c]
    question = (
        sa.select(*(hot.c[name] for name in names)).where(hot.c.segment_id.is_not(None)).order_by(hot.c.id)
    )
    wrong: dict[str, list[int]] = {}
    last: dict[int, tuple[int, int]] = {}
    done = 0
    for chunk in connection.execution_options(yield_per=ROWS_A_CHUNK).execute(question).partitions():
        columns = dict(zip(names, zip(*chunk, strict=True), strict=True))
        ids = np.array(columns["id"], dtype=np.int64)
        numbers = {name: np.array(columns[name], dtype=np.float64) for name in _DERIVED_FROM}
        for name, expected in derived(numbers).items():
            stored = numbers[name]
            differs = ~((stored == expected) | (np.isnan(stored) & np.isnan(expected)))
            wrong.setdefault(name, []).extend(ids[differs].tolist())
        keys = zip(
            columns["id"], columns["segment_id"], columns["sequence"], columns["received_at_ns"], strict=True
        )
        for row_id, segment, sequence, received in keys:
            before = last.get(segment)
            ordered = -1 if sequence is None else sequence
            if before is not None and (
                received <= before[1] or (sequence is not None and ordered <= before[0])
            ):
                wrong.setdefault("order", []).append(row_id)
            last[segment] = (ordered, received)
        done += len(ids)
        on_progress(done)
    for name, found in wrong.items():
        if found and name == "order":
            yield Finding("order", f"{_ids(found)} not after the row before in sequence and receipt")
        elif found:
            yield Finding("features", f"{name} of {_ids(found)} does not follow from the stored columns")


_DERIVED_FROM = (
    *("bid_price_1", "bid_size_1", "ask_price_1", "ask_size_1", "mid_price", "spread", "spread_bps"),
    *("microprice", "order_book_imbalance", "total_bid_volume_10", "total_ask_volume_10"),
)
_ROW_CHECKS_READ = ("id", "segment_id", "sequence", "received_at_ns", *_DERIVED_FROM)


def _name(row: sa.RowMapping) -> str:
    return f"{row['exchange']} {row['symbol']} {row['channel']}"


def _ids(found: Sequence[int]) -> str:
    shown = ", ".join(str(one) for one in found[:EXAMPLES])
    more = f" and {len(found) - EXAMPLES} more" if len(found) > EXAMPLES else ""
    return f"{len(found)} row{'s' if len(found) != 1 else ''} (id {shown}{more})"
