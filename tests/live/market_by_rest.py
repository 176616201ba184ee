"""Many books that REST opens, on a clock that jumps: real budget, line, resyncs and subscriptions."""

import asyncio
import random
from contextlib import suppress

from connection_rig import SubscriptionsRig, levels_around

from collector.clock import Clock
from collector.errors import StreamError
from collector.events.messages import Delta, Snapshot
from collector.exchanges.exchange import Rate, RequestLimits
from collector.exchanges.registry import EXCHANGES
from collector.live.connection import TICK_S
from collector.network.budget import Budget
from collector.network.request_line import RequestLine, Turn
from collector.streams.book_stream import BookStream

LIMIT = 6000  # weight a minute, of Binance spot
WEIGHT = 50.0  # of a book
REQUEST_S = 0.3
BEGAN_NS = 1_700_000_000_000_000_000


class SimulatedRest:
    """REST of one exchange behind the real line of requests: it answers, or refuses for a while."""

    def __init__(self, rig: "Rig") -> None:
        self._rig = rig
        self._now_s = asyncio.get_running_loop().time
        self.line = RequestLine(Budget(RequestLimits((Rate(LIMIT, 60.0),)), self._now_s))
        self.has_checks = True
        self.refuses: tuple[float, float] | None = None  # from when, for how long
        self.went_out: list[tuple[float, str]] = []
        self.most_waiting = 0
        self.twice: list[str] = []  # books of which two requests were in the line

    def holds(self, book: object, kind: str) -> bool:
        del kind
        return self.line.holds(book)

    def is_closed(self, kind: str) -> bool:
        del kind
        return self.line.budget.closed_for_s > 0.0

    async def fetch(self, market_id: str, kind: str, depth: int, topic: str, turn: Turn) -> Snapshot:
        del kind, depth
        if self.line.holds(turn.book):
            self.twice.append(market_id)
        began = self.line.go(turn, WEIGHT)
        async with began:
            self.went_out.append((self._now_s(), market_id))
            await asyncio.sleep(REQUEST_S)
            if self.refuses is not None:
                from_s, for_s = self.refuses
                left_s = from_s + for_s - self._now_s()
                if self._now_s() >= from_s and left_s > 0.0:
                    self.line.budget.refused(left_s, "http_429")
                    raise StreamError("too_many_requests: 429", retry_after_s=left_s)
        return Snapshot(topic, self._rig.at[market_id], 1, *levels_around(1000.0))

    def most_a_minute(self) -> float:
        """Return the most weight that went out within any minute."""
        most, first = 0, 0
        times = [at_s for at_s, _ in self.went_out]
        for last, at_s in enumerate(times):
            while times[first] <= at_s - 60.0:
                first += 1
            most = max(most, last - first + 1)
        return most * WEIGHT


class Rig(SubscriptionsRig):
    """Books that move when the test says so, served as a connection does."""

    def __init__(self, books: int) -> None:
        super().__init__(EXCHANGES["binance"])
        loop = asyncio.get_running_loop()
        self._loop_s = loop.time
        self.context = type(self.context)(
            self.context.address,
            self.protocol,
            Clock(lambda: BEGAN_NS, lambda: int(loop.time() * 1e9)),
            self.outlet.events,
            loop.time,
            self.liveness,
        )
        self.rest = self.snapshots = SimulatedRest(self)  # type: ignore[assignment]
        self.all = [self.bridged(f"M{number}/USDT") for number in range(books)]
        self.at = {one.topic.market_id: 100 for one in self.all}
        self.subscriptions = self.collect(*self.all)

    def move(self, book: BookStream, lost: int = 0) -> None:
        """Let a market move; `lost` updates of it never arrive."""
        name = book.topic.market_id
        self.at[name] += 1 + lost
        now = self.at[name]
        self._said = Delta(book.topic.name, now, 1, [(999.0, 1.0)], [], first_sequence=now)
        self.router.take("", self.context.clock.now_ns())

    async def serve(self, tick_s: float) -> None:
        """Do what a connection does once everything is subscribed."""
        await self.subscriptions.begin(lambda: None)
        while True:
            self.context.wake.clear()
            self.outlet.buffer.swap()
            await self.subscriptions.go_on()
            self.rest.most_waiting = max(self.rest.most_waiting, len(self.rest.line))
            with suppress(TimeoutError):
                async with asyncio.timeout(tick_s):
                    await self.context.wake.wait()

    async def live(self, book: BookStream, mean_s: float, seed: int) -> None:
        """Let a market move at random times."""
        draws = random.Random(seed)
        while True:
            await asyncio.sleep(draws.expovariate(1.0 / mean_s))
            self.move(book)

    async def mended(self, book: BookStream) -> float:
        """Lose an update of a book; return how long it took to be verified again."""
        began_s = self._loop_s()
        assert book.verified
        self.move(book, lost=1)
        assert not book.verified
        while not book.verified:  # noqa: ASYNC110  (the clock jumps)
            await asyncio.sleep(0.01)
        return self._loop_s() - began_s

    async def all_verified(self) -> float:
        """Wait for all books; return when that was."""
        while not all(book.verified for book in self.all):  # noqa: ASYNC110  (the clock jumps)
            await asyncio.sleep(0.1)
        return self._loop_s()


class Scene:
    """A rig with its tasks, which end with it."""

    def __init__(self, books: int, mean_s: float, tick_s: float = TICK_S) -> None:
        self.rig = Rig(books)
        self._tick_s = tick_s
        self._mean_s = mean_s
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Rig:
        self._tasks = [asyncio.create_task(self.rig.serve(self._tick_s))]
        for number, book in enumerate(self.rig.all):
            self._tasks.append(asyncio.create_task(self.rig.live(book, self._mean_s, number)))
        return self.rig

    async def __aexit__(self, *_error: object) -> None:
        for task in self._tasks:
            task.cancel()
        self.rig.subscriptions.lose_all("stop", "")
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in ended), ended
