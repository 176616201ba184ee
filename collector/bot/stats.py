"""Convert an ingestor's statistics into plain values, fit for JSON: the same keys at any moment."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypedDict, cast

from collector.app import DOUBTS, MISSING, Checked, StreamView, View, WriterView, rates_between
from collector.clock import seconds_since
from collector.events import Delivery, StreamKey
from collector.sinks import AccountingState

TERMS = ("received", "written", "merged", "sampled_out", "rejected_total", "dropped", "pending")
NO_RATES: Mapping[StreamKey, float] = MappingProxyType({})
NO_TIMES: Mapping[StreamKey, int] = MappingProxyType({})
NOTHING_WRITTEN = WriterView(0, 0, 0, 0.0, None, 0, 0, spool_max_bytes=0)


class TermStats(TypedDict):
    """What became of events: received = written + merged + sampled_out + rejected + dropped + pending."""

    received: int
    written: int
    merged: int
    sampled_out: int
    rejected_total: int
    dropped: int
    pending: int


class StreamStats(TermStats):
    """One stream: a market's channel."""

    exchange: str
    symbol: str
    channel: str
    state: str
    received_per_s: float
    last_message_ns: int | None
    last_message_age_s: float | None
    rejected: dict[str, int]
    gaps: int
    last_cause: str
    bid: float | None
    ask: float | None
    lag_ms: float | None


class CallbackStats(TypedDict):
    """What became of the events for one callback."""

    name: str
    handled: int
    failed: int
    dropped: int
    waiting: int


class SpoolStats(TypedDict):
    """What waits on disk for the database."""

    rows: int
    bytes: int
    max_bytes: int
    spilling: bool


class IngestorStats(TermStats):
    """All that `get_stats` returns."""

    state: str
    healthy: bool
    reasons: list[str]
    session_id: str | None
    database: str
    uptime_s: float
    received_per_s: float
    last_message_ns: int | None
    last_message_age_s: float | None
    streams: list[StreamStats]
    other_streams: list[StreamStats]
    connections: dict[str, str]
    reconnects: dict[str, dict[str, int]]
    holes: dict[str, dict[str, int]]
    mismatches: int
    last_trouble: str | None
    exchange_status: list[str]
    halts: int
    last_halt: str | None
    commits: int
    retries: int
    last_commit_s: float
    last_commit_ns: int | None
    database_error: str | None
    breaker: str
    spool: SpoolStats
    callbacks: list[CallbackStats]


@dataclass(frozen=True, slots=True)
class Known:
    """What an ingestor knows of its collector, running or not."""

    database: str  # without its password
    asked: Sequence[StreamKey] = ()  # what is configured, for as long as nothing was started
    view: View | None = None  # the latest; None before the first start
    rates: Mapping[StreamKey, float] = field(default_factory=lambda: NO_RATES)  # events a second
    last_ns: Mapping[StreamKey, int] = field(
        default_factory=lambda: NO_TIMES
    )  # of each stream's last message
    last_trouble: str = ""


def stats_of(
    state: str,
    reasons: Sequence[str],
    known: Known,
    callbacks: Sequence[Delivery],
    now_ns: int | None = None,
) -> IngestorStats:
    """Return all statistics; what is not known yet is 0, None or empty."""
    at_ns = time.time_ns() if now_ns is None else now_ns
    view = known.view
    writer = NOTHING_WRITTEN if view is None else view.writer
    views = _not_started(known.asked) if view is None else view.streams
    asked = views if view is None else view.asked
    streams = [_stream(one, known, at_ns) for one in views]
    shown = {one.key for one in asked}
    last_ns = max((one["last_message_ns"] or 0 for one in streams), default=0)
    halt = None if view is None else view.last_halt
    return IngestorStats(
        state=state,
        healthy=not reasons,
        reasons=list(reasons),
        session_id=None if view is None else view.session_id,
        database=known.database if view is None else view.database,
        uptime_s=0.0 if view is None else view.uptime_s,
        **_terms([one.counts for one in views]),
        received_per_s=sum(one["received_per_s"] for one in streams),
        last_message_ns=last_ns or None,
        last_message_age_s=seconds_since(last_ns, at_ns),
        streams=[one for one, of in zip(streams, views, strict=True) if of.key in shown],
        other_streams=[one for one, of in zip(streams, views, strict=True) if of.key not in shown],
        connections={} if view is None else view.connections,
        reconnects=_by_exchange({} if view is None else view.reconnects),
        holes=_by_exchange({} if view is None else view.holes),
        mismatches=0 if view is None else sum(n for (_, why), n in view.holes.items() if why in DOUBTS),
        last_trouble=known.last_trouble or None,
        exchange_status=[] if view is None else list(view.statuses),
        halts=0 if view is None else view.halts,
        last_halt=None if halt is None else f"{halt.code}: {halt.reason}",
        commits=writer.batches,
        retries=writer.retries,
        last_commit_s=writer.last_commit_s,
        last_commit_ns=writer.last_commit_ns or None,
        database_error=writer.last_error,
        breaker=writer.breaker,
        spool=SpoolStats(
            rows=writer.spooled_rows,
            bytes=writer.spool_bytes,
            max_bytes=writer.spool_max_bytes,
            spilling=writer.spilling,
        ),
        callbacks=[
            CallbackStats(
                name=one.subscriber,
                handled=one.handled,
                failed=one.failed,
                dropped=one.dropped,
                waiting=one.waiting,
            )
            for one in callbacks
        ],
    )


def rates_of(before: Checked | None, latest: Checked | None) -> Mapping[StreamKey, float]:
    """Return events a second by stream, between the last two checks."""
    return NO_RATES if before is None or latest is None else rates_between(before.view, latest.view)


def last_messages(view: View, before: Mapping[StreamKey, int] = NO_TIMES) -> Mapping[StreamKey, int]:
    """Return when each stream's last message came; for those that a view says nothing of, what was known."""
    now = {one.key: one.glance.received_at_ns for one in view.streams if one.glance is not None}
    return {**before, **{key: at_ns for key, at_ns in now.items() if at_ns}}


def _not_started(asked: Iterable[StreamKey]) -> tuple[StreamView, ...]:
    return tuple(StreamView(key, MISSING, AccountingState("", *key), None, 0, "", 0) for key in asked)


def _terms(counts: Sequence[AccountingState]) -> TermStats:
    return cast("TermStats", {term: sum(getattr(one, term) for one in counts) for term in TERMS})


def _by_exchange(counts: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (exchange, cause), count in counts.items():
        found.setdefault(exchange, {})[cause] = count
    return found


def _stream(view: StreamView, known: Known, at_ns: int) -> StreamStats:
    now, last_ns = view.glance, known.last_ns.get(view.key, 0)
    return StreamStats(
        exchange=view.key.exchange,
        symbol=view.key.symbol,
        channel=view.key.channel,
        state=view.state,
        **_terms([view.counts]),
        received_per_s=known.rates.get(view.key, 0.0),
        last_message_ns=last_ns or None,
        last_message_age_s=seconds_since(last_ns, at_ns),
        rejected=dict(view.counts.rejected),
        gaps=view.gaps,
        last_cause=view.last_cause,
        bid=None if now is None else now.bid,
        ask=None if now is None else now.ask,
        lag_ms=None if now is None else now.lag_ms,
    )
