"""One database, the collectors that write it, and what may be done to them: each act is a step of a history.

An SQLite file has one collector at a time, a server has all of them at once; archivers run beside either.
"""

import os
import random
import sqlite3
from collections import defaultdict
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from held_commit import HeldCommit
from one_collector import (
    BOOK,
    MINUTE_NS,
    TABLES,
    TRADE,
    Collector,
    FaultySink,
    Place,
    numbers_of,
    spooled_numbers,
    states_of_bars,
)

from collector.database.engine import make_engine
from collector.database.url import database_url
from collector.errors import CollectorError, SpoolRefused
from collector.retention import Retention, Stop, archive_slices
from collector.sinks.contract import WriteSet
from collector.spool.codec import DamagedError, read_body

DAY_NS = 86_400_000_000_000
BEGIN_NS = 1_700_006_400_000_000_000 // DAY_NS * DAY_NS + DAY_NS // 2
PLACES = (
    Place(0, "l2_training_data_practical", 50, "BTC/USDT", "XRP/USDT"),
    Place(1, "other_books", 10, "ETH/USDT", "LTC/USDT"),
    Place(2, "l2_training_data_practical", 25, "SOL/USDT", "ADA/USDT"),
)
KEPT_DAYS = 1.0
SLICE_ROWS = 4
PAGE_BYTES = 4096
ROW_NS = 1_000_000  # between two rows


class Row(NamedTuple):
    """A book or a trade: never the same number for two of them."""

    place: int
    stream: int
    number: int


class Bar(NamedTuple):
    """What was said of a bar that is over."""

    market: str
    open_ms: int
    close: float


class Run:
    """An archiver under way."""

    def __init__(self, store: "SharedStore", table: str, folder: str) -> None:
        self.stop = Stop()
        kept = Retention(KEPT_DAYS, store.folder / folder, slice_rows=SLICE_ROWS)
        self.slices = archive_slices(store.url, table, kept, store.date, self.stop)


class SharedStore:
    """What a history acts on. What must hold is in `promises`."""

    def __init__(self, folder: Path, url: str, draw: random.Random, *, many: bool) -> None:
        self.folder = folder
        self.url = url
        self.many = many  # collectors at once
        self.now_ns = BEGIN_NS
        self.running: dict[int, Collector] = {}
        self.runs: list[Run] = []
        self.sent: dict[Row, list[int]] = defaultdict(list)  # when it was received, each time
        self.committed: set[Row] = set()  # as the writer was told
        self.bars_committed: set[Bar] = set()
        self.doubtful: set[Row] = set()  # they were in a spool that was damaged
        self.lost: set[Row] = set()  # with the memory of a process, if they were not in the database
        self.poison: set[int] = set()
        self.last_bars: dict[int, list[tuple[int, float]]] = defaultdict(list)
        self.hung = 0  # calls that could not be broken off
        self._draw = draw
        self._number = 0
        self._descriptors: list[int] = []
        self.engine = make_engine(database_url(url), synchronous="OFF")
        for place in PLACES if many else PLACES[:1]:
            self.start(place.number)

    @property
    def places(self) -> tuple[Place, ...]:
        return PLACES if self.many else PLACES[:2]

    def date(self) -> datetime:
        return datetime.fromtimestamp(self.now_ns / 1e9, UTC)

    # Collectors.

    def start(self, number: int) -> None:
        """Start a collector."""
        place = PLACES[number]
        sink = FaultySink(self.url, place.table, self.poison)
        one = Collector(place, sink, self.spool_of(place), self._now, self._note)
        one.open()
        self.running[number] = one

    def spool_of(self, place: Place) -> Path:
        return self.folder / f"{place.number}-spool"

    def rows(self, one: Collector, count: int) -> None:
        """Let updates and trades come in."""
        for _ in range(count):
            for stream, come in ((BOOK, one.book), (TRADE, one.trade)):
                row = self._new_row(one, stream)
                come(row.number, self.sent[row][-1])

    def days(self, one: Collector, count: int) -> None:
        """Let some days pass, on each of which something comes in."""
        for _ in range(count):
            self.rows(one, 3)
            one.deliver(8)
            self.now_ns += DAY_NS

    def poisoned(self, one: Collector) -> None:
        """Let something come in between others that the database will refuse for what it is."""
        self.rows(one, 2)
        self.poison.add(self._number + 1)
        self.rows(one, 2)

    def bar(self, one: Collector) -> None:
        """Let a bar grow and be finished."""
        open_ms, close = self.now_ns // MINUTE_NS * 60_000, 10.0 + self._draw.randrange(100)
        self.now_ns += MINUTE_NS
        one.bar(open_ms, 10.0, self.now_ns - MINUTE_NS // 2, confirmed=False)
        one.bar(open_ms, close, self.now_ns, confirmed=True)
        self.last_bars[one.place.number].append((open_ms, close))

    def again(self, one: Collector, count: int) -> None:
        """Let the connection break, and the exchange tell its last trades and bars again."""
        one.close_segments()
        told = sorted(row for row in self.sent if row[:2] == (one.place.number, TRADE))[-count:]
        for row in told:
            self.now_ns += ROW_NS
            self.sent[row].append(self.now_ns)
            one.trade(row.number, self.now_ns, self.sent[row][0])
        for open_ms, close in self.last_bars[one.place.number][-count:]:
            self.now_ns += ROW_NS
            one.bar(open_ms, close, self.now_ns, confirmed=True)

    def corrected(self, one: Collector) -> None:
        """Let the exchange say otherwise of a bar."""
        told = self.last_bars[one.place.number]
        if told:
            self.now_ns += ROW_NS
            open_ms, close = told[-1]
            told[-1] = open_ms, close + 0.5
            one.bar(open_ms, close + 0.5, self.now_ns, confirmed=True)

    def kill(self, number: int) -> None:
        """End a process at once."""
        one = self.running.pop(number)
        durable = set() if one.is_damaged else self._in_spool(one)
        own = {Row(number, stream, each) for stream, numbers in one.sent.items() for each in numbers}
        (self.doubtful if one.is_damaged else self.lost).update(own - durable - self.committed)
        self._gone(one)
        one.kill()

    def stop(self, number: int, *, empty: bool = False) -> None:
        """Stop a collector in an orderly way."""
        one = self.running.pop(number)
        one.stop(self._wait, empty=empty)
        self._gone(one)

    def stranger(self, number: int) -> None:
        """Let a collector of another database be told of the spool of one that is not running."""
        sink = FaultySink(f"sqlite:///{self.folder / 'strange.db'}", PLACES[number].table)
        one = Collector(PLACES[number], sink, self.spool_of(PLACES[number]), self._now, lambda _: None)
        with suppress(SpoolRefused):
            one.open()
            one.stop(self._wait, empty=True)
        one.sink.close()

    def damage_bytes(self, one: Collector) -> None:
        """Damage the bytes of a batch in the middle of the spool."""
        if not self._fill_spool(one):
            return
        self._doubt()
        connection = one.files._own._connection
        with suppress(sqlite3.DatabaseError):  # a page of it was damaged before
            numbers = [number for (number,) in connection.execute("SELECT number FROM spool ORDER BY number")]
            which = numbers[len(numbers) // 2]
            connection.execute("UPDATE spool SET body = zeroblob(40) WHERE number = ?", (which,))

    def damage_page(self, one: Collector, where: float) -> None:
        """Damage a page of the spool while it is open, and let SQLite read all pages anew."""
        if not self._fill_spool(one):
            return
        self._doubt()
        one.is_damaged = True
        connection, path = one.files._own._connection, one.files.path
        with suppress(sqlite3.DatabaseError):  # it was damaged before, and nobody has looked since
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            descriptor = os.open(path, os.O_WRONLY)  # not closed: that would give up SQLite's lock
            self._descriptors.append(descriptor)
            content, whose = path.read_bytes(), one.sink.identity.encode()
            pages = range(0, len(content), PAGE_BYTES)
            # The one page that says whose it is cannot be missed: nothing else tells the table of its books.
            others = [at for at in pages if whose not in content[at : at + PAGE_BYTES]]
            os.pwrite(descriptor, b"\xff" * PAGE_BYTES, others[int(where * len(others))])
            connection.execute("PRAGMA shrink_memory")

    # Archivers.

    def archive(self, table: str, folder: str) -> None:
        """Begin to move old days."""
        self.runs.append(Run(self, table, folder))

    def slices(self, run: Run, count: int) -> None:
        """Let an archiver take some steps; what stops it must cost nothing."""
        for _ in range(count):
            if run in self.runs:
                self._do(run, self._next(run))

    def end(self, run: Run) -> None:
        """End an archiver wherever it is."""
        run.slices.close()
        self.runs.remove(run)

    def archived(self) -> None:
        """Move all old days: nothing must be left that stands in the way."""
        for table in dict.fromkeys(place.table for place in self.places):
            run = Run(self, table, "last")
            for one in run.slices:
                with self.engine.connect() as connection:
                    one(connection)

    def archive_all(self, table: str) -> None:
        """Move all old days of a table, if nothing stands in the way."""
        self.archive(table, "a")
        self.slices(self.runs[-1], 1_000)

    def two_archive(self, one: Collector, slices: int) -> None:
        """Let two move the same days, each to a folder of its own: both read before either goes on."""
        self.days(one, 2)
        runs = [Run(self, one.place.table, folder) for folder in "ab"]
        self.runs += runs
        for _ in range(slices):
            ready = [(run, self._next(run)) for run in runs if run in self.runs]
            for run, one_slice in ready:
                self._do(run, one_slice)

    def moved_and_told_again(self, one: Collector, count: int) -> None:
        """Let the exchange tell trades again whose day was moved to files."""
        self.days(one, 3)
        self.archive_all(one.place.table)
        self.again(one, count)
        one.deliver(8)

    def overtaken(self, one: Collector, other: Collector, slices: int) -> None:
        """Let old days be moved while a commit is under way whose rows have older ids than others there."""
        self.archive_all(one.place.table)
        self.rows(one, 2)
        with HeldCommit(one):
            self.rows(other, 2)
            other.deliver(8)
            self.now_ns += 2 * DAY_NS
            self.archive(one.place.table, "overtaken")
            run = self.runs[-1]
            self.slices(run, slices)
        if run in self.runs:
            self.slices(run, 100)

    def settle(self) -> None:
        """Let all be well, and everything be brought in and moved."""
        for run in list(self.runs):
            self.end(run)
        for number in list(self.running):
            self.running[number].sink.refusals = self.running[number].sink.lost_answers = 0
            self.running[number].sink.swallowed.clear()
            self.stop(number, empty=True)
        for place in self.places:
            self.start(place.number)
            self.stop(place.number, empty=True)
        self.archived()

    def close(self) -> None:
        """Let go of everything."""
        for run in self.runs:
            run.slices.close()
        for one in self.running.values():
            one.kill()
        self.engine.dispose()
        for descriptor in self._descriptors:
            os.close(descriptor)

    def _next(self, run: Run) -> Any:
        try:
            return next(run.slices)
        except (StopIteration, CollectorError):
            self.end(run)
            return None

    def _do(self, run: Run, one: Any) -> None:
        if one is not None:
            try:
                self._commit(one)
            except CollectorError:
                self.end(run)

    def _commit(self, one: Any) -> None:
        running = list(self.running.values())
        if running and self._draw.random() < 0.5:
            running[0].sink.maintain(one)
            return
        with self.engine.connect() as connection:
            one(connection)

    def _new_row(self, one: Collector, stream: int) -> Row:
        self._number += 1
        self.now_ns += ROW_NS
        row = Row(one.place.number, stream, self._number)
        self.sent[row].append(self.now_ns)
        return row

    def _fill_spool(self, one: Collector) -> bool:
        one.spill()
        for _ in range(3):
            self.rows(one, 2)
            one.relieve(3)
        return one.files._own.entries > 0 and one.files._own._connection is not None

    def _doubt(self) -> None:
        """Take note that whatever is not committed yet may have been in the file."""
        self.doubtful |= set(self.sent) - self.committed

    def _in_spool(self, one: Collector) -> set[Row]:
        bodies = []
        for file in one.files._files():
            assert file._connection is not None
            for (body,) in file._connection.execute("SELECT body FROM spool"):
                with suppress(DamagedError):
                    bodies.append(read_body(body))
        return {self._row(stream, number) for stream, number in spooled_numbers(bodies)}

    def _row(self, stream: int, number: int) -> Row:
        return next(row for row in (Row(one.number, stream, number) for one in PLACES) if row in self.sent)

    def _note(self, write_set: WriteSet) -> None:
        for rows in write_set.rows:
            if rows.table in TABLES:
                stream = TABLES[rows.table][0]
                self.committed |= {self._row(stream, number) for number in numbers_of(rows)}
        for state in states_of_bars(write_set):
            if state["confirmed"]:
                self.bars_committed.add(Bar(state["symbol"], state["open_time"], state["close"]))

    def _gone(self, one: Collector) -> None:
        self.hung += one.sink.hung

    def _now(self) -> int:
        return self.now_ns

    def _wait(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1e9)
