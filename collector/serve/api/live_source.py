"""Read from a running collector: what its loop copies when it is asked to, and what was checked last."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool

from collector.app import Checked, Collector, JobState, rates_between
from collector.clock import seconds_since
from collector.errors import CollectorError, UserError
from collector.events import BookNow, StreamKey
from collector.query import ShortReads
from collector.serve.api import documents, shapes
from collector.serve.api.happened import described
from collector.serve.api.overview import exchange_rows, stream_rows
from collector.serve.api.source import Now
from collector.serve.recent_events import RecentEvents
from collector.serve.shown import ShownCollector
from collector.version import __version__

ANSWER_S = 1.0  # for the loop that collects to copy what is asked for
KEPT_S = 0.1  # however many ask, it is asked so often at most
UNTIL_THE_NEXT_START = "until the next start: the configuration is as it was"

Result = TypeVar("Result")


class LiveSource:
    """A running collector."""

    is_live = True

    def __init__(
        self, collector: Collector, shown: ShownCollector, reads: ShortReads, recent: RecentEvents
    ) -> None:
        self.reads = reads
        self._collector = collector
        self._shown = shown
        self._recent = recent
        self._lock = asyncio.Lock()  # one asks the loop, the others wait for its answer
        self._now: Now | None = None
        self._asked_s = 0.0
        self._checked: Checked | None = None  # of which the overview is made
        self._overview: dict[str, Any] = {}

    @property
    def session_id(self) -> str:
        """Return the session that runs."""
        return self._collector.session.session_id

    def masked(self, text: str) -> str:
        """Return a text without the secrets of the settings."""
        return self._shown.masked(text)

    async def now(self) -> Now:
        """Return the state of all streams."""
        async with self._lock:
            if self._now is None or time.monotonic() - self._asked_s > KEPT_S:
                streams = tuple(await self._ask(self._collector.stream.glances_now))
                self._now = Now(time.time_ns(), streams, self._states())
                self._asked_s = time.monotonic()
            return self._now

    async def books(self, levels: Mapping[StreamKey, int]) -> list[BookNow]:
        """Copy so many levels of some books, in the loop that owns them."""
        return await self._ask(lambda: self._collector.stream.books_now(levels))

    async def stats(self) -> shapes.Stats:
        """Return what became of every event of this session."""
        return documents.stats([one.counts for one in self._latest().view.streams])

    async def overview(self) -> dict[str, Any]:
        """Return what was checked last, made once however many ask."""
        checked = self._latest()
        if checked is not self._checked:
            self._overview = overview(checked, self._checked, self._collector.session.started_ns, self.masked)
            self._overview["events"] = described(self._recent.rows(), self.masked)
            self._checked = checked
        return self._overview

    def jobs(self) -> tuple[JobState, ...]:
        """Return what is known of each job."""
        return self._collector.jobs.states()

    async def begin_job(self, name: str) -> JobState:
        """Have a job run as soon as its turn comes."""
        return await run_in_threadpool(self._collector.jobs.begin, name)

    async def change(self, exchange: str | None, name: str, *, collect: bool) -> shapes.Changed:
        """Collect one more market, or one fewer."""
        known = [feed.exchange for feed in self._collector.stream.feeds]
        where = known[0] if exchange is None and len(known) == 1 else exchange
        if where is None:
            raise UserError(f"{name} on which exchange is not said; expected ?exchange={' or '.join(known)}")
        work = self._collector.subscribe if collect else self._collector.unsubscribe
        await run_in_threadpool(self._collector.check_symbols, where, name)
        meaning = await run_in_threadpool(self._collector.meaning, where, name)
        keys = await run_in_threadpool(work, where, name)
        symbol = keys[0].symbol if keys else meaning[name]
        if symbol is None:
            raise UserError(f"{where} has no market {name}; expected one that it lists")
        streams = [key.channel for key in keys]
        return {"exchange": where, "symbol": symbol, "streams": streams, "lasts": UNTIL_THE_NEXT_START}

    async def _ask(self, work: Callable[[], Result]) -> Result:
        """Have something done by the loop that collects, and wait for it without holding anybody up."""
        answer = self._collector.stream.ask(work)
        try:
            async with asyncio.timeout(ANSWER_S):
                return await asyncio.wrap_future(answer)
        except TimeoutError:
            raise CollectorError(f"the loop that collects did not answer within {ANSWER_S:g} s") from None
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise  # it is we who are asked to end
            raise CollectorError("the loop that collects has ended") from None
        finally:
            self._collector.stream.forget(answer)

    def _latest(self) -> Checked:
        latest = self._shown.latest
        if latest is None:
            raise CollectorError("nothing is known yet: the collector starts")
        return latest

    def _states(self) -> dict[StreamKey, str]:
        latest = self._shown.latest
        return {} if latest is None else {one.key: one.state for one in latest.view.streams}


def overview(
    checked: Checked, before: Checked | None, started_ns: int, masked: Callable[[str], str]
) -> dict[str, Any]:
    """Return what was found at a check; `before` is the one before, from which rates are taken."""
    view, writer, at_ns = checked.view, checked.view.writer, checked.at_ns
    asked = view.asked
    rates = {} if before is None else rates_between(before.view, view)
    return {
        "at_ns": at_ns,
        "live": True,
        "started_ns": started_ns,
        "uptime_s": view.uptime_s,
        "session_id": view.session_id,
        "version": __version__,
        "database": view.database,
        "health": {
            "state": checked.health.state.value,
            "since_ns": checked.since_ns,
            "parts": [
                {"name": part.name, "state": part.state.value, "reason": masked(part.reason)}
                for part in checked.health.parts
            ],
        },
        "identity": documents.identity(one.counts for one in view.streams),
        "writer": {
            "batches": writer.batches,
            "rows": writer.rows,
            "last_commit_s": writer.last_commit_s,
            "last_commit_age_s": seconds_since(writer.last_commit_ns, at_ns),
            "breaker": writer.breaker,
            "buffer_rows": writer.buffer_rows,
            "buffer_max_rows": writer.buffer_max_rows,
            "spooled_rows": writer.spooled_rows,
            "spilling": writer.spilling,
            "last_error": None if writer.last_error is None else masked(writer.last_error),
        },
        "exchanges": exchange_rows(asked, at_ns, map(masked, view.statuses)),
        "streams": stream_rows(asked, at_ns, rates),
    }
