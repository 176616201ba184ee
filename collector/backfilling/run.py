"""Fill the stretches of a plan: exchanges beside each other, the stretches of one after the other."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from collector.backfilling.fetch import Fetcher
from collector.backfilling.filling import Filling
from collector.backfilling.pages import Portion, Stretch
from collector.backfilling.plan import Plan, estimate
from collector.errors import StreamError
from collector.loggers import get_logger

LOOKS_EVERY_S = 0.2  # whether to stop
A_PAGE_S = 5.0  # that is under way may take so long still

log = get_logger(__name__)


class Stores(Protocol):
    """Takes what comes, and returns when it is safe."""

    async def put(self, filling: Filling, portion: Portion) -> None:
        """Store a portion."""

    async def end(self, filling: Filling) -> None:
        """Store that a stretch is over."""


@dataclass(slots=True)
class Progress:
    """How far a back-fill is."""

    whole_s: float  # that all was estimated to take, one exchange after the other
    done_s: float = 0.0  # of it
    began_s: float = field(default_factory=time.monotonic)
    rows: int = 0
    requests: int = 0
    failures: int = 0
    now_at: str = ""  # the stream that came last, and until when
    is_stopped: bool = False  # before everything had come
    problems: list[str] = field(default_factory=list)  # why something did not come

    @property
    def share(self) -> float:
        """Return how much is done, from 0 to 1."""
        return min(1.0, self.done_s / self.whole_s) if self.whole_s else 1.0

    def rows_a_second(self, now_s: float) -> float:
        """Return how fast rows come."""
        return self.rows / max(now_s - self.began_s, 1e-9)

    def left_s(self, now_s: float) -> float | None:
        """Return how long it takes still, at the pace so far; None while nobody can tell."""
        share = self.share
        return None if share <= 0.0 else (now_s - self.began_s) * (1.0 - share) / share


async def fill(
    plan: Plan,
    fetchers: Mapping[str, Fetcher],
    store: Stores,
    make_filling: Callable[[Stretch], Filling],
    *,
    is_stopping: Callable[[], bool] = lambda: False,
    on_progress: Callable[[Progress], None] = lambda _progress: None,
) -> Progress:
    """Fill what was planned, or as much of it as comes before `is_stopping`; then it ends after a page.

    What does not come is among the problems: an exchange that fails holds up no other. Raises SinkError where
    nothing can be stored any more.
    """
    by_exchange = plan.by_exchange()
    progress = Progress(sum(estimate(one).seconds for one in plan.stretches))
    filler = _Filler(fetchers, store, make_filling, is_stopping, on_progress, progress)
    try:
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(filler.exchange(*one)) for one in by_exchange.items()]
            group.create_task(filler.watch(asking))
    except ExceptionGroup as several:
        raise several.exceptions[0] from several
    return progress


@dataclass(frozen=True, slots=True)
class _Filler:
    fetchers: Mapping[str, Fetcher]
    store: Stores
    make_filling: Callable[[Stretch], Filling]
    is_stopping: Callable[[], bool]
    on_progress: Callable[[Progress], None]
    progress: Progress

    async def exchange(self, name: str, stretches: Sequence[Stretch]) -> None:
        """Fill the stretches of one exchange; one that is refused for good is left out."""
        for stretch in stretches:
            if self.is_stopping():
                self.progress.is_stopped = True
                return
            try:
                await self._fill(self.fetchers[name], stretch)
            except StreamError as error:
                log.warning("backfill.failed", exchange=name, symbol=stretch.key.symbol, error=str(error))
                self.progress.problems.append(str(error))
                if not error.permanent:
                    return

    async def watch(self, asking: Sequence[asyncio.Task[None]]) -> None:
        """Break off, when it is time to stop, those who wait long: what is committed stays."""
        waiting = set(asking)
        while waiting and not self.is_stopping():
            _, waiting = await asyncio.wait(waiting, timeout=LOOKS_EVERY_S)
        if waiting:
            self.progress.is_stopped = True
            _, waiting = await asyncio.wait(waiting, timeout=A_PAGE_S)
        for task in waiting:
            task.cancel()

    async def _fill(self, fetcher: Fetcher, stretch: Stretch) -> None:
        filling, progress = self.make_filling(stretch), self.progress
        whole_s, span_ms = estimate(stretch).seconds, max(1, stretch.end_ms - stretch.start_ms)
        done_s = 0.0
        requests, failures = fetcher.asked.requests, sum(fetcher.asked.failures.values())
        portions = fetcher.portions(stretch)
        try:
            async for portion in portions:
                rows = filling.rows
                await self.store.put(filling, portion)
                share = min(1.0, (portion.until_ms - stretch.start_ms) / span_ms)
                progress.done_s += whole_s * share - done_s
                done_s = whole_s * share
                progress.rows += filling.rows - rows
                progress.requests += fetcher.asked.requests - requests
                progress.failures += sum(fetcher.asked.failures.values()) - failures
                requests, failures = fetcher.asked.requests, sum(fetcher.asked.failures.values())
                progress.now_at = f"{stretch.key.exchange} {stretch.key.symbol} {stretch.key.channel}"
                self.on_progress(progress)
                if self.is_stopping():
                    progress.is_stopped = True
                    break
        finally:
            await portions.aclose()
            await self.store.end(filling)
