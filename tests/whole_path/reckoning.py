"""Hold what a collector stored and claims to have covered against what the simulator's send log says.

Covered time is a promise: each update in it was received, and is stored. Here it is taken at its word, from
the log and the database alone.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from hole_reasons import Hole, holes_of, is_false, was_taken_off
from send_truth import SendTruth, Stream, Told, Update
from stored_plainly import Row, Segment, Stored

SLACK_NS = 500_000_000  # between a message's way onto the socket and its receipt, on a busy machine
UNSENT_SLACK_NS = 2_500_000_000  # what was withheld is logged before its batch and its way
FAR_NS = 5_000_000_000  # between a row and an update that has its number by chance
SHORTEST_LOSS_NS = 1_000_000
# What no client can see. Kraken's checksum proves the best ten levels: a lost change of a level that the
# very next updates set again leaves no trace.
UNPROVABLE_BY_CHECKSUM = 2
ON_THE_EXCHANGES_SIDE = {"stalled", "stalled snapshot", "dropped"}
ONE_EVENT_NS = 1_000_000_000
# A bar that is withheld shows by the trades that come meanwhile; one may be told of before, or be in no bar.
TRADES_OF_A_STALL, EARLY_NS = 3, 2_000_000_000
BY_REST = {"binance"}


@dataclass(frozen=True, slots=True)
class Loss:
    """An update that existed in covered time and is not stored."""

    stream: Stream
    segment: Segment
    update: Update
    lost_ns: int
    where: str

    def __str__(self) -> str:
        return (
            f"{' '.join(self.stream)} segment {self.segment.segment_id} ({self.segment.end_cause},"
            f" {self.segment.detail}): update {self.update.number} of {clock(self.update.made_ns)} is missing"
            f" ({self.where}; delivered {self.update.delivered}, missed {sorted(self.update.missed)});"
            f" covered {clock(self.segment.start_ns)} to {clock(self.segment.alive_until_ns)},"
            f" last proven {clock(self.segment.end_ns)}"
        )


@dataclass
class Reckoning:
    """What came out; all but `holes` and `unknowable` must be empty."""

    losses: list[Loss] = field(default_factory=list)
    extra_rows: list[tuple[Stream, Row]] = field(default_factory=list)
    holes: list[Hole] = field(default_factory=list)
    false_holes: list[Hole] = field(default_factory=list)
    inexact: dict[Stream, int] = field(default_factory=dict)
    never_covered: list[Stream] = field(default_factory=list)
    asked_again: list[str] = field(default_factory=list)  # of REST, far more often than needed
    unknowable: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    covered_s: float = 0.0
    market_hours: float = 0.0

    @property
    def lost_s(self) -> float:
        """Covered time that lost an update."""
        return sum(loss.lost_ns for loss in self.losses) / 1e9

    def false_events(self) -> list[list[Hole]]:
        """Group false holes of one exchange that began together: they are one event."""
        events: list[list[Hole]] = []
        for hole in sorted(self.false_holes, key=lambda hole: (hole.stream[0], hole.from_ns)):
            last = events[-1][-1] if events else None
            if (
                last is not None
                and last.stream[0] == hole.stream[0]
                and hole.from_ns - last.from_ns < ONE_EVENT_NS
            ):
                events[-1].append(hole)
            else:
                events.append([hole])
        return events

    def __str__(self) -> str:
        causes = Counter(str(hole.cause) for hole in self.holes)
        text = [
            f"{self.rows} rows, {self.covered_s:.1f} s covered, {self.market_hours:.2f} market-hours",
            f"holes: {len(self.holes)} {dict(causes)}; false: {len(self.false_holes)}",
            f"covered time that lost an update: {self.lost_s:.3f} s in {len(self.losses)} places",
            f"extra rows: {len(self.extra_rows)}; inexact: {self.inexact}",
            f"never covered: {self.never_covered}; asked again and again: {self.asked_again}",
            f"lost where no client can know: {dict(self.unknowable)}",
            *(f"  LOST {loss}" for loss in self.losses[:20]),
            *(f"  FALSE {hole}" for hole in self.false_holes[:20]),
            *(f"  EXTRA {' '.join(stream)} {row}" for stream, row in self.extra_rows[:20]),
        ]
        return "\n".join(text)


def clock(at_ns: int) -> str:
    """Write a time."""
    return f"{datetime.fromtimestamp(at_ns / 1e9, UTC):%H:%M:%S.%f}"


def reckon(
    truth: SendTruth,
    stored: Stored,
    wanted: Sequence[Stream],
    *,
    patience_s: Mapping[str, float],
    recovery_s: float,
    bar_patience_s: Mapping[str, float] | None = None,
) -> Reckoning:
    """Compare.

    `patience_s`: after how long a silent stream is asked about and found stale, of each exchange;
    `bar_patience_s`: for how long its bars may tell nothing of trades.
    `recovery_s`: how long a stream may take to come back once nothing stands in its way.
    """
    markets = {stream[:2] for stream in wanted}
    hours = (truth.last_ns - truth.first_ns) / 3600e9
    found = Reckoning(
        market_hours=hours * len(markets),
        inexact={stream: off for stream, off in stored.differences.items() if off},
    )
    for stream in wanted:
        segments = stored.segments.get(stream, [])
        told = truth.told(*stream)
        if not segments:
            if not was_taken_off(truth, stream):
                found.never_covered.append(stream)
            continue
        found.covered_s += sum(max(0, one.alive_until_ns - one.start_ns) for one in segments) / 1e9
        found.rows += len(stored.rows.get(stream, []))
        if told is not None:
            _reckon_rows(found, stream, told, stored, segments, patience_s[stream[0]])
            trades = truth.told(*stream[:2], "trade") if (*stream[:2], "trade") in wanted else None
            if bar_patience_s is not None and trades is not None:
                _reckon_stalls(found, stream, told, trades, segments, bar_patience_s[stream[0]])
        for hole in holes_of(stream, segments, truth.last_ns):
            found.holes.append(hole)
            if is_false(hole, truth, told, recovery_s):
                found.false_holes.append(hole)
    return found


def _reckon_rows(
    found: Reckoning,
    stream: Stream,
    told: Told,
    stored: Stored,
    segments: Sequence[Segment],
    patience_s: float,
) -> None:
    rows = stored.rows.get(stream, [])
    held: set[int] = set()
    of_segment: dict[int | None, list[int]] = {}
    for row, place in _placed(told, rows):
        if place is None:
            if not _is_from_before(told, row):
                found.extra_rows.append((stream, row))
            continue
        held.add(place)
        of_segment.setdefault(row.segment_id, []).append(place)
        update = told.updates[place]
        was_sent = any(at_ns <= row.received_at_ns + SLACK_NS for _, at_ns in update.delivered)
        if not was_sent and stream[0] not in BY_REST:
            found.extra_rows.append((stream, row))
    made_ns = [update.made_ns for update in told.updates]
    by_rest = stream[0] in BY_REST and stream[2].startswith("book.")
    for segment in segments:
        places = of_segment.get(segment.segment_id, [])
        missing = [
            (place, where)
            for place, where in _inside(told, made_ns, segment, places, is_whole_at_first=by_rest)
            if place not in held and told.updates[place].is_change
        ]
        for run in _runs(missing):
            _judge(found, stream, told, segment, run, patience_s)


def _reckon_stalls(
    found: Reckoning,
    stream: Stream,
    told: Told,
    trades: Told,
    segments: Sequence[Segment],
    patience_s: float,
) -> None:
    """Find covered time in which bars were withheld, for longer than it takes to see that by the trades."""
    traded_ns = [update.delivered[0][1] for update in trades.updates if update.delivered]
    for begins_ns, *ends_ns in told.stalls_ns:
        for segment in segments:
            since_ns = max(begins_ns, segment.start_ns) + EARLY_NS
            ends = min([segment.alive_until_ns, *ends_ns])
            seen_ns = [at_ns for at_ns in traded_ns if since_ns <= at_ns < ends][:TRADES_OF_A_STALL]
            if len(seen_ns) == TRADES_OF_A_STALL and ends - seen_ns[-1] > patience_s * 1e9:
                update = Update((0, 0), 0, begins_ns, missed={"stalled"})
                found.losses.append(Loss(stream, segment, update, ends - begins_ns, "bars withheld"))


def _placed(told: Told, rows: Sequence[Row]) -> Iterator[tuple[Row, int | None]]:
    """Find the update of each row: of several with its number the next one, as they were sent in order.

    The first row of a segment has none before it: the nearest in time is its own.
    """
    taken: set[tuple[int | None, int]] = set()
    last: dict[int | None, int] = {}  # of each segment
    for row in rows:
        places = told.by_key.get(row.key)
        if places is None:
            yield row, None
            continue
        free = [place for place in places if (row.segment_id, place) not in taken] or places
        place = min(free, key=partial(_unlikeness, told, row))
        if row.segment_id in last:
            is_likely = _unlikeness(told, row, place)[:2]
            likely = [one for one in free if _unlikeness(told, row, one)[:2] == is_likely]
            place = next((one for one in likely if one > last[row.segment_id]), place)
        last[row.segment_id] = place
        taken.add((row.segment_id, place))
        yield row, place


def _unlikeness(told: Told, row: Row, place: int) -> tuple[bool, bool, int]:
    update = told.updates[place]
    apart_ns = abs(update.last_ns - row.received_at_ns)
    return apart_ns > FAR_NS, not update.delivered, apart_ns


def _is_from_before(told: Told, row: Row) -> bool:
    """Return whether a row is of the time before the log of its stream begins: REST and trades look back."""
    if isinstance(row.key, str):
        return not told.updates or row.received_at_ns >= told.updates[0].made_ns - SLACK_NS
    return not told.updates or row.key < int(told.updates[0].key)


def _inside(
    told: Told, made_ns: Sequence[int], segment: Segment, places: Sequence[int], *, is_whole_at_first: bool
) -> Iterator[tuple[int, str]]:
    """List the updates that a segment claims, and by what: they lie between its rows, or in its time.

    `is_whole_at_first`: the first row shows all updates up to its number, whenever the stream brings them.
    """
    first, last = (min(places), max(places)) if places else (None, None)
    if first is not None and last is not None:
        for place in range(first + 1, last):
            yield place, "between its rows"
    begin = bisect_left(made_ns, segment.start_ns - UNSENT_SLACK_NS)
    end = bisect_right(made_ns, segment.alive_until_ns)
    for place in range(begin, min(end, len(told.updates))):
        if first is not None and last is not None and first <= place <= last:
            continue
        if is_whole_at_first and first is not None and place < first:
            continue
        update = told.updates[place]
        slack_ns = SLACK_NS if update.delivered else UNSENT_SLACK_NS
        on_its_way_ns = update.last_ns
        if last is not None and place > last:
            on_its_way_ns = max(on_its_way_ns, segment.end_ns)
        if segment.start_ns + slack_ns < on_its_way_ns < segment.alive_until_ns - slack_ns:
            yield place, "after its rows" if last is not None and place > last else "before its rows"


def _runs(missing: Sequence[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Split what is missing into stretches of neighbours."""
    run: list[tuple[int, str]] = []
    for place, where in missing:
        if run and place != run[-1][0] + 1:
            yield run
            run = []
        run.append((place, where))
    if run:
        yield run


def _judge(
    found: Reckoning,
    stream: Stream,
    told: Told,
    segment: Segment,
    run: Sequence[tuple[int, str]],
    patience_s: float,
) -> None:
    """Decide whether a stretch of lost updates could be known, and count it."""
    updates = [told.updates[place] for place, _ in run]
    after = run[-1][0] + 1
    next_ns = told.updates[after].last_ns if after < len(told.updates) else segment.alive_until_ns
    ends_ns = min(next_ns, segment.alive_until_ns)
    lost_ns = max(SHORTEST_LOSS_NS, ends_ns - updates[0].made_ns)
    # One delivered update of the stretch must not be excused with the others.
    unsent = all(not update.delivered for update in updates)
    by_exchange = unsent and all(update.missed <= ON_THE_EXCHANGES_SIDE for update in updates)
    waited_s = (ends_ns - updates[0].made_ns) / 1e9
    if unsent and run[0][1] == "after its rows" and waited_s < patience_s:
        found.unknowable["silent when its coverage ended"] += len(run)
    elif by_exchange and stream[2] == "trade" and run[0][1] == "before its rows":
        found.unknowable["before the first number of a segment"] += len(run)
    elif (
        by_exchange and segment.verification == "connection" and (stream[2] != "bbo" or waited_s < patience_s)
    ):
        found.unknowable["without numbers"] += len(run)
    elif unsent and segment.verification == "checksum" and len(run) <= UNPROVABLE_BY_CHECKSUM:
        found.unknowable["overwritten under a checksum"] += len(run)
    else:
        found.losses.append(Loss(stream, segment, updates[0], lost_ns, f"{run[0][1]}, {len(run)} in a row"))
