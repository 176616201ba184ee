"""Start, stop and start again: what runs, who may call what where, and what is left when a start fails."""

import asyncio
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from collector.app import Collector, Report, make_collector
from collector.bot.awaited import Awaited, WaitFor
from collector.bot.end_of_program import EndOfProgram
from collector.bot.stats import NO_TIMES, last_messages
from collector.bot.told import Told
from collector.bot.unbroken import off_the_loop, unbroken
from collector.errors import CollectorError, IngestorError, UserError
from collector.events import EventBus, Hold, SegmentChanged, StreamKey, in_a_handler, running_loop
from collector.log import log_as_embedded
from collector.loggers import get_logger
from collector.serve import Server, report_metrics, server_of
from collector.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from collector.app import View

Phase = Literal["stopped", "starting", "running", "stopping"]
WAITS: tuple[WaitFor, ...] = ("first", "all")

log = get_logger(__name__)


class Lifecycle:
    """A session after the other, of one configuration. Callbacks and subscriptions outlive them."""

    _make_collector: "ClassVar[Callable[..., Collector]]" = staticmethod(make_collector)

    def __init__(
        self,
        settings: Settings,
        start_timeout_s: float,
        notes: tuple[str, ...],
        events: EventBus | None,
        logger: object = None,
    ) -> None:
        self.settings = settings
        self._start_timeout_s = start_timeout_s
        self._notes = notes  # on the configuration, for the log
        self._logger = logger  # for log lines, of `logging` or structlog; None: see docs/log.md
        self.events = EventBus() if events is None else events
        self.start_failure: IngestorError | None = None  # why the last start returned False
        self.report: Report | None = None  # what the last session came to
        self._hold = Hold(self.events)
        self._told = Told(self._hold)
        self._life = threading.Lock()  # held by whoever starts or stops
        self._phase: Phase = "stopped"
        self._collector: Collector | None = None
        self._server: Server | None = None
        self._end: EndOfProgram | None = None
        self._last_view: View | None = None
        self._last_messages: Mapping[StreamKey, int] = NO_TIMES

    @property
    def phase(self) -> Phase:
        """Return whether it is stopped, starting, running or stopping."""
        return self._phase

    def start(self, timeout: float | None = None, *, wait_for: WaitFor = "first") -> bool:
        """Start collecting. True once a book is verified; else False, and `start_failure` has the reason.

        `wait_for="all"`: once every book that is configured is. After False nothing runs. Does nothing while
        it runs. In an event loop, which it would block, it raises UserError: await `astart` there.
        """
        _not_in_a_loop("start()", "await ingestor.astart()", "async with ingestor")
        return self._start(timeout, wait_for)

    async def astart(
        self,
        timeout: float | None = None,  # noqa: ASYNC109  (as of `start`; it also bounds what runs in threads)
        *,
        wait_for: WaitFor = "first",
    ) -> bool:
        """Start as `start` does, while the loop goes on; handlers that are `async def` run on this loop.

        If its task is cancelled, the start is given up, and nothing runs.
        """
        self.events.use_loop(asyncio.get_running_loop())
        ran_before, given_up = self._phase == "running", threading.Event()
        work = off_the_loop("ingestor start", lambda: self._start(timeout, wait_for, given_up))
        starting = asyncio.ensure_future(work)
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            given_up.set()
            with suppress(CollectorError):
                if await starting and not ran_before:  # it was there at that very moment
                    await off_the_loop("ingestor stop", lambda: self._stop(None))
            raise

    def stop(self, timeout: float | None = None) -> bool:
        """Stop: drain, close, account. True when nothing was lost; `report` has the figures. Idempotent.

        Once begun it is finished, within its bounds: Ctrl-C meanwhile is raised after it. A callback may call
        it; while another thread stops already, which waits for that callback, it returns at once. In an event
        loop it raises UserError: await `astop` there.
        """
        if self._is_stopped_or_stopping:
            return self._lost_nothing
        _not_in_a_loop("stop()", "await ingestor.astop()", "async with ingestor")
        return unbroken("ingestor stop", lambda: self._stop(timeout))

    async def astop(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109  (as of `stop`)
        """Stop as `stop` does, while the loop goes on. Cancelling its task does not end it."""
        if self._is_stopped_or_stopping:
            return self._lost_nothing
        return await off_the_loop("ingestor stop", lambda: self._stop(timeout))

    def __enter__(self) -> Self:
        _not_in_a_loop("with ingestor", "async with ingestor")
        return self._started(self.start())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return self._started(await self.astart())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.astop()

    def _started(self, is_started: bool) -> Self:
        if not is_started:
            raise self.start_failure or IngestorError("not_started", "the ingestor did not start")
        return self

    @property
    def _is_stopped_or_stopping(self) -> bool:
        """Return whether a stop has nothing to do, or would wait for the one that waits for it."""
        return self._phase == "stopped" or (self._phase == "stopping" and in_a_handler())

    @property
    def _lost_nothing(self) -> bool:
        return self.report is None or self.report.lost_nothing

    def _start(
        self, timeout: float | None, wait_for: WaitFor, given_up: threading.Event | None = None
    ) -> bool:
        if wait_for not in WAITS:
            raise UserError(f"wait_for is {wait_for!r}; expected one of {', '.join(map(repr, WAITS))}")
        timeout_s = self._start_timeout_s if timeout is None else timeout
        if self._phase == "stopping" and in_a_handler():
            raise UserError(
                "it is being stopped, which waits for this callback; start it once stop() is over"
            )
        with self._life:
            if self._phase == "running":
                return True
            log_as_embedded(self.settings.logging, self._logger, secrets=self.settings.secrets())
            for text in self._notes:
                log.warning("variable.without_effect", reason=text)
            self._phase, self.start_failure = "starting", None
            self._told.last_trouble = ""
            try:
                awaited = Awaited(self.settings, wait_for, given_up or threading.Event())
                failure = self._try_to_start(timeout_s, awaited)
            except BaseException:  # Ctrl-C too
                unbroken("ingestor stop", lambda: self._close(None))
                self._phase = "stopped"
                raise
            if failure is not None:
                self.start_failure = failure
                log.warning("ingestor.not_started", reason=str(failure))
                self.events.publish(failure)
                unbroken("ingestor stop", lambda: self._close(None))
            else:
                self._end = EndOfProgram(self._stop_at_the_end)
            self._phase = "running" if failure is None else "stopped"
        return failure is None

    def _try_to_start(self, timeout_s: float, awaited: Awaited) -> IngestorError | None:
        until_s = time.monotonic() + timeout_s
        try:
            collector = self._make_collector(self.settings, events=self._hold, on_end=self._on_thread_end)
            detach = self._hold.attach(SegmentChanged, awaited.take)
            self._told.listen()
            self._listen()
            self._collector = collector
            report_metrics(self.settings, collector)
            self._server = server_of(self.settings, collector, by_default=False)
            if self._server is not None:
                self._server.start()
            unbroken("ingestor start", collector.start)
            is_there = awaited.wait(collector, until_s)
            detach()
        except CollectorError as error:
            return IngestorError("not_started", str(error), cause=error)
        return None if is_there else awaited.failure(collector, timeout_s, self._told.last_trouble)

    def _listen(self) -> None:
        """Attach what a session of it needs beside."""

    def _stop(self, timeout: float | None) -> bool:
        if self._is_stopped_or_stopping:
            return self._lost_nothing
        with self._life:
            if self._collector is not None:
                self._phase = "stopping"
                self._close(timeout)
                self._phase = "stopped"
            return self._lost_nothing

    def _close(self, timeout: float | None) -> None:
        """Close what was started, however far that came."""
        collector, self._collector = self._collector, None
        end, self._end = self._end, None
        if end is not None:
            end.call_off()
        self._hold.start()  # what was to be told of a start that failed is told as well
        if collector is not None and collector.started:
            self._look_at(collector)  # while the streams can still say when they heard something
            self.report = collector.stop(timeout)
            self._look_at(collector)
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self._hold.stop()
        self._hold.detach_all()

    def _stop_at_the_end(self) -> None:
        log.warning("ingestor.not_stopped", reason="the program ends without stop(): it is stopped now")
        is_well = self._stop(None)
        log.info("ingestor.stopped_at_the_end", lost_nothing=is_well)

    def _look_at(self, collector: Collector) -> None:
        view = collector.view()
        self._last_view, self._last_messages = view, last_messages(view, self._last_messages)

    def _on_thread_end(self) -> None:
        collector = self._collector
        if collector is not None and self._phase == "running":
            why = collector.stream.failure or collector.writer.failure or "nothing is left to collect"
            self.events.publish(IngestorError("thread_ended", f"a thread ended by itself: {why}", cause=why))


def _not_in_a_loop(call: str, *instead: str) -> None:
    """Raise UserError where an event loop runs: what blocks would hold up everything in it."""
    if running_loop() is not None:
        raise UserError(
            f"{call} would block the event loop that runs here (a notebook runs one too); "
            f"expected `{'` or `'.join(instead)}`"
        )
