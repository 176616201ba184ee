"""The simulator as a test, a benchmark or a demo holds it."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from collector.errors import UserError
from collector.simulator.control import Control
from collector.simulator.exchanges.exchange import Connection, Exchange
from collector.simulator.faults.faults import Faults
from collector.simulator.market.symbol_feed import SymbolFeed
from collector.simulator.recordings.recording import Recorded, read_recording
from collector.simulator.recordings.replay import Replay, ReplayHandle
from collector.simulator.server import Server
from collector.simulator.world import EXCHANGES, Ahead, World

DEFAULT_SYMBOLS: Mapping[str, Sequence[str]] = {
    "bybit": ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT", "BTC/USDT", "ETH/USDT"),
    "binance": ("BTC/USDT", "ETH/USDT", "BTC/USDT:USDT", "ETH/USDT:USDT"),
    "kraken": ("BTC/USD", "ETH/USD", "SOL/USD"),
}
if TYPE_CHECKING:
    from collector.simulator.market.truth import Truth

_PACE_S = 0.005
_BEAT_S = 0.1
_LONGEST_TURN_S = 0.05
# Of bursts and quiet spells: how a market's rate changes, about once a second, to the same mean.
_TEMPO_CHANGES_PER_S = 1.0
_TEMPOS = (0.1, 0.4, 0.5, 1.0, 3.0)
_BATCH_STEPS = 200


class Simulator:
    """Simulated exchanges on one local port, with a thread of their own."""

    def __init__(
        self,
        *,
        port: int = 0,
        seed: int = 7,
        symbols: Mapping[str, Sequence[str]] | None = None,
        updates_per_s: float | None = 50.0,
        bursts: bool = False,
        levels: int = 300,
        remember: int = 1_000_000,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        known = {kind.name for kind in EXCHANGES}
        chosen = DEFAULT_SYMBOLS if symbols is None else symbols
        unknown = set(chosen) - known
        if unknown:
            raise UserError(f"no simulated exchange is called {', '.join(sorted(unknown))}")
        self._chosen = {
            kind.name: tuple(dict.fromkeys(chosen[kind.name])) for kind in EXCHANGES if kind.name in chosen
        }
        self._world = World(chosen, seed=seed, levels=levels, remember=remember, clock_ns=clock_ns)
        self._rate = updates_per_s or 0.0
        self._bursts = bursts
        self._tempo_draws = random.Random(seed)  # noqa: S311  (a repeatable rhythm)
        self._server = Server(self._world, port, self._pace, Control(self).answer)
        self._ahead: list[Ahead] = []
        self._paused = False
        self._started = False
        self._stopped = False
        self.truth: Truth = self._world.truth
        self.faults = Faults(self._world, self._server.call)

    @property
    def symbols(self) -> dict[str, list[str]]:
        """The simulated markets of each exchange."""
        return {name: list(symbols) for name, symbols in self._chosen.items()}

    @property
    def port(self) -> int:
        """The port that it listens on; known once started."""
        return self._server.port

    def start(self) -> None:
        """Listen; returns when clients can connect."""
        self._server.start()
        self._started = True

    def stop(self) -> None:
        """Close everything; the truth stays readable. Does nothing the second time."""
        if self._started and not self._stopped:
            self._stopped = True
            self._server.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def endpoints(self, exchange: str) -> dict[str, str]:
        """Give the value of `exchanges.<name>.endpoints` that leads a collector here."""
        if exchange not in {each.name for each in self._world.exchanges}:
            raise UserError(f"this simulator has no {exchange}")
        return {"rest": f"http://127.0.0.1:{self.port}", "ws": f"ws://127.0.0.1:{self.port}"}

    def publish(self, n: int, symbol: str | None = None, exchange: str | None = None) -> None:
        """Move the chosen markets n updates on, at once; returns when they are handed to the sockets."""
        self._server.call(self._publish(n, symbol, exchange))

    def prepare(self, n: int, symbol: str | None = None, exchange: str | None = None) -> None:
        """Make the frames of the next n updates ahead, so that only sockets limit `release`.

        They go to those who are subscribed now; the truth knows these updates from here on.
        """
        self._server.call(self._prepare(n, symbol, exchange))

    def release(self) -> int:
        """Send all that was prepared, flat out; tells how many updates, once handed to the sockets."""
        return self._server.call(self._release())

    def replay(self, exchange: str, symbol: str, path: str | Path, speed: float = 1.0) -> ReplayHandle:
        """Play a recording in the place of a symbol's market: `speed` times as fast as recorded, 0 flat out.

        It begins with the first subscription to the symbol.
        """
        if (exchange, symbol) not in self._world.feeds:
            raise UserError(f"no simulated market is {symbol} on {exchange}")
        frames = list(read_recording(path))
        replay = self._server.call(self._replay(exchange, symbol, frames, speed))
        return ReplayHandle(replay, self._server.call)

    def pause(self) -> None:
        """Stop the markets' clock; once this returns, nothing moves by itself."""
        self._paused = True
        with suppress(RuntimeError):  # not running: nothing moves
            self._server.call(asyncio.sleep(0))  # the turn of the loop that is under way comes to its end

    def resume(self) -> None:
        """Let the markets' clock go on."""
        self._paused = False

    def connections(self, exchange: str | None = None) -> list[Connection]:
        """List the live connections."""
        return self._server.call(self._connections(exchange))

    def wait_for_subscription(self, exchange: str, symbol: str, channel: str, timeout: float = 10.0) -> None:
        """Return once somebody is subscribed; `TimeoutError` if nobody is in time."""
        self._server.call(self._world.subscribed(exchange, symbol, channel, timeout))

    async def _connections(self, exchange: str | None) -> list[Connection]:
        return [session.connection for session in self._world.chosen(exchange, None)]

    def _pairs(self, symbol: str | None, exchange: str | None) -> list[tuple[SymbolFeed, Exchange]]:
        pairs = self._world.pairs(exchange, symbol)
        if not pairs:
            raise UserError(f"no simulated market is {symbol} on {exchange or 'any exchange'}")
        return pairs

    async def _publish(self, n: int, symbol: str | None, exchange: str | None) -> None:
        pairs = self._pairs(symbol, exchange)
        for step in range(n):
            for feed, each in pairs:
                self._world.step(feed, each)
            if step % _BATCH_STEPS == 0:
                await self._world.drained()
        await self._world.drained()

    async def _replay(self, exchange: str, symbol: str, frames: Sequence[Recorded], speed: float) -> Replay:
        replay = Replay(self._world, self._world.feeds[exchange, symbol], frames, speed)
        former = self._world.replays.get((exchange, symbol))
        if former is not None:
            former.end()
        self._world.replays[exchange, symbol] = replay
        replay.begin()
        return replay

    async def _prepare(self, n: int, symbol: str | None, exchange: str | None) -> None:
        pairs = self._pairs(symbol, exchange)
        for start in range(0, n, _BATCH_STEPS):
            for feed, each in pairs:
                self._ahead.append(self._world.make_ahead(feed, each, min(_BATCH_STEPS, n - start)))
            await asyncio.sleep(0)

    async def _release(self) -> int:
        batches, self._ahead = self._ahead, []
        for batch in batches:
            made = [rendered for step in batch.steps for rendered in step]
            self._world.hub.publish_ahead(made, batch.hearers)
            await self._world.drained()
        return sum(len(batch.steps) for batch in batches)

    async def _pace(self) -> None:
        """Step every market at its rate, one shortly after the other; keep the connections' own time."""
        beats = asyncio.create_task(self._beat())
        try:
            if self._rate and self._world.feeds:
                await self._run_markets()
            await beats
        finally:
            beats.cancel()
            for replay in self._world.replays.values():
                replay.end()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(_BEAT_S)
            self._world.beat()
            self._world.repeat_best()

    async def _run_markets(self) -> None:
        pairs = self._world.pairs()
        loop = asyncio.get_running_loop()
        tempos = [1.0] * len(pairs)
        due = [index / len(pairs) for index in range(len(pairs))]
        last_s = loop.time()
        while True:
            if len(pairs) < len(self._world.feeds):  # somebody asked for a market that was only listed
                new = [pair for pair in self._world.pairs() if pair not in pairs]
                pairs += new
                tempos += [1.0] * len(new)
                due += [0.0] * len(new)
            await asyncio.sleep(max(_PACE_S, min(0.05, 1 / (self._rate * len(pairs)))))
            now_s = loop.time()
            # After a stall the market goes on from here; it does not make up for more than a second.
            elapsed_s = 0.0 if self._paused else min(now_s - last_s, 1.0)
            passed = elapsed_s * self._rate
            last_s = now_s
            for index, (feed, each) in enumerate(pairs):
                if self._bursts and self._tempo_draws.random() < _TEMPO_CHANGES_PER_S * elapsed_s:
                    tempos[index] = self._tempo_draws.choice(_TEMPOS)
                due[index] += passed * tempos[index]
                while due[index] >= 1.0 and not self._paused:
                    due[index] -= 1.0
                    self._world.step(feed, each)
                    if loop.time() - now_s > _LONGEST_TURN_S:
                        # More was asked than can be made: flat out then, as fast as clients read.
                        due[index] = 0.0
                        await self._world.drained()
                        now_s = last_s = loop.time()
