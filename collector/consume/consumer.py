"""Read a stream into a database: each part once, with the position behind it."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from collector.aws import AwsError, Failure
from collector.consume.committer import Committer, Counts, Group
from collector.consume.dead_letters import DeadLetters
from collector.consume.intake import Intake
from collector.consume.limits import ConsumeLimits
from collector.consume.shard_reader import ShardReader
from collector.consume.shard_set import ShardSet
from collector.consume.stream import Fetched, Stream
from collector.errors import SinkError, UserError
from collector.loggers import get_logger
from collector.sinks import Loss, ShardPosition, StreamStore

_NS = 1_000_000_000

log = get_logger(__name__)


@dataclass(slots=True)
class Progress:
    """How far the reading is."""

    counts: Counts = field(default_factory=Counts)
    shards: int = 0  # that are read now
    behind_s: float | None = None  # how much older than the newest is what was read last
    waiting: int = 0  # events of parts that are not complete; they are read again at the next start
    problem: str = ""  # why nothing, or not all, gets on now


class Consumer:
    """One stream into one database. Used by one thread; `wait` returns True when it is to end."""

    def __init__(
        self,
        stream: Stream,
        store: StreamStore,
        dead_letters: DeadLetters,
        limits: ConsumeLimits,
        *,
        begin: str,  # the position from which a first start reads
        wait: Callable[[float], bool],
        watched: Callable[[], AbstractContextManager[None]] = nullcontext,
        on_progress: Callable[[Progress], None] = lambda _progress: None,
        now_s: Callable[[], float] = time.monotonic,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.progress = Progress()
        self._store = store
        self._limits = limits
        self._begin = begin
        self._wait = wait
        self._watched = watched
        self._on_progress = on_progress
        self._now_s = now_s
        self._now_ns = now_ns
        self._shards = ShardSet(stream, limits, now_s, now_ns)
        self._committer = Committer(store, self.progress.counts, watched, now_ns)
        self._intake = Intake(store, dead_letters, self._committer, watched)
        self._failures = 0  # of the database, or of listing the shards, one after the other
        self._has_positions = False  # those of the database
        self._last_record_s = now_s()
        self._look_for_silent_s = now_s()
        self._prune_s = now_s()
        self._note_tip_s = now_s()
        self._pruning: Iterator[int] = iter(())

    def run(self, *, idle_s: float | None = None) -> None:
        """Read until `wait` says that it is to end; with `idle_s` until nothing came for so long.

        Raises UserError for what a person has to mend. What is not committed then is read again.
        """
        self._last_record_s = self._now_s()
        while not self._wait(0.0):
            try:
                if self._step(idle_s):
                    return
            except SinkError as error:
                self._lost(error)
            except AwsError as error:
                self._refused(error)

    def _step(self, idle_s: float | None) -> bool:
        """Do the next thing that is due; return whether nothing came for so long."""
        if not self._has_positions:
            self._recall()
        if self._shards.list_due_s <= self._now_s():
            self._look()
        reader = self._shards.due()
        if reader is not None:
            self._read(reader)
        if self._failures and (self._intake.has_stored or self._shards.is_at_tip):
            log.info("consume.goes_on", failures=self._failures)
            self._failures = 0
        is_idle = idle_s is not None and self._shards.is_at_tip
        is_last = is_idle and self._now_s() - self._last_record_s >= (idle_s or 0.0)
        if is_last or self._now_s() >= self._look_for_silent_s:
            self._close_silent()
        self._tell()
        self._note_tip()
        self._prune()
        if reader is None and not is_last:
            self._wait(self._shards.wait_s)
        return is_last

    def _recall(self) -> None:
        """Go on from what the database says: it has the last word, whatever was read meanwhile."""
        with self._watched():
            positions = self._store.positions()
        self._intake.begin()
        self._shards.recall(positions)
        self._has_positions = True

    def _look(self) -> None:
        first, gone = self._shards.look(self._begin)
        if first:
            self._committer.commit(Group(), first)
        for shard in gone:
            log.error("consume.trimmed", shard=shard, what="it was not read to its end, and is gone")
            self._intake.lose(Loss(f"shard {shard} was gone before it was read to its end"))
            self._intake.commit({shard: ShardPosition(self._shards.position_of(shard), finished=True)})

    def _read(self, reader: ShardReader) -> None:
        try:
            fetched = reader.fetch()
        except AwsError:  # it is gone, or the whole stream is
            reader.due_s = self._now_s() + self._limits.retry.base_s
            self._look()
            return
        if reader.was_trimmed:
            reader.was_trimmed = False
            log.error("consume.trimmed", shard=reader.shard, what="its position is gone from the stream")
            self._intake.lose(Loss(f"of shard {reader.shard} something was gone before it was read"))
        if fetched is not None and not self._take(reader.shard, fetched):
            return
        if fetched is not None and fetched.iterator is None:
            self._intake.end(reader.shard, self._shards.position_of(reader.shard))
            self._shards.finish(reader.shard)
        self._intake.commit()

    def _take(self, shard: str, fetched: Fetched) -> bool:
        """Take records; return False if it is to end before the last of them."""
        for record in fetched.records:
            if self._intake.rows >= self._limits.rows_a_commit:
                self._intake.commit()
                if self._wait(0.0):
                    return False
            self._intake.take(shard, record)
            self._shards.arrived(shard, record.arrived_ns)
            self.progress.counts.records += 1
        if fetched.records:
            self._last_record_s = self._now_s()
        return True

    def _note_tip(self) -> None:
        """Store now and then that nothing is unread: what is older is not missed when it is forgotten."""
        if self._now_s() < self._note_tip_s:
            return
        at_ns = self._shards.note_tip()
        if at_ns is not None:
            self._note_tip_s = self._now_s() + self._limits.note_tip_every_s
            with self._watched():
                self._store.read_up_to(at_ns)

    def _close_silent(self) -> None:
        """End the sessions of which nothing came for long; looked for a few times within that time."""
        read_up_to_ns = self._shards.read_up_to_ns
        if read_up_to_ns is None:
            return
        self._look_for_silent_s = self._now_s() + self._limits.silent_after_s / 10
        before_ns = read_up_to_ns - int(self._limits.silent_after_s * _NS)
        with self._watched():
            closed = self._store.close_silent(before_ns)
        self._intake.give_up_old_parts(before_ns)
        self._intake.commit()  # there may be no other: nothing comes, and it is to end
        if closed:
            log.warning("consume.sessions_silent", sessions=closed, after_s=self._limits.silent_after_s)

    def _prune(self) -> None:
        """Delete old batch ids, a slice at a time."""
        if self._now_s() >= self._prune_s:
            self._prune_s = self._now_s() + self._limits.prune_every_s
            before_ns = self._now_ns() - int(self._limits.batches_kept_s * _NS)
            self._pruning = self._store.prune(before_ns, self._limits.prune_rows)
        with self._watched():
            next(self._pruning, None)

    def _lost(self, error: SinkError) -> None:
        """Wait for the database, and go on from what it says then."""
        if not error.transient:
            raise UserError(f"the database refuses what is written: {error}") from error
        if not self._failures:
            log.warning("consume.database_refused", error=str(error))
        self._has_positions = False
        self._pause(str(error))

    def _refused(self, error: AwsError) -> None:
        """Wait for the stream, unless it is gone."""
        if error.kind is Failure.MISSING:
            raise UserError(f"the stream cannot be read: {error.text}") from error
        if not self._failures:
            log.warning("consume.stream_refused", kind=str(error.kind), error=error.text)
        self._pause(error.text)

    def _pause(self, problem: str) -> None:
        self.progress.problem = problem
        self._on_progress(self.progress)
        self._wait(max(self._limits.retry.wait_s(self._failures), self._limits.call_every_s))
        self._failures += 1

    def _tell(self) -> None:
        self.progress.shards = self._shards.reading
        self.progress.behind_s = self._shards.behind_s
        self.progress.waiting = self._intake.waiting
        self.progress.problem = self._shards.error
        self._on_progress(self.progress)
