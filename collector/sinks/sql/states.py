"""Store the states that come with a batch: coverage, accounting, and the session."""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence

import sqlalchemy as sa

from collector.database import GIVEN_UP, Tables
from collector.events import StreamKey
from collector.sinks.contract import AccountingState, SegmentState, SessionState, Value, WriteSet
from collector.sinks.sql import multi_row
from collector.sinks.sql.state_rows import (
    ACCOUNTING_COLUMNS,
    ACCOUNTING_RULES,
    REASONS_RULES,
    SEGMENT_CHANGES,
    SEGMENT_RULES,
    SESSION_RULES,
    accounting_row,
    less_merged,
    moved_to_merged,
    segment_change,
    segment_row,
    session_row,
    with_reasons_so_far,
)


def write_states(
    connection: sa.Connection,
    tables: Tables,
    write_set: WriteSet,
    merged: Mapping[StreamKey, int],
    taken: Sequence[tuple[Collection[Value], int]],
) -> None:
    """Store what a batch says of segments and streams; `merged` and `taken`: rows that were there already."""
    lost = [one for one in write_set.segments if one.end_cause in GIVEN_UP and not one.rows]
    segments: Sequence[SegmentState] = [one for one in write_set.segments if one not in lost]
    increments: Sequence[AccountingState] = write_set.accounting
    if merged:
        segments, increments = less_merged(segments, taken), moved_to_merged(increments, merged)
    _end_before(connection, tables.coverage, lost)
    _write_segments(connection, tables.coverage, segments)
    _add_to_accounting(connection, tables.accounting, increments)


def keep_session(connection: sa.Connection, tables: Tables, session: SessionState) -> None:
    """Store the session, or what is new of it."""
    multi_row.upsert(connection, tables.sessions, [session_row(session)], rules=SESSION_RULES)


def _write_segments(connection: sa.Connection, table: sa.Table, segments: Sequence[SegmentState]) -> None:
    changed = [segment_change(one) for one in segments]
    if multi_row.change(connection, table, SEGMENT_CHANGES, changed, SEGMENT_RULES) < len(segments):
        multi_row.upsert(connection, table, map(segment_row, segments), if_there="skip")  # the new ones


def _end_before(connection: sa.Connection, table: sa.Table, segments: Iterable[SegmentState]) -> None:
    """End segments where they stand: what came next was given up. One without a row ends as it begins."""
    for one in segments:
        ended = (
            sa.update(table)
            .where(table.c.segment_id == one.segment_id)
            .values(end_cause=one.end_cause, detail=one.detail)
        )
        if not connection.execute(ended).rowcount:
            multi_row.upsert(connection, table, [segment_row(one)])


def _add_to_accounting(
    connection: sa.Connection, table: sa.Table, increments: Sequence[AccountingState]
) -> None:
    now_ns = time.time_ns()
    plain = [accounting_row(one, now_ns) for one in increments if not one.rejected]
    multi_row.upsert_rows(connection, table, ACCOUNTING_COLUMNS, plain, rules=ACCOUNTING_RULES)
    if len(plain) < len(increments):
        told = with_reasons_so_far(connection, table, [one for one in increments if one.rejected])
        rows = [accounting_row(one, now_ns, reasons) for one, reasons in told]
        multi_row.upsert_rows(connection, table, ACCOUNTING_COLUMNS, rows, rules=REASONS_RULES)
