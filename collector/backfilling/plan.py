"""Plan what to ask REST for: what is wanted, less what is there, as far as each exchange has it. Pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

from collector.backfilling.pages import Stretch
from collector.backfilling.walk_bars import is_regular
from collector.events import OHLCV, TRADE, Channel, StreamKey, longest_ms, shortest_ms
from collector.exchanges import Exchange, MarketKind, Past, exchange_of
from collector.network import WEIGHT_SHARE

NS_A_MS, DAY_MS = 1_000_000, 86_400_000
NOT_YET_MS = 10_000  # so long after its time REST has what it will have, and clocks differ by less
SEAM_MS = 10_000  # so much was under way when a stream broke off, or is dated by another clock


class Span(NamedTuple):
    """What coverage says of a stream."""

    start_ns: int
    until_ns: int
    is_filled: bool  # by REST, or the exchange has nothing there


@dataclass(frozen=True, slots=True)
class Wanted:
    """A stream whose past is wanted."""

    key: StreamKey
    kind: MarketKind
    market_id: str
    has_key: bool = False  # the user has one of the exchange


@dataclass(frozen=True, slots=True)
class Estimate:
    """What it takes to ask for something: of trades by what a busy market has."""

    requests: int = 0
    seconds: float = 0.0
    rows: int = 0

    def __add__(self, other: "Estimate") -> "Estimate":
        """Return what both take, one after the other."""
        rows = self.rows + other.rows
        return Estimate(self.requests + other.requests, self.seconds + other.seconds, rows)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for, and what cannot be had, with what can."""

    stretches: tuple[Stretch, ...]
    notes: tuple[str, ...]

    def by_exchange(self) -> dict[str, list[Stretch]]:
        """Return the stretches of each exchange: they are asked for one after the other."""
        found: dict[str, list[Stretch]] = {}
        for one in self.stretches:
            found.setdefault(one.key.exchange, []).append(one)
        return found

    def estimate(self) -> Estimate:
        """Return what all takes; the exchanges are asked at the same time."""
        each = [sum(map(estimate, own), Estimate()) for own in self.by_exchange().values()]
        whole = sum(each, Estimate())
        return replace(whole, seconds=max((one.seconds for one in each), default=0.0))


def make_plan(
    wanted: Iterable[Wanted],
    start_ms: int,
    end_ms: int,
    now_ms: int,
    covered: Callable[[StreamKey], Sequence[Span]] = lambda _key: (),
    *,
    only_holes: bool = False,
) -> Plan:
    """Plan what to ask for.

    What REST brought before is not asked for again; what came live is, unless only holes are wanted.
    """
    stretches: list[Stretch] = []
    notes: dict[str, None] = {}
    for one in wanted:
        exchange = exchange_of(one.key.exchange)
        past, seek, why_not = _past_of(exchange, one)
        if past is None:
            notes[why_not] = None
            continue
        spans = [span for span in covered(one.key) if span.is_filled or only_holes]
        begin_ms, until_ms = _had(past, one.key.channel, start_ms, end_ms, now_ms)
        names = exchange.past_pages.named(one.market_id, one.kind, one.key.channel)
        if (
            seek is not None
            and seek.newest_days is not None
            and begin_ms < now_ms - seek.newest_days * DAY_MS
        ):
            seek = None  # what tells the ids of times does not reach so far back
        whole = Stretch(one.key, one.kind, one.market_id, past, begin_ms, until_ms, names, seek)
        found = list(_missing(whole, spans))
        stretches += found
        is_limited = any(first_ms < begin_ms for first_ms, _ in _holes(spans, start_ms, end_ms))
        if is_limited or (found and past.paging is None and not _is_bars(one)):
            notes[_limit_in_words(exchange, one, past, begin_ms)] = None
    return Plan(tuple(stretches), tuple(notes))


def estimate(stretch: Stretch) -> Estimate:
    """Return what it takes to ask for a stretch."""
    past, channel = stretch.past, stretch.key.channel
    span_ms = stretch.end_ms - stretch.start_ms
    if Channel.of(channel).family == OHLCV:
        rows = -(-span_ms // shortest_ms(Channel.of(channel).interval))
    else:
        limits = exchange_of(stretch.key.exchange).limits
        rows = int(span_ms / 1000.0 * limits.expected_a_second(TRADE, stretch.kind))
    if past.newest_rows is not None:
        rows = min(rows, past.newest_rows)
    requests = 1 if past.paging is None else max(1, -(-rows // past.rows))
    if past.to_id is not None or stretch.seek is not None:
        requests += 2  # to find the ids of its ends
    a_second = past.budget.most / past.budget.span_s * WEIGHT_SHARE
    return Estimate(requests, requests * past.weight / a_second, rows)


def _past_of(exchange: Exchange, one: Wanted) -> tuple[Past | None, Past | None, str]:
    """Return how to ask for a stream, how to find where to begin, and why it cannot be asked for."""
    channel, history = Channel.of(one.key.channel), exchange.history
    if channel.is_book:
        return None, None, f"{one.key.channel}: no exchange serves books of the past; their holes stay"
    if history is None:
        return None, None, f"{exchange.name}: what it has of the past was not looked up"
    if channel.family == OHLCV:
        return history.bars[one.kind], None, ""
    single = history.single_trades.get(one.kind)
    if single is not None and (one.has_key or not single.needs_key):
        return single, history.trades[one.kind], ""
    return history.trades[one.kind], None, ""


def _is_bars(one: Wanted) -> bool:
    return Channel.of(one.key.channel).family == OHLCV


def _had(past: Past, channel: str, start_ms: int, end_ms: int, now_ms: int) -> tuple[int, int]:
    """Return from when until when an exchange has something."""
    end_ms = min(end_ms, now_ms - NOT_YET_MS)
    if past.newest_days is not None:
        start_ms = max(start_ms, now_ms - past.newest_days * DAY_MS + NOT_YET_MS)
    meant = Channel.of(channel)
    if meant.family == OHLCV:
        step_ms = longest_ms(meant.interval)
        if is_regular(meant.interval):  # the last bar that is over
            end_ms = min(end_ms, (now_ms - NOT_YET_MS) // step_ms * step_ms)
        if past.paging is None and past.newest_rows is not None:
            start_ms = max(start_ms, (now_ms // step_ms - past.newest_rows + 1) * step_ms)
    return start_ms, end_ms


def _missing(whole: Stretch, spans: Sequence[Span]) -> Iterator[Stretch]:
    """Yield what is not covered, a little more where it meets what came live."""
    live_ends = {span.until_ns // NS_A_MS for span in spans if not span.is_filled}
    live_starts = {-(-span.start_ns // NS_A_MS) for span in spans if not span.is_filled}
    for start_ms, end_ms in _holes(spans, whole.start_ms, whole.end_ms):
        first_ms = start_ms - SEAM_MS if start_ms in live_ends else start_ms
        last_ms = min(end_ms + SEAM_MS, whole.end_ms) if end_ms in live_starts else end_ms
        yield replace(whole, start_ms=first_ms, end_ms=last_ms)


def _holes(spans: Sequence[Span], start_ms: int, end_ms: int) -> Iterator[tuple[int, int]]:
    """Yield what of a time no span covers, in whole milliseconds around it."""
    reached_ns, end_ns = start_ms * NS_A_MS, end_ms * NS_A_MS
    for span in sorted(spans):
        if span.start_ns > reached_ns and reached_ns < end_ns:
            until_ns = min(span.start_ns, end_ns)
            yield reached_ns // NS_A_MS, -(-until_ns // NS_A_MS)
        reached_ns = max(reached_ns, span.until_ns)
    if reached_ns < end_ns:
        yield reached_ns // NS_A_MS, end_ms


def _limit_in_words(exchange: Exchange, one: Wanted, past: Past, begin_ms: int) -> str:
    what = f"{exchange.name} {one.kind}, {one.key.channel}"
    if past.newest_days is not None:
        span = "the last day" if past.newest_days == 1 else f"the last {past.newest_days} days"
        history = exchange.history
        single = None if history is None else history.single_trades.get(one.kind)
        more = ""
        if single is not None and single.needs_key and not one.has_key and single.newest_days is not None:
            name = f"{exchange.name.upper()}_API_KEY"
            more = f"; with a key ({name} in the environment) {single.newest_days} days"
        return f"{what}: the exchange has {span} only, from {_text(begin_ms)} on{more}"
    if _is_bars(one):
        more = "; older ones can be built from its trades"
        return f"{what}: the exchange has the newest {past.newest_rows} only, from {_text(begin_ms)} on{more}"
    return f"{what}: the exchange has the newest {past.newest_rows:,} trades only, whenever they were"


def _text(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
