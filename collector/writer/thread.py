"""Take from the buffer, prepare, commit: the one thread that writes the database."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from collector.errors import SinkError
from collector.events.batch import Batch, StreamKey
from collector.retry import Backoff
from collector.sinks.contract import Receipt, Sink, WriteSet
from collector.writer.prepare import Preparation

ALIVE_EVERY_S = 1.0

log = structlog.get_logger()


class Source(Protocol):
    """Where batches come from: the buffer."""

    def wait(self, timeout_s: float) -> None:
        """Wait until a flush is worth it, or the time is over."""

    def swap(self) -> Batch:
        """Take all that came since the last swap."""

    def hurry(self) -> None:
        """End a wait now."""


@dataclass(slots=True)
class Committed:
    """What is durable, as the writer saw it. Written by the writer thread, read by others."""

    batches: int = 0
    rows: int = 0
    retries: int = 0
    last_commit_s: float = 0.0  # how long the last commit took
    last_error: str | None = None
    written: Counter[StreamKey] = field(default_factory=Counter)
    sampled_out: Counter[StreamKey] = field(default_factory=Counter)
    held: Counter[StreamKey] = field(default_factory=Counter)  # states whose sampling window is not over
    merged: Counter[StreamKey] = field(default_factory=Counter)  # rows found to be there already


class WriterThread:
    """Owns the sink. A batch is given up only when the time for stopping is over."""

    def __init__(
        self,
        buffer: Source,
        preparation: Preparation,
        sink: Sink,
        *,
        interval_s: float,
        backoff: Backoff,
        now_ns: Callable[[], int] = time.time_ns,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._buffer = buffer
        self._preparation = preparation
        self._sink = sink
        self._interval_s = interval_s
        self._backoff = backoff
        self._now_ns = now_ns
        self._on_end = on_end
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._stopping = threading.Event()
        self._give_up = threading.Event()
        self.committed = Committed()
        self.given_up: Counter[StreamKey] = Counter()  # rows not written when the time was over
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Say whether the thread runs."""
        return self._thread.is_alive()

    def stop(self, timeout_s: float) -> bool:
        """Commit what the buffer holds and end; False when that failed or took too long. Idempotent."""
        self._stopping.set()
        self._buffer.hurry()
        self._thread.join(max(timeout_s, 0.0))
        if self._thread.is_alive():
            self._give_up.set()
            self._thread.join(1.0)
        return not (self._thread.is_alive() or self.given_up or self.failure)

    def _run(self) -> None:
        try:
            self._work()
        except Exception as error:
            self.failure = error
            log.exception("writer.failed")
        finally:
            self._on_end()

    def _work(self) -> None:
        next_alive_s = 0.0
        stopping = False
        while not stopping:
            self._buffer.wait(self._interval_s)
            stopping = self._stopping.is_set()  # asked before the swap: what came until then is in it
            extend_alive = stopping or time.monotonic() >= next_alive_s
            if extend_alive:
                next_alive_s = time.monotonic() + ALIVE_EVERY_S
            for write_set in self._preparation.write_sets(
                self._buffer.swap(), extend_alive=extend_alive, is_last=stopping
            ):
                self._deliver(write_set)
        self._deliver(self._preparation.ended(self._now_ns(), "stop"))

    def _deliver(self, write_set: WriteSet) -> None:
        attempt = 0
        while not self._give_up.is_set():
            began_s = time.monotonic()
            try:
                receipt = self._sink.write(write_set)
            except SinkError as error:
                self._failed(error, attempt)
                self._give_up.wait(self._backoff.wait_s(attempt))
                attempt += 1
            else:
                self._succeeded(write_set, receipt, attempt, time.monotonic() - began_s)
                return
        self._give_up_on(write_set)

    def _give_up_on(self, write_set: WriteSet) -> None:
        for state in write_set.accounting:
            if state.written:
                self.given_up[StreamKey(state.exchange, state.symbol, state.channel)] += state.written

    def _failed(self, error: SinkError, attempt: int) -> None:
        self.committed.retries += 1
        self.committed.last_error = str(error)
        if attempt == 0:  # one line when it begins, one when it ends
            log.warning("database.refused", error=str(error), transient=error.transient)

    def _succeeded(self, write_set: WriteSet, receipt: Receipt, attempt: int, took_s: float) -> None:
        committed = self.committed
        if attempt:
            log.info("database.accepts_again", attempts=attempt)
            committed.last_error = None
        committed.batches += 1
        committed.rows += write_set.row_count
        committed.last_commit_s = took_s
        for state in write_set.accounting:
            key = StreamKey(state.exchange, state.symbol, state.channel)
            committed.written[key] += state.written - receipt.merged.get(key, 0)
            committed.sampled_out[key] += state.sampled_out
            committed.held[key] += state.pending
        committed.merged.update(receipt.merged)
