"""Move write sets into the spool file and out of it, and their counts with them, in one step."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import chain
from weakref import WeakValueDictionary

from collector.database import DAMAGED, POISON
from collector.errors import SpoolError
from collector.events import StreamKey
from collector.loggers import get_logger
from collector.sinks import AccountingState, Receipt, Rows, SessionState, WriteSet, without_rows
from collector.spool import NUMBERS, AnySpool, Entry, UnfitError, body_of
from collector.writer.balance import Balance
from collector.writer.poison import sift
from collector.writer.queued_write import QueuedWrite, written

CRASH = "crash"

log = get_logger(__name__)


def adopted(write_set: WriteSet, by: str) -> WriteSet:
    """Return the write set of an earlier session in the form in which the session `by` commits it.

    What came in and gave no row stays counted by the session that received it. Its rows stay pending there,
    as they were when it ended, and are counted here as carried in and written. A session without an end is
    given one, as crashed; a later write set of that session corrects it.
    """
    accounting: list[AccountingState] = []
    for one in write_set.accounting:
        accounting.append(replace(one, written=0, pending=one.pending + one.written))
        if one.written:
            stream = one.exchange, one.symbol, one.channel
            accounting.append(AccountingState(by, *stream, carried_in=one.written, written=one.written))
    segments = tuple(
        replace(one, end_cause=CRASH) if one.end_cause is None else one for one in write_set.segments
    )
    return replace(
        write_set,
        session=_ended(write_set),
        segments=segments,
        accounting=tuple(accounting),
        by=by,
    )


def unchanged(write_set: WriteSet, by: str) -> WriteSet:
    """Return the write set as it is: a follower gets what the store has committed."""
    del by
    return write_set


def _ended(write_set: WriteSet) -> SessionState:
    session = write_set.session
    if session.ended_ns is not None:
        return session
    last_ns = max((one.alive_until_ns for one in write_set.segments), default=session.started_ns)
    return replace(session, ended_ns=last_ns, end_cause=CRASH)


class Spool:
    """The spool file and the balance, changed together. For both threads."""

    def __init__(
        self,
        file: AnySpool,
        balance: Balance,
        session_id: str,
        *,
        adopt: Callable[[WriteSet, str], WriteSet] = adopted,
        on_refusal: Callable[[SpoolError], None] = lambda _error: None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._file = file
        self._balance = balance
        self._session_id = session_id
        self._adopt = adopt
        self._on_refusal = on_refusal
        self._now_ns = now_ns
        self._moving = threading.Lock()
        self._in_database: set[int] = set()  # still in the spool, because it could not be changed
        self._settled: tuple[str, int] | None = None  # session and number of what was settled last
        self._lost_of = ""  # the session of which a batch is lost with all that was known of it
        self._in_memory: WeakValueDictionary[int, QueuedWrite] = WeakValueDictionary()  # of what is spooled
        self._repairs = file.repairs  # of the file, that are counted
        self.damaged = 0
        self.last_error: str | None = None

    @property
    def empty(self) -> bool:
        """Return whether nothing is in the spool."""
        return not self._file.entries

    def put(self, queued: QueuedWrite) -> bool:
        """Store a write set in the file unless it is there already; False when the file does not take it."""
        with self._moving:
            if queued.settled or queued.spooled:
                return True
            try:
                self._append(queued)
            except SpoolError as error:
                if self.last_error is None:  # report it once, when it begins
                    self._on_refusal(error)
                self.last_error = str(error)
                return False
            self._balance.spooled(queued)
            self._in_memory[queued.number] = queued
            self.last_error = None
            self._count_what_is_gone()
            return True

    def settle(self, queued: QueuedWrite, receipt: Receipt) -> None:
        """Count a write set as committed, and delete it here."""
        with self._moving:
            if receipt.repeated and receipt.written_by != self._session_id:
                self._balance.known_before(queued)
            else:
                self._balance.committed(queued, receipt)
            queued.settled = True
            self._settled = queued.write_set.session.session_id, queued.number
            if self._lost_of == queued.write_set.session.session_id:
                self._lost_of = ""
            self.last_error = None
            if queued.spooled:
                self._forget(queued.number, queued.damage)

    def reject(self, queued: QueuedWrite, rows: Mapping[StreamKey, int], reason: str, left: WriteSet) -> None:
        """Count some rows of a write set as refused for good, and keep the rest of it."""
        with self._moving:
            self._balance.rejected(queued, rows, reason)
            queued.write_set = left

    def after_loss(self, queued: QueuedWrite) -> None:
        """Mark a write set before which one of its session is missing: each has the number after the last."""
        session_id = queued.write_set.session.session_id
        session_before, before = self._settled or ("", 0)
        may_be_missing = session_before == session_id or queued.may_follow_loss
        is_missing = may_be_missing and queued.number != before + 1
        if is_missing or self._lost_of == session_id:
            queued.write_set = replace(queued.write_set, is_after_loss=True)

    def keep_aside(self, queued: QueuedWrite, why: str) -> None:
        """Give up the rows of a write set; keep the whole in the file, if it takes it, for a person."""
        self.put(queued)
        queued.damage = why
        left = without_rows(queued.write_set, POISON, why)
        broken = tuple(
            one for one in left.segments if one.end_cause == POISON
        )  # the others may be the reason
        self.reject(queued, written(queued.write_set), POISON, replace(left, segments=broken))

    def first(self) -> QueuedWrite | None:
        """Return the oldest write set in the spool, to be settled later; None when there is none now."""
        while True:
            entry = self._file.first()
            with self._moving:
                self._count_what_is_gone()
            if entry is None:
                return None
            if entry.number in self._in_database:
                with self._moving:
                    if not self._forget(entry.number, ""):
                        return None
            elif entry.head is None:
                self._report_damage(entry)
                self._lost_of = entry.session_id
                self._file.set_aside(entry.number, entry.damage)
            else:
                return self._queued_write(entry, entry.head)

    def _queued_write(self, entry: Entry, head: WriteSet) -> QueuedWrite:
        foreign = head.session.session_id != self._session_id
        original = replace(head, rows=entry.rows or ())
        write_set = self._adopt(original, self._session_id) if foreign else original
        queued = QueuedWrite(
            entry.number,
            write_set,
            original,
            spooled=True,
            damage=entry.damage,
            may_follow_loss=entry.is_after_loss,
        )
        self._in_memory[queued.number] = queued
        if entry.damage:
            self._report_damage(entry)
            self.reject(queued, written(write_set), DAMAGED, without_rows(write_set, DAMAGED, entry.damage))
        return queued

    def _append(self, queued: QueuedWrite) -> None:
        try:
            self._file.append(queued.number, queued.write_set)
        except UnfitError:
            sifted = sift(queued.write_set, _unfit, self._now_ns())
            self._balance.rejected(queued, sifted.rejected, POISON)
            queued.write_set = sifted.write_set
            self._file.append(queued.number, queued.write_set)

    def _forget(self, number: int, damage: str) -> bool:
        try:
            if damage:
                self._file.set_aside(number, damage)
            else:
                self._file.remove(number)
        except SpoolError as error:
            self.last_error = str(error)
            self._in_database.add(number)
            return False
        self._in_database.discard(number)
        self._in_memory.pop(number, None)
        self._count_what_is_gone()
        return True

    def _count_what_is_gone(self) -> None:
        """Count what a damaged file has lost as rejected; what is in memory still is put back."""
        repairs = self._file.repairs
        if self._repairs == repairs:
            return
        try:
            held = self._put_back(set(self._file.numbers()))
            lost = self._balance.gone(chain(self._file.heads(), held), DAMAGED)
        except SpoolError as error:  # counted with the next entry
            self.last_error = str(error)
            return
        self._repairs = repairs
        self.damaged += 1
        if lost:
            log.error("spool.rows_lost", path=str(self._file.path), rows=lost)

    def _put_back(self, there: set[int]) -> list[WriteSet]:
        """Store what the file has lost and memory has; return what was in a file that is only emptied."""
        held: list[WriteSet] = []
        for number, queued in sorted(self._in_memory.items()):
            if number in there or queued.settled or not queued.spooled:
                continue
            if number < NUMBERS:
                self._append(queued)
            else:
                held.append(queued.write_set)
        return held

    def _report_damage(self, entry: Entry) -> None:
        self.damaged += 1
        log.error(
            "spool.batch_damaged",
            path=str(self._file.path),
            batch=entry.batch_id,
            rows=entry.row_count,
            error=entry.damage,
        )


def _unfit(rows: Rows) -> str | None:
    try:
        body_of([rows])
    except UnfitError as error:
        return str(error)
    return None
