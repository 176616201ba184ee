"""Run a writer: one thread for the sink, one for the spool, one that watches the calls."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from collector.errors import DatabaseAway, SpoolError, UserError
from collector.loggers import get_logger
from collector.sinks import Sink, WriteSet
from collector.spool import AnySpool
from collector.writer.balance import Balance
from collector.writer.breaker import Breaker, BreakerState
from collector.writer.delivery import OnCommit, Step, ToSink, ToSpool
from collector.writer.limits import Limits
from collector.writer.spool import Spool, adopted
from collector.writer.tasks import Task, TaskQueue
from collector.writer.turns import Turns
from collector.writer.watchdog import Watchdog
from collector.writer.write_queue import WriteQueue, WriteSource

SHORTEST_WAIT_S = 0.01
SHARE_OF_THE_SINK = 0.5  # of the time for stopping; then what is left goes to the spool

log = get_logger(__name__)


class WriterThread:
    """Owns a sink and its spool. Gives nothing up before the time for stopping is over."""

    def __init__(
        self,
        source: WriteSource,
        sink: Sink,
        spool_file: AnySpool,
        breaker: Breaker,
        balance: Balance,
        limits: Limits,
        *,
        session_id: str,
        gets_on: Callable[[float], bool] = lambda _within_s: False,  # what is under way is many calls
        name: str = "",  # of a follower, for its threads and in its log lines
        adopt: Callable[[WriteSet, str], WriteSet] = adopted,
        on_commit: OnCommit = lambda _write_set, _took_s, _was_spooled: None,
        on_end: Callable[[], None] = lambda: None,
        on_refusal: Callable[[SpoolError], None] = lambda _error: None,
        heard: Callable[[], int | None] = lambda: None,  # as `Turns` has it
    ) -> None:
        self._source = source
        self._sink = sink
        self._spool_file = spool_file
        self._limits = limits
        self._on_end = on_end
        self._gets_on = gets_on
        self._turns, self._turns_beside = Turns(heard), Turns(heard)
        self._log = log.bind(sink=name) if name else log
        self.breaker = breaker
        self.balance = balance
        self._queue = WriteQueue(source)
        self._spool = Spool(spool_file, balance, session_id, adopt=adopt, on_refusal=on_refusal)
        self._watchdog = Watchdog(
            [(limits.spool.after_s, self._queue.spilling.set), (limits.call_timeout_s, self._break_off)]
        )
        self._to_sink = ToSink(
            self._queue,
            self._spool,
            sink,
            breaker,
            spill_after_s=limits.spool.after_s,
            sink_name=name,
            on_commit=on_commit,
            watched=self._watchdog.watched,
        )
        self._arrived = (
            threading.Event()
        )  # in the spool; for the writer, while it does not wait for the source
        self._to_spool = ToSpool(self._queue, self._spool, self._arrived.set)
        self.tasks = TaskQueue()
        self._leaving = threading.Event()  # no more time for the sink
        self._closed = threading.Event()
        self._open_late: Callable[[], None] | None = None
        self._thread = threading.Thread(
            target=self._run, args=(self._write,), name=name or "writer", daemon=True
        )
        self._beside = threading.Thread(
            target=self._run, args=(self._fill_spool,), name=f"{name} spool".strip(), daemon=True
        )
        self.committed = self._to_sink.committed
        self.broken_off = 0
        self.lost = 0  # rows for which there was no room and no more time
        self.failure: BaseException | None = None

    def open(self) -> None:
        """Open the spool, or raise UserError with what prevents it. Idempotent."""
        self._spool_file.open()

    def release(self) -> None:
        """Close the spool again where nothing was started. Idempotent."""
        self._spool_file.close()

    @contextmanager
    def watching(self) -> Iterator[Callable[[], AbstractContextManager[None]]]:
        """Yield what breaks off a call of the sink that takes too long: before `start`, nobody else does."""
        watchdog = Watchdog([(self._limits.call_timeout_s, self._break_off)])
        watchdog.start()
        try:
            yield watchdog.watched
        finally:
            watchdog.stop()

    def start(self, open_late: Callable[[], None] | None = None, away: str = "") -> None:
        """Read what the spool holds, and start the threads.

        `open_late`: opens a sink that is `away`; until that succeeds the spool takes what comes.
        """
        self.open()
        if open_late is not None:
            self._open_late = open_late
            self.committed.last_error = away
            self.breaker.open(away)
            self.spill()
        if self._spool_file.entries:
            self._log.warning(
                "spool.found", path=str(self._spool_file.path), batches=self._spool_file.entries
            )
            self.balance.carried_in(self._spool_file.heads())
        self._queue.begin(self._spool_file.last_number, spilling=self._spool_file.entries > 0)
        self._watchdog.start()
        self._beside.start()
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Return whether the thread runs."""
        return self._thread.is_alive()

    @property
    def spool_path(self) -> Path | None:
        """Return the path of the spool; None where nothing is stored."""
        return self._spool_file.path

    @property
    def spool_bytes(self) -> int:
        """Return how large the spool is."""
        return self._spool_file.bytes

    @property
    def spool_max_bytes(self) -> int:
        """Return how large the spool may become."""
        return self._limits.spool.max_bytes

    @property
    def spilling(self) -> bool:
        """Return whether what comes goes to the spool."""
        return self._queue.spilling.is_set()

    def spill(self) -> None:
        """Send what comes to the spool, until the sink has caught up."""
        self._queue.spilling.set()

    @property
    def damaged(self) -> int:
        """Return how many batches could not be read back from the spool."""
        return self._spool.damaged

    @property
    def last_error(self) -> str | None:
        """Return what prevents writing or spooling now, if anything does."""
        return self._spool.last_error or self.committed.last_error

    def ask_to_stop(self) -> None:
        """Let the threads end once everything that has come is durable. Idempotent."""
        self._queue.stop()
        self._wake()

    def stop(self, timeout_s: float) -> bool:
        """Make everything durable and end; False if something is not, or took too long. Idempotent."""
        if self._closed.is_set():
            return self._is_whole()
        until_s = time.monotonic() + max(timeout_s, 0.0)
        self.ask_to_stop()
        self._thread.join(max(timeout_s, 0.0) * SHARE_OF_THE_SINK)
        self._leaving.set()
        self._queue.spilling.set()
        self._wake()
        while not self._queue.durable and time.monotonic() < until_s and self._beside.is_alive():
            self._beside.join(SHORTEST_WAIT_S)
        self._end_threads()
        if not (self._thread.is_alive() or self._beside.is_alive()):
            self._source.abandon()
        self.lost = self.balance.give_up()
        self._spool_file.close()
        return self._is_whole()

    def _is_whole(self) -> bool:
        return not (self._beside.is_alive() or self.lost or self.failure)

    def _end_threads(self) -> None:
        self._closed.set()
        self.tasks.close()
        self._wake()
        if self._thread.is_alive():
            self._sink.abort()
        self._thread.join(1.0)
        self._queue.spilling.set()  # the spool's thread waits for it
        self._beside.join(1.0)
        self._watchdog.stop()

    def _wake(self) -> None:
        self._source.hurry()
        self._arrived.set()

    def _break_off(self) -> None:
        if self._gets_on(self._limits.call_timeout_s):
            return
        self.broken_off += 1
        self._log.warning("database.call_broken_off", after_s=self._limits.call_timeout_s)
        self._sink.abort()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except UserError as error:
            self.failure = error
            self._log.error("writer.failed", reason=str(error))  # no traceback: a person can mend it
        except Exception as error:  # noqa: BLE001  (logged, and shown in the report)
            self.failure = error
            self._log.exception("writer.failed")
        finally:
            if threading.current_thread() is self._thread or self.failure:
                self._on_end()

    def _write(self) -> None:
        fetch = False
        while not self._is_over():
            if self._open_late is not None and not self._opened(self._open_late):
                self._wait_for_arrival(max(self.breaker.wait_s, SHORTEST_WAIT_S))
                continue
            if not self.spilling and self.tasks.do_one(self._run_task):
                continue
            with self._turns.step():
                step = self._to_sink.step(fetch=fetch)
            if step is Step.MOVED:
                fetch = False  # first the rest of what was fetched before
            elif step is Step.REFUSED:
                self._wait_for_arrival(max(self.breaker.wait_s, SHORTEST_WAIT_S))
            elif self.spilling:
                self._wait_for_arrival(self._limits.writer.interval_s)
            else:
                self._turns.wait(self._source.wait, self._limits.writer.interval_s)
                fetch = True

    def _opened(self, open_late: Callable[[], None]) -> bool:
        """Try to open the sink, if it is time for that; return whether it is open."""
        if not self.breaker.ready():
            return False
        try:
            with self._watchdog.watched():
                open_late()
        except DatabaseAway as error:
            self.committed.last_error = str(error)
            self.breaker.failed(str(error))
            return False
        self._open_late = None
        self.committed.last_error = None
        self.breaker.succeeded()
        self._log.info("database.answers", spooled_batches=self._spool_file.entries)
        return True

    def _fill_spool(self) -> None:
        fetch = False
        while not self._closed.is_set():
            self._queue.spilling.wait()
            with self._turns_beside.step():
                step = self._to_spool.step(fetch=fetch)
            if step is Step.MOVED:
                fetch = False
            elif step is Step.REFUSED or self._queue.durable:
                self._closed.wait(self._limits.writer.interval_s)
            else:
                self._turns_beside.wait(self._source.wait, self._limits.writer.interval_s)
                fetch = True

    def _is_over(self) -> bool:
        if self._closed.is_set():
            return True
        if not (self._queue.stopping and self._queue.durable):
            return False
        has_time = not self._leaving.is_set() and self.breaker.state is BreakerState.CLOSED
        return self._spool.empty or not has_time

    def _run_task(self, task: Task) -> int:
        with self._watchdog.watched():
            return task()

    def _wait_for_arrival(self, timeout_s: float) -> None:
        self._arrived.wait(timeout_s)
        self._arrived.clear()
