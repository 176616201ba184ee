"""Find the reason of a hole in coverage in the send log; a hole without one is the collector's own doing."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from send_truth import SendTruth, Stream, Told, sent_as
from stored_plainly import Segment

from collector.simulator.exchanges import EXCHANGES
from collector.simulator.send_log import Logged

NS = 1_000_000_000
# How long after a fault its effect may come.
REACH_S = {
    **dict.fromkeys(("close", "reset", "expire", "expired", "idle", "slow_consumer"), 10.0),
    **dict.fromkeys(("raw_frame", "malformed_frame", "huge_frame", "deep_frame", "bomb"), 10.0),
    **dict.fromkeys(("half_open", "connection_allowance"), 45.0),
    # These wait for the next connection or request, whose answer is waited for after that.
    **dict.fromkeys(("accept_silently", "refuse"), 120.0),
    **dict.fromkeys(("reject_subscription", "ignore_subscription", "refuse_subscription"), 120.0),
    **dict.fromkeys(("message_allowance", "server_shutdown", "status", "delist", "enlist"), 45.0),
}
# These wait for the next message of their channel.
IN_THE_NEXT_MESSAGE = {
    *("reorder", "bad_number", "corrupt_level", "corrupt_checksum", "checksum_without_data"),
    *("gap", "restart", "crossed_book", "drop_frame"),
}
NEXT_REACH_S = 10.0
# Bybit documents that a 403 shuts an address out for ten minutes; who dials again sooner is shut out longer.
BANS_S = {("bybit", "refuse 403"): REACH_S["refuse"] + 600.0}
NOTICE_S = 8.0  # a connection whose end is announced so early is replaced by then, if nothing else happens
NOTICE_REACH_S = 30.0  # what happened so long before may still keep the new connection from its books
NOTICE = re.compile(r"server_shutdown after ([\d.]+) s")
# That something is missing is seen when the next message comes, however late that is in a quiet market.
SHOWN_BY_THE_NEXT = {"sequence_gap", "checksum"}
# REST's faults explain why a book that needs REST has none, and nothing else.
REST_CAUSES = {"edge"}
REST_REACH_S = 60.0
# The exchange says that what was asked for does not exist; whoever is told so need not ask again.
FOR_GOOD = re.compile(r"Invalid symbol|handler not found|pair not supported|doesn't exist|invalid stream")
REFUSED = re.compile(r'"success":false|"error"|"code":-?\d{4,}|Exceeded')


@dataclass(frozen=True, slots=True)
class Hole:
    """Time between two segments of a stream, or after the last."""

    stream: Stream
    from_ns: int
    until_ns: int
    cause: str | None
    detail: str
    is_last: bool = False

    def __str__(self) -> str:
        at = f"{datetime.fromtimestamp(self.from_ns / 1e9, UTC):%H:%M:%S.%f}"
        lasted_s = (self.until_ns - self.from_ns) / 1e9
        return f"{' '.join(self.stream)} at {at} for {lasted_s:.3f} s: {self.cause} ({self.detail})"


def holes_of(stream: Stream, segments: Sequence[Segment], last_ns: int) -> Iterator[Hole]:
    """List the holes between a stream's segments."""
    for segment, following in pairwise(segments):
        yield Hole(stream, segment.alive_until_ns, following.start_ns, segment.end_cause, segment.detail)
    last = segments[-1]
    if last.end_cause != "stop":
        yield Hole(stream, last.alive_until_ns, last_ns, last.end_cause, last.detail, is_last=True)


def is_false(hole: Hole, truth: SendTruth, told: Told | None, recovery_s: float) -> bool:
    """Return whether nothing in the log explains that the hole began, or that it lasted."""
    begins_ns, ends_ns = hole.from_ns, hole.until_ns
    if any(
        FOR_GOOD.search(answer.detail)
        and begins_ns <= answer.at_ns <= ends_ns
        and _names(answer, hole.stream)
        for answer in truth.answers.get(hole.stream[0], [])
    ):
        return False
    if was_taken_off(truth, hole.stream, begins_ns, ends_ns):
        return False
    if _was_announced(hole, truth.faults.get(hole.stream[0], [])):
        return True
    reasons = list(_reasons_ns(hole, truth, told, begins_ns, ends_ns))
    if not reasons:
        return True
    last_ns = max([*reasons, *_hindrances_ns(hole, truth, begins_ns, ends_ns)])
    if hole.cause in SHOWN_BY_THE_NEXT:
        last_ns = max(last_ns, _first_delivery_ns(told, begins_ns, ends_ns))
    last_ns = max(last_ns, min(banned_until_ns(truth, hole.stream[0], ends_ns), ends_ns))
    if hole.stream[0] == "binance" and hole.stream[2] == "bbo":  # says nothing until something changes
        last_ns = max(last_ns, _first_delivery_ns(told, last_ns, ends_ns))
    return ends_ns - max(last_ns, begins_ns) > recovery_s * NS


def banned_until_ns(truth: SendTruth, exchange: str, before_ns: int) -> int:
    """Return until when an exchange shuts us out by what it answered before an instant; 0 if it does not."""
    faults = [fault for fault in truth.faults.get(exchange, []) if fault.at_ns <= before_ns]
    bans_s = [(fault.at_ns, BANS_S.get((exchange, fault.detail), 0.0)) for fault in faults]
    return max((at_ns + int(ban_s * NS) for at_ns, ban_s in bans_s if ban_s), default=0)


def was_taken_off(truth: SendTruth, stream: Stream, begins_ns: int = 0, ends_ns: int | None = None) -> bool:
    """Return whether a market was taken off its exchange; who was told so looks again in its own time."""
    return any(
        fault.detail.startswith("delist")
        and fault.symbol == stream[1]
        and begins_ns - REACH_S["delist"] * NS <= fault.at_ns
        and (ends_ns is None or fault.at_ns <= ends_ns)
        for fault in truth.faults.get(stream[0], [])
    )


def _first_delivery_ns(told: Told | None, begins_ns: int, ends_ns: int) -> int:
    """Return when an update made since was first delivered; one of before may come by a second socket yet."""
    updates = [update for update in (told.updates if told else ()) if begins_ns < update.made_ns]
    times_ns = [at_ns for update in updates for _, at_ns in update.delivered]
    return min((at_ns for at_ns in times_ns if at_ns <= ends_ns), default=ends_ns)


def _reasons_ns(
    hole: Hole, truth: SendTruth, told: Told | None, begins_ns: int, ends_ns: int
) -> Iterator[int]:
    exchange, symbol, channel = hole.stream
    connections = set() if told is None else told.connections
    # Two channels of a market were compared: whatever befell either is the reason.
    sent = None if hole.cause == "witness" else sent_as(exchange, channel)
    for fault in truth.faults.get(exchange, []):
        if not _concerns(fault, symbol, sent, exchange, connections):
            continue
        name = fault.detail.split(" ")[0]
        from_ns, reach_s = fault.at_ns, REACH_S.get(name)
        if name in IN_THE_NEXT_MESSAGE:
            next_ns = None if told is None else told.line_after(fault.at_ns)
            from_ns, reach_s = next_ns or fault.at_ns, NEXT_REACH_S
        elif name.startswith("rest_") or name in {"snapshot_edge", "stale_snapshot"}:
            reach_s = REST_REACH_S if hole.cause in REST_CAUSES else None
        if reach_s is not None and fault.at_ns <= ends_ns and begins_ns <= from_ns + reach_s * NS:
            yield from_ns
    for stream, each in truth.streams.items():
        if stream[:2] != hole.stream[:2] or sent not in {None, stream[2]}:
            continue
        for update in each.updates:
            if update.missed - {"unheard"} and begins_ns - 60 * NS <= update.made_ns <= ends_ns:
                yield update.made_ns


def _was_announced(hole: Hole, faults: Sequence[Logged]) -> bool:
    """Return whether a connection was closed as announced, so early that there need be no hole."""
    for fault in faults:
        notice = NOTICE.match(fault.detail)
        if notice is None or float(notice[1]) < NOTICE_S:
            continue
        is_end = abs(hole.from_ns - fault.at_ns - float(notice[1]) * NS) < NS
        from_ns = fault.at_ns - NOTICE_REACH_S * NS
        others = (one for one in faults if not NOTICE.match(one.detail))
        if is_end and not any(from_ns <= one.at_ns <= hole.from_ns for one in others):
            return True
    return False


def _names(answer: Logged, stream: Stream) -> bool:
    """Return whether an answer is about a market; Binance's do not say which."""
    exchange, symbol, _ = stream
    names = (symbol, EXCHANGES[exchange].instrument(symbol).name)
    return exchange == "binance" or any(name in answer.detail for name in names)


def _hindrances_ns(hole: Hole, truth: SendTruth, begins_ns: int, ends_ns: int) -> Iterator[int]:
    """List what may have kept the stream from coming back: any fault of its exchange, and refusals."""
    exchange = hole.stream[0]
    for fault in truth.faults.get(exchange, []):
        if begins_ns <= fault.at_ns <= ends_ns:
            yield fault.at_ns
    for answer in truth.answers.get(exchange, []):
        if begins_ns <= answer.at_ns <= ends_ns and REFUSED.search(answer.detail):
            yield answer.at_ns


def _concerns(fault: Logged, symbol: str, sent: str | None, exchange: str, connections: set[int]) -> bool:
    if fault.symbol is not None and fault.connection is None and fault.symbol != symbol:
        return False
    if None not in {fault.channel, sent} and sent_as(exchange, fault.channel or "") != sent:
        return False
    return fault.connection is None or fault.connection in connections
