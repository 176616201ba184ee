"""Convert an ingestor's statistics into plain values, fit for JSON."""

from collections.abc import Sequence
from typing import Any

from collector.app import StreamView, View
from collector.events import Delivery

TERMS = ("received", "written", "merged", "sampled_out", "rejected_total", "dropped", "pending")


def stats_of(
    state: str, reasons: Sequence[str], view: View | None, callbacks: Sequence[Delivery]
) -> dict[str, Any]:
    """Return all statistics as one dict; `view` is None before the first start."""
    streams = [] if view is None else [_stream(one) for one in view.streams]
    stats: dict[str, Any] = {
        "state": state,
        "healthy": not reasons,
        "reasons": list(reasons),
        **{term: sum(one[term] for one in streams) for term in TERMS},
        "streams": streams,
        "callbacks": [
            {
                "name": one.subscriber,
                "handled": one.handled,
                "failed": one.failed,
                "dropped": one.dropped,
                "waiting": one.waiting,
            }
            for one in callbacks
        ],
    }
    if view is not None:
        stats |= {
            "session_id": view.session_id,
            "database": view.database,
            "uptime_s": view.uptime_s,
            "connections": view.connections,
            "exchange_status": list(view.statuses),
            "halts": view.halts,
            "last_halt": None
            if view.last_halt is None
            else f"{view.last_halt.code}: {view.last_halt.reason}",
            "commits": view.writer.batches,
            "last_commit_s": view.writer.last_commit_s,
            "database_error": view.writer.last_error,
        }
    return stats


def _stream(view: StreamView) -> dict[str, Any]:
    now = view.glance
    return {
        "exchange": view.key.exchange,
        "symbol": view.key.symbol,
        "channel": view.key.channel,
        "state": view.state,
        **{term: getattr(view.counts, term) for term in TERMS},
        "rejected": dict(view.counts.rejected),
        "gaps": view.gaps,
        "last_cause": view.last_cause,
        "bid": None if now is None else now.bid,
        "ask": None if now is None else now.ask,
        "lag_ms": None if now is None else now.lag_ms,
    }
