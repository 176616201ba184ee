"""Faults planted into the writer, one of each kind: a simulation that does not find them proves nothing."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from collector.errors import SinkError, SpoolError
from collector.events.batch import StreamKey
from collector.sinks.contract import Receipt, WriteSet
from collector.sinks.given_up import without_rows
from collector.writer import delivery
from collector.writer import spool as spool_module
from collector.writer.balance import Balance
from collector.writer.delivery import ToSink
from collector.writer.poison import Sifted, sift
from collector.writer.queued_write import QueuedWrite, written
from collector.writer.spool import Spool
from collector.writer.write_queue import WriteQueue

Plant = Callable[[pytest.MonkeyPatch], None]


def popped_before_it_is_committed(patch: pytest.MonkeyPatch) -> None:
    first = Spool.first

    def pop(self: Spool) -> QueuedWrite | None:
        queued = first(self)
        if queued is not None:
            self._file.remove(queued.number)
        return queued

    patch.setattr(Spool, "first", pop)


def another_id_at_each_try(patch: pytest.MonkeyPatch) -> None:
    refused, numbers = ToSink._refused, count()

    def rename(self: ToSink, queued: QueuedWrite, error: SinkError) -> None:
        queued.write_set = replace(queued.write_set, batch_id=f"again-{next(numbers)}")
        refused(self, queued, error)

    patch.setattr(ToSink, "_refused", rename)


def another_id_in_the_spool(patch: pytest.MonkeyPatch) -> None:
    append, numbers = Spool._append, count()

    def rename(self: Spool, queued: QueuedWrite) -> None:
        kept = queued.write_set
        queued.write_set = replace(kept, batch_id=f"spooled-{next(numbers)}")
        append(self, queued)
        queued.write_set = kept

    patch.setattr(Spool, "_append", rename)


def what_the_writer_holds_stays_in_memory(patch: pytest.MonkeyPatch) -> None:
    def take_aside(self: WriteQueue, *, fetch: bool) -> QueuedWrite | None:
        with self._lock:
            if not self.spilling.is_set():
                return None
            if self.spooling is None:
                self.spooling = self._next(fetch=fetch)
            return self.spooling

    patch.setattr(WriteQueue, "take_aside", take_aside)


def dropped_when_the_spool_is_full(patch: pytest.MonkeyPatch) -> None:
    append = Spool._append

    def ignore(self: Spool, queued: QueuedWrite) -> None:
        try:
            append(self, queued)
        except SpoolError:
            queued.settled = True

    patch.setattr(Spool, "_append", ignore)


def live_before_what_is_on_its_way_to_the_spool(patch: pytest.MonkeyPatch) -> None:
    def nothing_in_spool(self: WriteQueue, _is_empty: object) -> None:
        with self._lock:
            self.spilling.clear()

    patch.setattr(WriteQueue, "nothing_in_spool", nothing_in_spool)


def the_poisoned_batch_is_thrown_away(patch: pytest.MonkeyPatch) -> None:
    def throw(write_set: WriteSet, *_: object) -> Sifted:
        return Sifted(without_rows(write_set, "poison", ""), written(write_set), write_set.row_count)

    patch.setattr(delivery, "sift", throw)


def poison_stays_in_the_segments_rows(patch: pytest.MonkeyPatch) -> None:
    def forget(write_set: WriteSet, *parts: Any) -> Sifted:
        found = sift(write_set, *parts)
        return replace(found, write_set=replace(found.write_set, segments=write_set.segments))

    patch.setattr(delivery, "sift", forget)


def poison_is_counted_as_written(patch: pytest.MonkeyPatch) -> None:
    def forget(write_set: WriteSet, *parts: Any) -> Sifted:
        found = sift(write_set, *parts)
        return replace(found, write_set=replace(found.write_set, accounting=write_set.accounting))

    patch.setattr(delivery, "sift", forget)


def rejections_are_not_counted(patch: pytest.MonkeyPatch) -> None:
    def forget(_self: Balance, _parcel: QueuedWrite, _rows: Mapping[StreamKey, int], _reason: str) -> None:
        pass

    patch.setattr(Balance, "rejected", forget)


def spooled_rows_stay_in_flight(patch: pytest.MonkeyPatch) -> None:
    def forget(_self: Balance, queued: QueuedWrite) -> None:
        queued.spooled = True

    patch.setattr(Balance, "spooled", forget)


def carried_rows_are_counted_as_received_again(patch: pytest.MonkeyPatch) -> None:
    as_it_is = spool_module.adopted

    def count_again(write_set: WriteSet, by: str) -> WriteSet:
        found = as_it_is(write_set, by)
        return replace(
            found, accounting=tuple(replace(one, received=one.received + 1) for one in found.accounting)
        )

    patch.setitem(Spool.__init__.__kwdefaults__, "adopt", count_again)


def what_the_last_session_had_written_is_carried_in(patch: pytest.MonkeyPatch) -> None:
    def believe(self: Balance, queued: QueuedWrite) -> None:
        self.committed(queued, Receipt())

    patch.setattr(Balance, "known_before", believe)


def given_up_after_three_refusals(patch: pytest.MonkeyPatch) -> None:
    refused = ToSink._refused

    def give_up(self: ToSink, queued: QueuedWrite, error: SinkError) -> None:
        refused(self, queued, error)
        if queued.tries == 3:
            self._spool.settle(queued, Receipt())
            self._queue.hold(None)

    patch.setattr(ToSink, "_refused", give_up)


def a_batch_is_left_out_after_a_lost_answer(patch: pytest.MonkeyPatch) -> None:
    refused = ToSink._refused

    def believe(self: ToSink, queued: QueuedWrite, error: SinkError) -> None:
        if "lost" in str(error) or queued.tries:
            self._spool.settle(queued, Receipt())
            self._queue.hold(None)
        else:
            refused(self, queued, error)

    patch.setattr(ToSink, "_refused", believe)


def what_a_damaged_spool_has_lost_is_not_counted(patch: pytest.MonkeyPatch) -> None:
    def forget(self: Spool) -> None:
        self._repairs = self._file.repairs

    patch.setattr(Spool, "_count_what_is_gone", forget)


def what_came_again_is_counted_as_written(patch: pytest.MonkeyPatch) -> None:
    committed = Balance.committed

    def forget(self: Balance, queued: QueuedWrite, receipt: Receipt) -> None:
        committed(self, queued, replace(receipt, merged={}))

    patch.setattr(Balance, "committed", forget)


PLANTS: list[Plant] = [
    what_a_damaged_spool_has_lost_is_not_counted,
    what_came_again_is_counted_as_written,
    popped_before_it_is_committed,
    another_id_at_each_try,
    another_id_in_the_spool,
    what_the_writer_holds_stays_in_memory,
    dropped_when_the_spool_is_full,
    live_before_what_is_on_its_way_to_the_spool,
    the_poisoned_batch_is_thrown_away,
    poison_stays_in_the_segments_rows,
    poison_is_counted_as_written,
    rejections_are_not_counted,
    spooled_rows_stay_in_flight,
    carried_rows_are_counted_as_received_again,
    what_the_last_session_had_written_is_carried_in,
    given_up_after_three_refusals,
    a_batch_is_left_out_after_a_lost_answer,
]
