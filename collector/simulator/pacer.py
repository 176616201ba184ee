"""The markets' clock: steps each market at its rate, and keeps the connections' own time."""

import asyncio
import random

from collector.simulator.world import World

_PACE_S = 0.005
_BEAT_S = 0.1
_LONGEST_TURN_S = 0.05
# Of bursts and quiet spells: how a market's rate changes, about once a second, to the same mean.
_TEMPO_CHANGES_PER_S = 1.0
_TEMPOS = (0.1, 0.4, 0.5, 1.0, 3.0)


class Pacer:
    """Runs a world's markets and heartbeats on the simulator's loop."""

    def __init__(self, world: World, updates_per_s: float, seed: int, *, bursts: bool) -> None:
        self.is_paused = False
        self._world = world
        self._rate = updates_per_s
        self._bursts = bursts
        self._draws = random.Random(seed)  # noqa: S311  (a repeatable rhythm)

    async def run(self) -> None:
        """Step every market at its rate, one shortly after the other, until cancelled."""
        beats = asyncio.create_task(self._beat())
        try:
            if self._rate and self._world.feeds:
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

    async def _run_markets(self) -> None:
        pairs = self._world.pairs()
        loop = asyncio.get_running_loop()
        tempos = [1.0] * len(pairs)
        due = [index / len(pairs) for index in range(len(pairs))]
        last_s = loop.time()
        while True:
            if len(pairs) < len(self._world.feeds):  # a market that was only listed has started
                new = [pair for pair in self._world.pairs() if pair not in pairs]
                pairs += new
                tempos += [1.0] * len(new)
                due += [0.0] * len(new)
            await asyncio.sleep(max(_PACE_S, min(0.05, 1 / (self._rate * len(pairs)))))
            now_s = loop.time()
            # After a stall the market goes on from here; it does not make up for more than a second.
            elapsed_s = 0.0 if self.is_paused else min(now_s - last_s, 1.0)
            passed = elapsed_s * self._rate
            last_s = now_s
            for index, (feed, each) in enumerate(pairs):
                if self._bursts and self._draws.random() < _TEMPO_CHANGES_PER_S * elapsed_s:
                    tempos[index] = self._draws.choice(_TEMPOS)
                due[index] += passed * tempos[index]
                while due[index] >= 1.0 and not self.is_paused:
                    due[index] -= 1.0
                    self._world.publisher.step(feed, each)
                    if loop.time() - now_s > _LONGEST_TURN_S:
                        # More was asked than can be made: flat out then, as fast as clients read.
                        due[index] = 0.0
                        await self._world.drained()
                        now_s = last_s = loop.time()
