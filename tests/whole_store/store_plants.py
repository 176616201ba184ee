"""Faults that were there once, put back: histories that do not find each of them prove nothing."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from collector.database import Tables
from collector.export import table_of, within
from collector.query.rows import archive_files
from collector.query.rows.stored_stream import StoredStream
from collector.retention import move, one_archiver
from collector.retention.deletion import Claim, Entry, Slice
from collector.sinks import given_up
from collector.sinks.contract import SegmentState, WriteSet
from collector.sinks.sql import bar_rows
from collector.sinks.sql.archived_trades import ArchivedTrades, Columns
from collector.sinks.sql.bars import Bar, SettledBars, State, bar_of, received
from collector.sinks.sql.renumbering import Renumbering
from collector.sinks.sql.sink import SqlSink
from collector.spool import file as spool_file
from collector.writer import poison

Plant = Callable[[pytest.MonkeyPatch], None]


def a_bar_told_again_replaces_the_one_that_is_over(patch: pytest.MonkeyPatch) -> None:
    def latest_wins(
        states: Sequence[State], stored: Mapping[Bar, State], _: MutableMapping[Bar, list[State]]
    ) -> SettledBars:
        settled = SettledBars()
        for state in states:
            bar = bar_of(state)
            there = settled.replaced.get(bar, settled.new.get(bar, stored.get(bar)))
            if there is None:
                settled.new[bar] = state
                continue
            settled.merged += 1
            if received(state) >= received(there):
                (settled.new if bar in settled.new else settled.replaced)[bar] = state
        return settled

    patch.setattr(bar_rows, "settle", latest_wins)


def a_batch_that_is_given_up_leaves_no_hole(patch: pytest.MonkeyPatch) -> None:
    def go_on(segment: SegmentState, *_: str) -> SegmentState:
        return segment

    patch.setattr(given_up, "ended_before", go_on)


def rows_that_are_given_up_leave_no_hole(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(poison, "_breaks", lambda *_: {})


def what_cannot_be_read_of_a_spool_leaves_no_hole(patch: pytest.MonkeyPatch) -> None:
    apply = Renumbering.apply

    def unaware(
        self: Renumbering, connection: sa.Connection, tables: Tables, write_set: WriteSet, *, is_ours: bool
    ) -> WriteSet:
        write_set = dataclasses.replace(write_set, is_after_loss=False)
        return apply(self, connection, tables, write_set, is_ours=is_ours)

    patch.setattr(Renumbering, "apply", unaware)


def two_archive_at_once(patch: pytest.MonkeyPatch) -> None:
    """Let no lock keep a second one out, and no one look at what the other has recorded."""

    def record(self: Claim, connection: sa.Connection) -> int:
        with connection.begin():
            connection.exec_driver_sql("DROP INDEX IF EXISTS ux_collector_archive")
            connection.execute(sa.insert(self._tables.archive).values(**self._entry))
        return 0

    patch.setattr(one_archiver, "_TRY_LOCK", sa.text("SELECT CAST(:lock AS bigint) > 0"))
    patch.setattr(Claim, "__call__", record)


def a_spool_is_anybody_s(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(spool_file, "is_of", lambda *_, **__: True)


def a_long_iteration_knows_the_files_of_its_beginning(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(StoredStream, "with_files", lambda self, _: self)


def all_old_ids_of_a_day_are_deleted(patch: pytest.MonkeyPatch) -> None:
    """Delete what a day has up to the last id that was read, whether a file holds it or not."""

    def by_range(
        tables: Tables, entries: Sequence[Entry], _ids: object, *, is_resumed: bool
    ) -> Iterator[Slice]:
        del is_resumed
        archive = tables.archive

        def delete(connection: sa.Connection) -> int:
            gone = 0
            with connection.begin():
                for one in entries:
                    kind, date = str(one["kind"]), str(one["date"])
                    table = table_of(tables, kind)
                    own = (table.c.symbol == one["symbol"], table.c.exchange == one["exchange"])
                    old = (*within(table, kind, date), table.c.id <= one["last_id"])
                    gone += connection.execute(sa.delete(table).where(*own, *old)).rowcount
                    done = sa.update(archive).where(archive.c.path == one["path"])
                    connection.execute(done.values(deleted_ns=1))
            return gone

        yield delete

    def newest(connection: sa.Connection, table: sa.Table, _stop: object) -> int:
        return int(connection.execute(sa.select(sa.func.coalesce(sa.func.max(table.c.id), 0))).scalar_one())

    patch.setattr(move, "deletion", by_range)
    patch.setattr(one_archiver, "_last_final", newest)


def a_file_does_not_say_of_which_table_it_is(patch: pytest.MonkeyPatch) -> None:
    def of_any(connection: sa.Connection, tables: Tables, table: sa.Table) -> Sequence[sa.RowMapping]:
        archive, kind = tables.archive, archive_files.kind_archived(tables, table)
        query = sa.select(archive).where(archive.c.kind == kind).order_by(archive.c.date, archive.c.last_id)
        return connection.execute(query).mappings().all()

    patch.setattr(archive_files, "archived", of_any)
    patch.setattr(move, "archived", of_any)


def archived_trades_are_not_known_again(patch: pytest.MonkeyPatch) -> None:
    def all_of_them(self: ArchivedTrades) -> Columns:
        return self._columns

    patch.setattr(ArchivedTrades, "others", all_of_them)


def a_commit_lies_outside_of_what_can_be_broken_off(patch: pytest.MonkeyPatch) -> None:
    write_states = SqlSink._write_states

    def write_and_leave(self: SqlSink, *parts: Any) -> None:
        write_states(self, *parts)
        self._is_calling = False

    patch.setattr(SqlSink, "_write_states", write_and_leave)


PLANTS: list[Plant] = [
    a_bar_told_again_replaces_the_one_that_is_over,
    a_batch_that_is_given_up_leaves_no_hole,
    rows_that_are_given_up_leave_no_hole,
    what_cannot_be_read_of_a_spool_leaves_no_hole,
    two_archive_at_once,
    a_spool_is_anybody_s,
    a_long_iteration_knows_the_files_of_its_beginning,
    a_file_does_not_say_of_which_table_it_is,
    archived_trades_are_not_known_again,
    a_commit_lies_outside_of_what_can_be_broken_off,
]
PLANTS_OF_SERVERS: list[Plant] = [two_archive_at_once, all_old_ids_of_a_day_are_deleted]
