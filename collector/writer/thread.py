"""Run the writer: one thread for the database, one for the spool, one that watches the calls."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from collector.errors import SpoolError, UserError
from collector.sinks.contract import Sink, Task
from collector.writer.balance import Balance
from collector.writer.breaker import Breaker, BreakerState
from collector.writer.delivery import Step, ToDatabase, ToSpool
from collector.writer.prepare import Preparation
from collector.writer.spool import Spool
from collector.writer.spool_file import SpoolFile
from collector.writer.tasks import TaskQueue
from collector.writer.watchdog import Watchdog
from collector.writer.write_queue import BatchSource, WriteQueue

SHORTEST_WAIT_S = 0.01
SHARE_OF_THE_DATABASE = 0.5  # of the time for stopping; then what is left goes to the spool

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Limits:
    """When the writer loses patience."""

    interval_s: float  # a write starts at least so often
    relief_s: float  # a write that takes longer has the spool take what comes
    relief_rows: int  # so many rows at one swap do as well
    call_timeout_s: float  # a call that takes longer is broken off


class WriterThread:
    """Owns the sink and the spool. Nothing is given up but when the time for stopping is over."""

    def __init__(
        self,
        source: BatchSource,
        preparation: Preparation,
        sink: Sink,
        spool: SpoolFile,
        breaker: Breaker,
        terms: Balance,
        limits: Limits,
        *,
        session_id: str,
        on_end: Callable[[], None] = lambda: None,
        on_refusal: Callable[[SpoolError], None] = lambda _error: None,
    ) -> None:
        self._source = source
        self._sink = sink
        self._spool = spool
        self._limits = limits
        self._on_end = on_end
        self.breaker = breaker
        self.terms = terms
        self._line = WriteQueue(source, preparation, terms, relief_rows=limits.relief_rows)
        self._shelf = Spool(spool, terms, session_id, on_refusal=on_refusal)
        self._watchdog = Watchdog(
            [(limits.relief_s, self._line.spilling.set), (limits.call_timeout_s, self._break_off)]
        )
        self._delivery = ToDatabase(
            self._line,
            self._shelf,
            sink,
            breaker,
            relief_s=limits.relief_s,
            watched=self._watchdog.watched,
        )
        self._news = threading.Event()  # for the writer, while it does not wait for the buffer
        self._relief = ToSpool(self._line, self._shelf, self._news.set)
        self.chores = TaskQueue()
        self._leaving = threading.Event()  # no more time for the database
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._write,), name="writer", daemon=True)
        self._beside = threading.Thread(target=self._run, args=(self._relieve,), name="spool", daemon=True)
        self.committed = self._delivery.committed
        self.broken_off = 0
        self.lost = 0  # rows for which there was no room and no more time
        self.failure: BaseException | None = None

    def open(self) -> None:
        """Open the spool. Raises UserError when it cannot be had. Idempotent."""
        self._spool.open()

    def start(self) -> None:
        """Take up what the spool holds, and start the threads."""
        self.open()
        if self._spool.entries:
            log.warning("spool.found", path=str(self._spool.path), batches=self._spool.entries)
            self.terms.carried_in(self._spool.heads())
        self._line.begin(self._spool.last_number, spilling=self._spool.entries > 0)
        self._watchdog.start()
        self._beside.start()
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Say whether the thread runs."""
        return self._thread.is_alive()

    @property
    def spool_path(self) -> Path:
        """Tell where the spool is."""
        return self._spool.path

    @property
    def spilling(self) -> bool:
        """Say whether what comes goes to the spool."""
        return self._line.spilling.is_set()

    @property
    def damaged(self) -> int:
        """Count the batches that could not be read back from the spool."""
        return self._shelf.damaged

    @property
    def last_error(self) -> str | None:
        """Tell what stands in the way now, if anything does."""
        return self._shelf.last_error or self.committed.last_error

    def stop(self, timeout_s: float) -> bool:
        """Make all durable and end; False when something is not, or took too long. Idempotent."""
        if self._closed.is_set():
            return self._is_whole()
        until_s = time.monotonic() + max(timeout_s, 0.0)
        self._line.stop()
        self._wake()
        self._thread.join(max(timeout_s, 0.0) * SHARE_OF_THE_DATABASE)
        self._leaving.set()
        self._line.spilling.set()
        self._wake()
        while not self._line.durable and time.monotonic() < until_s and self._beside.is_alive():
            self._beside.join(SHORTEST_WAIT_S)
        self._end_threads()
        if not (self._thread.is_alive() or self._beside.is_alive()):
            self.terms.swap(self._source.swap)  # what no thread came to take
        self.lost = self.terms.give_up()
        self._spool.close()
        return self._is_whole()

    def _is_whole(self) -> bool:
        return not (self._beside.is_alive() or self.lost or self.failure)

    def _end_threads(self) -> None:
        self._closed.set()
        self.chores.close()
        self._wake()
        if self._thread.is_alive():
            self._sink.abort()
        self._thread.join(1.0)
        self._line.spilling.set()  # what the thread beside waits for
        self._beside.join(1.0)
        self._watchdog.stop()

    def _wake(self) -> None:
        self._source.hurry()
        self._news.set()

    def _break_off(self) -> None:
        self.broken_off += 1
        log.warning("database.call_broken_off", after_s=self._limits.call_timeout_s)
        self._sink.abort()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except UserError as error:
            self.failure = error
            log.error("writer.failed", reason=str(error))  # noqa: TRY400  (said in words, for a person)
        except Exception as error:
            self.failure = error
            log.exception("writer.failed")
        finally:
            if threading.current_thread() is self._thread or self.failure:
                self._on_end()

    def _write(self) -> None:
        swap = False
        while not self._is_over():
            if not self.spilling and self.chores.do_one(self._run_task):
                continue
            did = self._delivery.step(swap=swap)
            if did is Step.MOVED:
                swap = False  # first what was taken before
            elif did is Step.REFUSED:
                self._wait_for_news(max(self.breaker.wait_s, SHORTEST_WAIT_S))
            elif self.spilling:
                self._wait_for_news(self._limits.interval_s)
            else:
                self._source.wait(self._limits.interval_s)
                swap = True

    def _relieve(self) -> None:
        swap = False
        while not self._closed.is_set():
            self._line.spilling.wait()
            did = self._relief.step(swap=swap)
            if did is Step.MOVED:
                swap = False
            elif did is Step.REFUSED or self._line.durable:
                self._closed.wait(self._limits.interval_s)
            else:
                self._source.wait(self._limits.interval_s)
                swap = True

    def _is_over(self) -> bool:
        if self._closed.is_set():
            return True
        if not (self._line.stopping and self._line.durable):
            return False
        has_time = not self._leaving.is_set() and self.breaker.state is BreakerState.CLOSED
        return self._shelf.empty or not has_time

    def _run_task(self, task: Task) -> int:
        with self._watchdog.watched():
            return self._sink.run(task)

    def _wait_for_news(self, timeout_s: float) -> None:
        self._news.wait(timeout_s)
        self._news.clear()
