"""A history that an exchange publishes, and two connections that bring it out of step, each until it dies."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from outlet_rig import NOW_NS, OutletRig

from collector.book import Verdict, VerifiedBook, WholeBooks
from collector.events.batch import INT_COLUMNS, Batch, Liveness, StreamKey
from collector.events.messages import CandleMessage, Delta, MarketData, Side, Snapshot, TradeMessage
from collector.exchanges.bybit.rule import Continuity
from collector.streams.book_stream import BookStream
from collector.streams.candle_stream import CandleRule, CandleStream
from collector.streams.paired_stream import PairedStream
from collector.streams.stream import Topic
from collector.streams.trade_stream import TradeRule, TradeStream

EVENTS = 80
BASE_MS = NOW_NS // 10**6
MINUTE_MS = 60_000
TOPIC = Topic("t", "t", "BTCUSDT", "spot", 50)


class _ByChanges(WholeBooks):
    """Books without numbers that are told by changes, as Kraken's are."""

    def judge_delta(self, last_sequence: int | None, delta: Delta) -> Verdict:
        del last_sequence, delta
        return Verdict.CONTINUES

    def judge_snapshot(self, last_sequence: int | None, snapshot: Snapshot) -> Verdict:
        del last_sequence, snapshot
        return Verdict.RESTARTS


@dataclass
class Kind:
    """What is collected: how its events look, and which of them a row is."""

    name: str

    def stream(self, rig: OutletRig, *, standby: bool) -> PairedStream:
        key = StreamKey("binance", "BTC/USDT", self.name)
        if self.name.startswith("book"):
            rule = Continuity() if self.name == "book.50" else _ByChanges("checksum")
            book = VerifiedBook(rule, 50)
            return BookStream(key, TOPIC, rig.outlet, book, levels_per_row=1, standby=standby)
        if self.name.startswith("trade"):
            numbered = TradeRule(self.name == "trade", 1e9)
            return TradeStream(key, TOPIC, rig.outlet, numbered, standby=standby)
        return CandleStream(
            key, TOPIC, rig.outlet, CandleRule(confirms=True, most_off_s=1e9), standby=standby
        )

    @property
    def begins_with_a_snapshot(self) -> bool:
        return self.name.startswith("book")

    def message(self, number: int, *, begins: bool) -> MarketData:
        """Return an event; sizes flicker between two values: equal levels are no proof of an equal place."""
        size, at_ms = 1.0 + number % 2, BASE_MS + number
        if self.name.startswith("book"):
            sequence = number if self.name == "book.50" else None
            at_ms = at_ms if sequence is not None else BASE_MS + number // 2  # two updates in a millisecond
            if begins:
                return Snapshot("t", sequence, at_ms, [(100.0, size)], [(101.0, 1.0)])
            return Delta("t", sequence, at_ms, [(100.0, size)], [])
        if self.name.startswith("trade"):
            numbered = number if self.name == "trade" else None
            return TradeMessage("t", str(number), at_ms, 100.0, size, Side.BUY, number=numbered)
        minute, step = divmod(number, 5)
        open_ms, volume = BASE_MS + minute * MINUTE_MS, min(step, 3) + 1.0
        return CandleMessage(
            "t", "1m", open_ms, at_ms, 100.0, 102.0, 99.0, 101.0, volume, confirmed=step == 4
        )

    def told_by(self, number: int) -> range:
        """Return the events that a row tells: of a bar all before it as well."""
        return (
            range(number - number % 5, number + 1) if self.name == "ohlcv.1m" else range(number, number + 1)
        )

    def rows(self, batch: Batch) -> list[tuple[int, int, int]]:
        """Return each row's segment, its receipt and which event it is."""
        if self.name.startswith("book"):
            integers, width, segment = batch.integers.tolist(), INT_COLUMNS, 4
        elif self.name.startswith("trade"):
            integers, width, segment = batch.trades.integers.tolist(), 7, 4
        else:
            integers, width, segment = batch.candles.integers.tolist(), 7, 4
        rows = [integers[at : at + width] for at in range(0, len(integers), width)]
        if self.name == "book.25":
            sizes = batch.levels[1::4]
            numbers = [2 * (row[1] - BASE_MS) + int(size) - 1 for row, size in zip(rows, sizes, strict=True)]
            return [(row[segment], row[0], number) for row, number in zip(rows, numbers, strict=True)]
        return [(row[segment], row[0], row[1] - BASE_MS) for row in rows]


@dataclass
class Connected:
    """One connection's stream, and how far it has brought the history."""

    stream: PairedStream
    liveness: Liveness
    next: int | None = None  # None: it is dead
    begins: bool = True


@dataclass
class World:
    """Two connections, the second of which is to replace the first."""

    kind: Kind
    rng: random.Random
    rig: OutletRig = field(default_factory=lambda: OutletRig(max_rows=10_000))
    published: int = 1
    delivered: Counter[int] = field(default_factory=Counter)
    batches: list[Batch] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)  # how many batches lie before each step of the clock

    def __post_init__(self) -> None:
        self.old = Connected(self.kind.stream(self.rig, standby=False), Liveness(NOW_NS))
        self.new = Connected(self.kind.stream(self.rig, standby=True), Liveness(NOW_NS))

    def subscribe(self, side: Connected) -> None:
        """Bring what is published from now on, and the state of now where there is one."""
        side.begins = self.kind.begins_with_a_snapshot
        side.next = self.published - side.begins
        side.liveness.heard_ns = self.rig.now_ns
        side.stream.subscribed(self.rig.now_ns, side.liveness)

    def deliver(self, side: Connected) -> None:
        """Bring one more event, if it is alive and behind."""
        if side.next is None or side.next >= self.published:
            return
        self.rig.now_ns += 10**6
        side.liveness.heard_ns = self.rig.now_ns
        side.stream.take(self.kind.message(side.next, begins=side.begins), self.rig.now_ns, side.liveness)
        self.delivered[side.next] += 1
        side.next, side.begins = side.next + 1, False

    def die(self, side: Connected, cause: str = "disconnect") -> None:
        self.rig.now_ns += 10**6
        side.stream.lose(cause, "", side.liveness.heard_ns)
        side.next = None

    def step(self, step_ns: int) -> None:
        """Step the clock, as the connections of a feed are told."""
        covered = []
        for side in (self.old, self.new):
            if side.stream.end_at_step(step_ns, side.liveness.heard_ns, "a step"):
                covered.append(side.stream)
            side.liveness.heard_ns += step_ns
        self.rig.now_ns += step_ns
        self.batches.append(self.rig.swap())
        self.steps.append(len(self.batches))
        for stream in covered:
            stream.begin_after_step(self.rig.now_ns)

    def hand_over(self) -> None:
        """End the first connection, as a replacement does."""
        self.die(self.old, "stop")
        self.old.stream.leave()

    def end(self) -> None:
        for side in (self.old, self.new):
            self.die(side, "stop")
        self.new.stream.leave()
        self.batches.append(self.rig.swap())

    def check(self) -> None:
        """Hold what was stored and counted against what was brought."""
        rows = [row for batch in self.batches for row in self.kind.rows(batch)]
        counts = next((one.counts[0] for one in reversed(self.batches) if one.counts), None)
        total = sum(self.delivered.values())
        assert (counts.received if counts else 0) == total
        stored = {number for _, _, number in rows}
        told = {one for number in stored for one in self.kind.told_by(number)}
        may_be_merged = sum(self.delivered[number] for number in told) - len(rows)
        assert counts is None or counts.merged <= may_be_merged, "counted as merged, and nowhere"
        by_segment: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for segment, at_ns, number in rows:
            by_segment[segment].append((number, at_ns))
        for events in by_segment.values():
            times = [at_ns for _, at_ns in events]
            assert times == sorted(times)
        for numbers in self._in_order(rows):
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "one is missing within"
        if self.kind.name.startswith("trade"):
            assert len(rows) == len(stored), "stored twice"
        self._check_segments(by_segment)

    def _in_order(self, rows: Sequence[tuple[int, int, int]]) -> Iterable[list[int]]:
        """Return what each segment holds, without late trades and states of a bar that come again."""
        told: dict[int, list[int]] = defaultdict(list)
        newest = -1
        for segment, _, number in rows:
            is_late = number <= newest and not self.kind.begins_with_a_snapshot
            newest = max(newest, number)
            if not is_late:
                told[segment].append(number)
        return told.values()

    def _check_segments(self, by_segment: dict[int, list[tuple[int, int]]]) -> None:
        opened = [(place, one) for place, batch in enumerate(self.batches) for one in batch.opened]
        closed = {one.segment_id: one for batch in self.batches for one in batch.closed}
        until_ns = reached = 0
        for place, one in opened:
            if sum(step <= place for step in self.steps) > reached:
                until_ns, reached = 0, sum(step <= place for step in self.steps)
            assert one.start_ns >= until_ns, "two segments at one time"
            ends = [at_ns for _, at_ns in by_segment[one.segment_id]] or [one.start_ns]
            until_ns = max(ends[-1], closed[one.segment_id].alive_until_ns or 0)


def happen(world: World, chance: float, *, is_handed_over: bool) -> bool:
    """Let something happen or not; returns whether the first connection was handed over by now."""
    old, new = world.old, world.new
    if chance < 0.02:
        world.rig.now_ns += 3 * 10**9
    elif chance < 0.06:
        world.die(old if chance < 0.05 and not is_handed_over else new)
    elif chance < 0.20 and new.next is None:
        world.subscribe(new)
    elif is_handed_over or new.next is None:
        pass
    elif chance < 0.25 and old.next is None:
        world.subscribe(old)
    elif chance < 0.27:
        new.stream.stand_in(old.liveness.heard_ns)
    elif chance > 0.8 and new.stream.in_step():
        world.hand_over()
        return True
    return is_handed_over


def play(kind: Kind, seed: int, steps: float = 0.0) -> World:
    """Let two connections bring a history, out of step, with deaths at any moment."""
    rng = random.Random(seed)
    world = World(kind, rng)
    old, new = world.old, world.new
    world.subscribe(old)
    if rng.random() < 0.9:
        world.deliver(old)
    new.stream.follow(old.stream, new.liveness)
    is_handed_over = False
    paces: Sequence[float] = [rng.choice([0.2, 0.5, 0.9]) for _ in range(3)]
    while world.published < EVENTS:
        if rng.random() < paces[0]:
            world.published += 1
        for side, pace in ((old, paces[1]), (new, paces[2])):
            while rng.random() < pace:
                world.deliver(side)
        if steps and rng.random() < steps:
            world.step(rng.choice([-1, 1]) * 60 * 10**9)
        chance = rng.random()
        is_handed_over = happen(world, chance, is_handed_over=is_handed_over)
        if chance > 0.97:
            world.batches.append(world.rig.swap())
    world.end()
    return world
