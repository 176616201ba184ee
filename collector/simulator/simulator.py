"""The simulator as a test, a benchmark or a demo holds it."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from collector.errors import UserError
from collector.simulator.calm import calm, tells_status
from collector.simulator.control import Control
from collector.simulator.exchanges import Exchange, chosen_symbols
from collector.simulator.faults import Faults
from collector.simulator.lively import set_apart
from collector.simulator.market import HISTORY_DAYS, TRADES_A_MINUTE, Outage, PastPlan, SymbolFeed
from collector.simulator.messages import Connection
from collector.simulator.nasty import MEAN_WAIT_S, FaultRunner, Planned, schedule
from collector.simulator.pacer import Pacer
from collector.simulator.recordings import Recorded, Replay, ReplayHandle, read_recording
from collector.simulator.send_log import SendLog
from collector.simulator.server import Server
from collector.simulator.world import World

if TYPE_CHECKING:
    from collector.simulator.publisher import Ahead
    from collector.simulator.tempos import RhythmKind

_BATCH_STEPS = 200

MarketProfile = Literal["steady", "lively", "nasty"]


class Simulator:
    """Simulated exchanges on one local port, with a thread of their own.

    A `steady` market is an ideal one; a `lively` one has distance, clocks that are off, bursts and silences;
    a `nasty` one adds every fault there is, at times that depend on the seed alone.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        seed: int = 7,
        symbols: Mapping[str, Sequence[str]] | None = None,
        updates_per_s: float | None = 50.0,
        profile: MarketProfile = "steady",
        fault_every_s: float = MEAN_WAIT_S,
        bursts: bool = False,
        send_log: int | str | Path | None = None,
        levels: int = 300,
        remember: int = 1_000_000,
        clock_ns: Callable[[], int] = time.time_ns,
        history_days: float = HISTORY_DAYS,
        trades_a_minute: int = TRADES_A_MINUTE,
        outages: Sequence[Outage] = (),
    ) -> None:
        self._symbols = chosen_symbols(symbols)
        for outage in outages:
            if not any(outage.is_of(name, each) for name, chosen in self._symbols.items() for each in chosen):
                raise UserError(f"no simulated market is {outage.symbol or 'any'} on {outage.exchange}")
        self.send_log = SendLog.to(send_log)
        self._world = World(
            self._symbols,
            seed=seed,
            levels=levels,
            remember=remember,
            clock_ns=clock_ns,
            log=self.send_log,
            past=PastPlan(history_days, trades_a_minute, tuple(outages)),
        )
        self._seed = seed
        self._profile = profile
        self._fault_every_s = fault_every_s
        is_steady = profile == "steady"
        rhythm: RhythmKind = "lively" if not is_steady else "bursts" if bursts else "steady"
        if not is_steady:
            set_apart(self._world, seed)
        self._pacer = Pacer(self._world, updates_per_s or 0.0, seed, rhythm)
        self._server = Server(self._world, port, self._pacer.run)
        self._ahead: list[Ahead] = []
        self._started = False
        self._stopped = False
        self.truth = self._world.truth
        self.faults = Faults(self._world, self._server.call)
        self._runner = FaultRunner(self._plan(), self.faults, self.truth) if profile == "nasty" else None

    @property
    def symbols(self) -> dict[str, list[str]]:
        """The simulated markets of each exchange."""
        return {name: list(symbols) for name, symbols in self._symbols.items()}

    @property
    def port(self) -> int:
        """The port that it listens on; known once started."""
        return self._server.port

    def start(self) -> None:
        """Listen; returns when clients can connect."""
        control = Control(
            truth=self.truth,
            faults=self.faults,
            symbols=self.symbols,
            connections=self.connections,
            schedule=self.schedule,
            log=self.send_log,
            commands={
                command.__name__: command
                for command in (
                    *(self.publish, self.prepare, self.release),
                    *(self.pause, self.resume, self.calm),
                )
            },
        )
        self._server.start(control.answer)
        self._started = True
        if self._runner is not None:
            self._runner.start()

    def stop(self) -> None:
        """Close everything; the truth stays readable. Does nothing the second time."""
        if self._started and not self._stopped:
            self._stopped = True
            if self._runner is not None:
                self._runner.stop()
            self._server.stop()
            if self.send_log is not None:
                self.send_log.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def endpoints(self, exchange: str) -> dict[str, str]:
        """Return the value of `exchanges.<name>.endpoints` that leads a collector here."""
        if exchange not in {each.name for each in self._world.exchanges}:
            raise UserError(f"this simulator has no {exchange}")
        return {"rest": f"http://127.0.0.1:{self.port}", "ws": f"ws://127.0.0.1:{self.port}"}

    def schedule(self, seconds: float = 600.0) -> list[Planned]:
        """List the faults of a nasty market in so many seconds from the start; the same for the same seed."""
        if self._profile != "nasty":
            return []
        return list(takewhile(lambda each: each.at_s <= seconds, self._plan()))

    def publish(self, n: int, symbol: str | None = None, exchange: str | None = None) -> None:
        """Move the chosen markets n updates on, at once; returns when they are handed to the sockets."""
        self._server.call(self._publish(n, symbol, exchange))

    def prepare(self, n: int, symbol: str | None = None, exchange: str | None = None) -> None:
        """Make the frames of the next n updates ahead, so that only sockets limit `release`.

        They go to those who are subscribed now; the truth knows these updates from here on.
        """
        self._server.call(self._prepare(n, symbol, exchange))

    def release(self) -> int:
        """Send all that was prepared, flat out; returns how many updates, once handed to the sockets."""
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
        self._pacer.is_paused = True
        with suppress(RuntimeError):  # not running: nothing moves
            self._server.call(asyncio.sleep(0))  # the turn of the loop that is under way comes to its end

    def resume(self) -> None:
        """Start the markets' clock again."""
        self._pacer.is_paused = False

    def connections(self, exchange: str | None = None) -> list[Connection]:
        """List the live connections."""
        return self._server.call(self._connections(exchange))

    def wait_for_subscription(self, exchange: str, symbol: str, channel: str, timeout: float = 10.0) -> None:
        """Wait until a channel has a subscriber; raise `TimeoutError` if it gets none in time."""
        self._server.call(self._world.subscribed(exchange, symbol, channel, timeout))

    def calm(self) -> None:
        """End all faults: none comes by itself any more, what lasts is put right, clients are let in."""
        if self._runner is not None:
            self._runner.stop()
        self._server.call(self._calm())
        for each in self._world.exchanges:
            if each.system != "online" and tells_status(each):
                self.faults.status(each.name, "online")

    async def _calm(self) -> None:
        with self._world.lock:
            calm(self._world)
            self.truth.note_fault("calm")

    async def _connections(self, exchange: str | None) -> list[Connection]:
        return [session.connection for session in self._world.chosen(exchange, None)]

    def _plan(self) -> Iterator[Planned]:
        return schedule(self._seed, self._symbols, mean_wait_s=self._fault_every_s)

    def _pairs(self, symbol: str | None, exchange: str | None) -> list[tuple[SymbolFeed, Exchange]]:
        pairs = self._world.pairs(exchange, symbol)
        if not pairs:
            raise UserError(f"no simulated market is {symbol} on {exchange or 'any exchange'}")
        return pairs

    async def _publish(self, n: int, symbol: str | None, exchange: str | None) -> None:
        pairs = self._pairs(symbol, exchange)
        for step in range(n):
            for feed, each in pairs:
                self._world.publisher.step(feed, each)
            if step % _BATCH_STEPS == 0:
                await self._world.drained()
        await self._world.drained()
        await self._world.arrived()

    async def _replay(self, exchange: str, symbol: str, frames: Sequence[Recorded], speed: float) -> Replay:
        replay = Replay(
            self._world.feeds[exchange, symbol],
            self._world.exchange(exchange).dialect,
            frames,
            speed,
            hub=self._world.hub,
            drained=self._world.drained,
        )
        former = self._world.publisher.replays.get((exchange, symbol))
        if former is not None:
            former.end()
        self._world.publisher.replays[exchange, symbol] = replay
        replay.begin()
        return replay

    async def _prepare(self, n: int, symbol: str | None, exchange: str | None) -> None:
        pairs = self._pairs(symbol, exchange)
        for start in range(0, n, _BATCH_STEPS):
            for feed, each in pairs:
                self._ahead.append(self._world.publisher.make_ahead(feed, each, min(_BATCH_STEPS, n - start)))
            await asyncio.sleep(0)

    async def _release(self) -> int:
        batches, self._ahead = self._ahead, []
        for batch in batches:
            made = [rendered for step in batch.steps for rendered in step]
            self._world.hub.publish_ahead(made, batch.listeners)
            await self._world.drained()
        await self._world.arrived()
        return sum(len(batch.steps) for batch in batches)
