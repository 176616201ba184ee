"""What sets a real market apart from an ideal one: distance, clocks that are off, batches, oddities."""

import random

from collector.simulator.exchanges.exchange import Exchange
from collector.simulator.market.symbol_feed import SymbolFeed
from collector.simulator.publisher import Publisher
from collector.simulator.world import World

_LATENCY_MS = (5.0, 60.0)
_JITTER_MS = (0.5, 6.0)
_CLOCK_OFF_MS = 80.0
_SERVICE_MS = (1.0, 8.0)
_BATCH_S = 0.1
# Trades that are none: about 15 a minute on Binance's BTCUSDT perpetual.
_PLACEHOLDERS_PER_S = 0.25
# Of Kraken, in recordings: rare, but seen each hour.
_UNCHANGED_PER_S = 0.02
_JOINED_PER_S = 0.02
_BOOK_KINDS = {"book"}


def set_apart(world: World, seed: int) -> None:
    """Give each exchange its distance, its clock and its queue; before the start, from the seed."""
    for each in world.exchanges:
        draw = random.Random(f"{seed}:{each.name}:apart")  # noqa: S311  (a repeatable world)
        conditions = world.conditions[each.name]
        conditions.latency_ms = draw.uniform(*_LATENCY_MS)
        conditions.jitter_ms = draw.uniform(*_JITTER_MS)
        conditions.service_ms = draw.uniform(*_SERVICE_MS)
        world.clock_offsets_ns[each.name] = int(draw.uniform(-_CLOCK_OFF_MS, _CLOCK_OFF_MS) * 1e6)
        if each.batches_diffs:
            world.hub.batch_s[each.name] = _BATCH_S


class Oddities:
    """What exchanges do now and then and a client must bear: no fault, but nothing that one expects."""

    def __init__(self, publisher: Publisher, seed: int) -> None:
        self._publisher = publisher
        self._draws = random.Random(f"{seed}:oddities")  # noqa: S311  (repeatable oddities)

    def advance(self, feed: SymbolFeed, exchange: Exchange, elapsed_s: float) -> None:
        """Let time pass on one market."""
        if exchange.has_placeholders(feed) and self._comes(_PLACEHOLDERS_PER_S, elapsed_s):
            self._publisher.send_placeholder(feed, exchange)
        if exchange.joins_updates:
            channel = self._book_channel(feed)
            if channel and self._comes(_UNCHANGED_PER_S, elapsed_s):
                self._publisher.send_unchanged(feed, exchange, channel)
            if channel and self._comes(_JOINED_PER_S, elapsed_s):
                self._publisher.step_in_one_frame(feed, exchange, channel)

    def _book_channel(self, feed: SymbolFeed) -> str | None:
        channels = self._publisher.channels(feed, _BOOK_KINDS)
        return self._draws.choice(channels) if channels else None

    def _comes(self, times_per_s: float, elapsed_s: float) -> bool:
        return self._draws.random() < times_per_s * elapsed_s
