"""One symbol on one exchange: its market, when each step was published, and all that came of it.

A step depends on the seed and on nothing else, so a feed keeps only the time of each step and a small
checkpoint now and then; any former state is made again from these. For the same reason a market that
has no reader need not run: its ticks are recorded and it catches up with the next request.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple
from zlib import crc32

from collector.simulator.market.bars import MINUTE_MS, Bar, empty_bar, roll
from collector.simulator.market.instruments import Instrument
from collector.simulator.market.market import Change, Fill, Frozen, Market
from collector.simulator.market.outages import BarsInOutages
from collector.simulator.market.past import History, PastPlan
from collector.simulator.market.record import Columns, Numbering

CHECKPOINT_STEPS = 8_192
# How far a market without a reader falls behind: catching up takes a quarter of a second at most.
MOST_STEPS_DUE = 16_384
# A matching engine's time stands still where its exchange's clock is set back a little.
MOST_BACK_MS = 5_000


class SymbolFeed:
    """The published life of one symbol."""

    def __init__(
        self,
        instrument: Instrument,
        seed: int,
        *,
        levels: int,
        remember: int,
        start_ms: int,
        past: PastPlan | None = None,
        bars_in_outages: BarsInOutages = "flat",
    ) -> None:
        self.instrument = instrument
        self.seed = f"{seed}:{instrument.exchange}:{instrument.symbol}"
        self.market = Market(self.seed, instrument.start_ticks, instrument.typical_lots, levels)
        # The number base of each counter: large, as on a real exchange, and its own for each market.
        self.id_base = 10**9 + self.market.random.randrange(10**9)
        self.times = Columns("q", remember)
        self.times.append(start_ms)
        self.step_count = 0
        self._most_due = min(remember, MOST_STEPS_DUE)
        self.trades = Columns("qqqbq", remember)
        self.groups = Columns("q", remember)
        self.touches = Columns("q", remember)
        self.touches.append(0)
        self.events = Numbering(self.id_base * 10)
        self.trade_ids = Numbering(self.id_base)
        self.start_ms = start_ms
        self.delisted = False
        self.volume_factor = 1.0  # of the last 24 hours, as tickers tell them
        self.past_hours: dict[int, Bar | None] = {}  # before the start, made for tickers
        plan = past or PastPlan()
        self.history = History(
            self.seed,
            plan,
            start_ms=start_ms,
            start_ticks=instrument.start_ticks,
            typical_lots=instrument.typical_lots,
            first_trade=self.trade_base,
            outages=tuple(each for each in plan.outages if each.is_of(self.exchange, self.symbol)),
            bars_in_outages=bars_in_outages,
        )
        self.minutes = [empty_bar(start_ms, MINUTE_MS, self.history.last_ticks)]
        self._numberings: dict[str, Numbering] = {}
        self._checkpoints: dict[int, Frozen] = {0: self.market.freeze()}
        self._planned: dict[int, Callable[[Market], Change]] = {}
        self.stale_steps = 0
        self.edge_levels: int | None = None

    @property
    def exchange(self) -> str:
        """The exchange's name."""
        return self.instrument.exchange

    @property
    def symbol(self) -> str:
        """The unified symbol."""
        return self.instrument.symbol

    @property
    def now_ms(self) -> int:
        """The exchange's time of the last step taken."""
        return self.times[self.step_count][0]

    @property
    def trade_base(self) -> int:
        """The id of the first live trade."""
        return self.id_base

    @property
    def last_event(self) -> int:
        """The update id of the present state."""
        return self.update_id(self.step_count, self.market.event)

    def update_id(self, step: int, event: int) -> int:
        """Return the id of one of a step's events."""
        return self.events.offset(step) + event * self.instrument.conventions.ids_per_event

    def numbered(self, change: Change) -> list[tuple[int, Fill]]:
        """List the trades of the present step with their ids."""
        first = len(self.trades) - len(change.fills)
        return [(self.trade_ids.at(index), fill) for index, fill in enumerate(change.fills, first)]

    def skip_trade_id(self) -> int:
        """Take an id for what is no trade: the next trade has the one after."""
        number = self.trade_ids.at(len(self.trades))
        self.trade_ids.skip(len(self.trades))
        return number

    def numbering(self, counter: str) -> Numbering:
        """Return the sequence numbers of one of the exchange's channels."""
        if counter not in self._numberings:
            self._numberings[counter] = Numbering((self.id_base ^ crc32(counter.encode())) % 10**9)
        return self._numberings[counter]

    def tick(self, now_ms: int) -> None:
        """Record that a step is due at this time; `step` or `catch_up` takes it."""
        last_ms = self.times[len(self.times) - 1][0]
        if 0 < last_ms - now_ms <= MOST_BACK_MS:
            now_ms = last_ms
        self.times.append(now_ms)
        if self.steps_due > self._most_due:
            self.step()

    def plan(self, *moves: Callable[[Market], Change]) -> None:
        """Replace the next steps by these moves of the market."""
        for step, move in enumerate(moves, len(self.times)):
            self._planned[step] = move

    def rest_book(self, depth: int) -> "RestBook":
        """Return the book that a REST request gets: the present one, unless a fault says otherwise."""
        step = max(self.times.first, self.step_count - self.stale_steps)
        market = self.market if step == self.step_count else self.market_at(step)
        shown = depth if self.edge_levels is None else min(depth, self.edge_levels)
        return RestBook(
            step,
            self.update_id(step, market.event),
            self.times[step][0],
            market.bids.top(shown),
            market.asks.top(shown),
        )

    @property
    def steps_due(self) -> int:
        """How many ticks were noted whose steps are not yet taken."""
        return len(self.times) - 1 - self.step_count

    def catch_up(self) -> None:
        """Step until no step is due."""
        while self.steps_due:
            self.step()

    def step(self) -> Change:
        """Move the market by the next step that is due, and record what came of it."""
        self.step_count += 1
        at_ms = self.times[self.step_count][0]
        change = self._advance(self.market, self.step_count)
        roll(self.minutes, at_ms)
        self._group(change)
        for fill in change.fills:
            number = self.trade_ids.at(len(self.trades))
            self.minutes[-1].add(fill.ticks, fill.lots, number, buys=fill.taker_buys)
            self.trades.append(at_ms, fill.ticks, fill.lots, fill.taker_buys, self.step_count)
        if change.top_changed:
            self.touches.append(self.step_count)
        if self.step_count % CHECKPOINT_STEPS == 0:
            self._checkpoints[self.step_count] = self.market.freeze()
            for step in [step for step in self._checkpoints if step < self.times.first - CHECKPOINT_STEPS]:
                del self._checkpoints[step]
        return change

    def _group(self, change: Change) -> None:
        """Number the aggregates: fills of one order at one price count as one."""
        last = None
        for at, fill in enumerate(change.fills, len(self.trades)):
            if (fill.ticks, fill.taker_buys) != last:
                self.groups.append(at)
            last = (fill.ticks, fill.taker_buys)

    def replay(self, first_step: int) -> Iterator[tuple[int, Market]]:
        """Make the states again from one step on: yields the step and the market, which then moves on."""
        step = max(step for step in list(self._checkpoints) if step <= first_step)
        market = Market.thaw(self._checkpoints[step])
        while True:
            if step >= first_step:
                yield step, market
            step += 1
            self._advance(market, step)

    def market_at(self, step: int) -> Market:
        """Make one former state again."""
        return next(self.replay(step))[1]

    def _advance(self, market: Market, step: int) -> Change:
        move = self._planned.get(step, Market.step)
        return move(market)


class RestBook(NamedTuple):
    """A book for a REST answer: the step it is of, its update id and time, its levels as (key, lots)."""

    step: int
    update_id: int
    at_ms: int
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]
