"""Move parcels into the spool and out of it, with their counts: in one step, whichever thread asks."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import structlog

from collector.errors import SpoolError
from collector.events.batch import StreamKey
from collector.sinks.contract import AccountingState, Receipt, Rows, SessionState, WriteSet
from collector.writer.balance import Balance
from collector.writer.poison import POISON, sift, without_rows
from collector.writer.queued_write import QueuedWrite, written
from collector.writer.spool_codec import UnfitError, body_of
from collector.writer.spool_file import Entry, SpoolFile

CRASH = "crash"


def carried_in(write_set: WriteSet, by: str) -> WriteSet:
    """Return the write set of an earlier session as the session `by` commits it.

    What came in and found no row stays with the session that saw it; its rows stay pending there, as they
    were when it ended, and are carried in and written here. If it said no goodbye, it crashed; a later
    write set of its own knows better.
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


def _ended(write_set: WriteSet) -> SessionState:
    session = write_set.session
    if session.ended_ns is not None:
        return session
    last_ns = max((one.alive_until_ns for one in write_set.segments), default=session.started_ns)
    return replace(session, ended_ns=last_ns, end_cause=CRASH)


DAMAGED = "damaged"

log = structlog.get_logger()


class Spool:
    """The spool and the terms of the identity, changed together."""

    def __init__(
        self,
        file: SpoolFile,
        balance: Balance,
        session_id: str,
        *,
        on_refusal: Callable[[SpoolError], None] = lambda _error: None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._file = file
        self._balance = balance
        self._session_id = session_id
        self._on_refusal = on_refusal
        self._now_ns = now_ns
        self._moving = threading.Lock()
        self._in_database: set[int] = set()  # still in the spool, because it could not be changed
        self.damaged = 0
        self.last_error: str | None = None

    @property
    def empty(self) -> bool:
        """Say whether nothing is in the spool."""
        return not self._file.entries

    def put(self, queued: QueuedWrite) -> bool:
        """Make a queued durable, unless it is; False when the spool does not take it."""
        with self._moving:
            if queued.settled or queued.spooled:
                return True
            try:
                self._append(queued)
            except SpoolError as error:
                if self.last_error is None:  # told when it begins
                    self._on_refusal(error)
                self.last_error = str(error)
                return False
            self._balance.spooled(queued)
            self.last_error = None
            return True

    def settle(self, queued: QueuedWrite, receipt: Receipt) -> None:
        """Note that a queued is in the database, and forget it here."""
        with self._moving:
            if receipt.repeated and receipt.written_by != self._session_id:
                self._balance.known_before(queued)
            else:
                self._balance.committed(queued, receipt)
            queued.settled = True
            self.last_error = None
            if queued.spooled:
                self._forget(queued.number, queued.damage)

    def reject(self, queued: QueuedWrite, rows: Mapping[StreamKey, int], reason: str, left: WriteSet) -> None:
        """Note that some rows of a queued are refused for good, and what is left of it."""
        with self._moving:
            self._balance.rejected(queued, rows, reason)
            queued.write_set = left

    def keep_aside(self, queued: QueuedWrite, why: str) -> None:
        """Give up the rows of a queued; the whole stays in the file, if it takes it, for a person."""
        self.put(queued)
        queued.damage = why
        left = replace(without_rows(queued.write_set, POISON, ""), segments=())
        self.reject(queued, written(queued.write_set), POISON, left)

    def first(self) -> QueuedWrite | None:
        """Take the oldest out of the spool, to be settled later; None when nothing is to be had now."""
        while True:
            entry = self._file.first()
            if entry is None:
                return None
            if entry.number in self._in_database:
                with self._moving:
                    if not self._forget(entry.number, ""):
                        return None
            elif entry.head is None:
                self._tell_of_damage(entry)
                self._file.set_aside(entry.number, entry.damage)
            else:
                return self._queued_write(entry, entry.head)

    def _queued_write(self, entry: Entry, head: WriteSet) -> QueuedWrite:
        foreign = head.session.session_id != self._session_id
        write_set = WriteSet(head.batch_id, head.session, entry.rows or (), head.segments, head.accounting)
        if foreign:
            write_set = carried_in(write_set, self._session_id)
        queued = QueuedWrite(entry.number, write_set, spooled=True, damage=entry.damage)
        if entry.damage:
            self._tell_of_damage(entry)
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
        return True

    def _tell_of_damage(self, entry: Entry) -> None:
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
