"""Turn the states that a batch carries into rows of their tables."""

import json

from collector.sinks.contract import AccountingState, SegmentState, SessionState, Value, WriteSet

Row = dict[str, Value]


def ledger_row(batch: WriteSet, committed_ns: int) -> Row:
    """Return the row whose presence says that the batch is stored."""
    return {
        "batch_id": batch.batch_id,
        "session_id": batch.session.session_id,
        "committed_ns": committed_ns,
        "rows": batch.row_count,
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


def accounting_row(state: AccountingState, updated_ns: int) -> Row:
    """Return the row of one stream in one session."""
    return {
        "session_id": state.session_id,
        "exchange": state.exchange,
        "symbol": state.symbol,
        "channel": state.channel,
        "received": state.received,
        "carried_in": state.carried_in,
        "written": state.written,
        "merged": state.merged,
        "sampled_out": state.sampled_out,
        "rejected": state.rejected_total,
        "rejected_reasons": json.dumps(dict(state.rejected), sort_keys=True),
        "dropped": state.dropped,
        "pending": state.pending,
        "updated_ns": updated_ns,
    }


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
