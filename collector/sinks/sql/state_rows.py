"""Turn the states that a batch carries into rows of their tables."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter

import sqlalchemy as sa

from collector.events import StreamKey
from collector.sinks.contract import AccountingState, SegmentState, SessionState, Value, WriteSet
from collector.sinks.sql.conflicts import Rules

Row = dict[str, Value]
Reasons = Mapping[str, int]

_STREAM = ("session_id", "exchange", "symbol", "channel")
_TERMS = ("received", "carried_in", "written", "merged", "sampled_out", "rejected", "dropped", "pending")

SESSION_RULES: Rules = (("ended_ns", "largest"),)
# What never changes is not set again: SQLite would write the index anew that holds it.
SEGMENT_RULES: Rules = (
    ("rows", "add"),
    ("first_sequence", "keep"),
    *((name, "never") for name in (*_STREAM, "start_ns", "verification")),
)
_CHANGING = ("end_ns", "alive_until_ns", "first_sequence", "last_sequence", "rows", "witnessed", "disagreed")
SEGMENT_CHANGES = (*_CHANGING, "end_cause", "detail", "segment_id")
segment_change: Callable[[SegmentState], tuple[Value, ...]] = attrgetter(*SEGMENT_CHANGES)
_PLAIN_COUNTS = (*_STREAM, *(term for term in _TERMS if term != "rejected"))
_plain_counts: Callable[[AccountingState], tuple[Value, ...]] = attrgetter(*_PLAIN_COUNTS)
ACCOUNTING_COLUMNS = (*_PLAIN_COUNTS, "rejected", "rejected_reasons", "updated_ns")
REASONS_RULES: Rules = tuple((term, "add") for term in _TERMS)
ACCOUNTING_RULES: Rules = (*REASONS_RULES, ("rejected_reasons", "never"))


def ledger_row(write_set: WriteSet, committed_ns: int) -> Row:
    """Return the row whose presence says that the batch is stored."""
    return {
        "batch_id": write_set.batch_id,
        "session_id": write_set.written_by,
        "committed_ns": committed_ns,
        "rows": write_set.row_count,
    }


def segment_row(state: SegmentState) -> Row:
    """Return the row of a coverage segment."""
    return {
        "segment_id": state.segment_id,
        "session_id": state.session_id,
        "exchange": state.exchange,
        "symbol": state.symbol,
        "channel": state.channel,
        "start_ns": state.start_ns,
        "end_ns": state.end_ns,
        "alive_until_ns": state.alive_until_ns,
        "first_sequence": state.first_sequence,
        "last_sequence": state.last_sequence,
        "rows": state.rows,
        "witnessed": state.witnessed,
        "disagreed": state.disagreed,
        "verification": state.verification,
        "end_cause": state.end_cause,
        "detail": state.detail,
    }


def accounting_row(
    state: AccountingState, updated_ns: int, reasons: Reasons | None = None
) -> tuple[Value, ...]:
    """Return the row that adds to one stream in one session; `reasons` is their sum so far."""
    if reasons is None:
        return (*_plain_counts(state), 0, "{}", updated_ns)
    told = json.dumps(dict(reasons), sort_keys=True)
    return (*_plain_counts(state), state.rejected_total, told, updated_ns)


def with_reasons_so_far(
    connection: sa.Connection, table: sa.Table, increments: Sequence[AccountingState]
) -> list[tuple[AccountingState, Reasons]]:
    """Add to each increment's rejections those that stand in the table, reason by reason."""
    question = sa.select(*(table.c[name] for name in _STREAM), table.c.rejected_reasons).where(
        table.c.session_id.in_({one.session_id for one in increments})
    )
    there = {tuple(row[:-1]): json.loads(row[-1]) for row in connection.execute(question)}
    return [
        (one, Counter(there.get(tuple(getattr(one, name) for name in _STREAM), {})) + Counter(one.rejected))
        for one in increments
    ]


def moved_to_merged(
    increments: Sequence[AccountingState], merged: Mapping[StreamKey, int]
) -> list[AccountingState]:
    """Count as merged, not as written, the rows that were there already."""
    return [_moved(one, merged.get(one.key, 0)) for one in increments]


def less_merged(
    segments: Sequence[SegmentState], merged: Iterable[tuple[Collection[Value], int]]
) -> list[SegmentState]:
    """Take the rows that were there already off those that the segments add, the newest first.

    Of such rows it is known how many they are, and of which segments: live ones and those that REST brought
    of one stream may come together.
    """
    rows = {one.segment_id: one.rows for one in segments}
    for numbers, count in merged:
        left = count
        for number in reversed(rows):
            if number in numbers:
                taken = min(left, rows[number])
                rows[number] -= taken
                left -= taken
    return [
        one if rows[one.segment_id] == one.rows else replace(one, rows=rows[one.segment_id])
        for one in segments
    ]


def _moved(one: AccountingState, rows: int) -> AccountingState:
    if not rows or not one.written:
        return one
    return replace(one, written=one.written - rows, merged=one.merged + rows)


def session_row(state: SessionState) -> Row:
    """Return the row of a run of the program."""
    return {
        "session_id": state.session_id,
        "started_ns": state.started_ns,
        "version": state.version,
        "host": state.host,
        "pid": state.pid,
        "wanted": state.wanted,
        "ended_ns": state.ended_ns,
        "end_cause": state.end_cause,
    }
