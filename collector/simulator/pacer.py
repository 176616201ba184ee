"""The markets' clock: steps each market at its rate, and keeps the connections' own time."""

import asyncio
from statistics import fmean

from collector.simulator.lively import Oddities
from collector.simulator.tempos import Profile, Rhythm
from collector.simulator.world import World

_PACE_S = 0.005
_BEAT_S = 0.1
_LONGEST_TURN_S = 0.05


class Pacer:
    """Runs a world's markets and heartbeats on the simulator's loop."""

    def __init__(self, world: World, updates_per_s: float, seed: int, profile: Profile) -> None:
        self.is_paused = False
        self._world = world
        self._rate = updates_per_s
        self._profile = profile
        self._seed = seed
        self._oddities = Oddities(world.publisher, seed) if profile == "lively" else None
        self._rhythms: dict[tuple[str, str], Rhythm] = {}
        self._due: dict[tuple[str, str], float] = {}

    async def run(self) -> None:
        """Step every market at its rate, one shortly after the other, until cancelled."""
        beats = asyncio.create_task(self._beat())
        try:
            if self._rate:
                await self._run_markets()
            await beats
        finally:
            beats.cancel()
            for replay in self._world.publisher.replays.values():
                replay.end()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(_BEAT_S)
            self._world.beat()
            self._world.publisher.repeat_in_quiet(self._world.exchanges)
            if self._world.log is not None:
                self._world.log.flush()

    async def _run_markets(self) -> None:
        loop = asyncio.get_running_loop()
        last_s = loop.time()
        while True:
            pairs = self._world.pairs()
            if len(pairs) > len(self._rhythms):  # at the start, and when a market was listed since
                self._find_rhythms()
            await asyncio.sleep(max(_PACE_S, min(0.05, 1 / (self._rate * max(1, len(pairs))))))
            now_s = loop.time()
            # After a stall the market goes on from here; it does not make up for more than a second.
            elapsed_s = 0.0 if self.is_paused else min(now_s - last_s, 1.0)
            last_s = now_s
            paces: dict[str, list[float]] = {}
            for feed, each in pairs:
                market = feed.exchange, feed.symbol
                pace = self._rhythms[market].advance(elapsed_s) * self._world.tempos.factor(*market)
                paces.setdefault(each.name, []).append(pace)
                if self._oddities is not None and pace and elapsed_s:
                    self._oddities.advance(feed, each, elapsed_s)
                self._due[market] += elapsed_s * self._rate * pace
                while self._due[market] >= 1.0 and not self.is_paused:
                    self._due[market] -= 1.0
                    self._world.publisher.step(feed, each)
                    if loop.time() - now_s > _LONGEST_TURN_S:
                        # More was asked than can be made: flat out then, as fast as clients read.
                        self._due[market] = 0.0
                        await self._world.drained()
                        now_s = last_s = loop.time()
            for each in self._world.exchanges:
                each.load = fmean(paces.get(each.name, [1.0]))

    def _find_rhythms(self) -> None:
        """Give each new market its rhythm; the first of an exchange is never silent for minutes."""
        pairs = self._world.pairs()
        for index, (feed, each) in enumerate(pairs):
            market = feed.exchange, feed.symbol
            if market not in self._rhythms:
                is_first = feed is next(iter(each.feeds.values()))
                seed = f"{self._seed}:{feed.exchange}:{feed.symbol}:rhythm"
                self._rhythms[market] = Rhythm(seed, self._profile, may_fall_silent=not is_first)
                self._due[market] = index / len(pairs)
