"""A world in one thread: buffer, writer, spool and database, with every fault a step of its own, and a model.

The database and the clock are simulated; everything else is what the program runs, its spool on a real file.
"""

import json
import os
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from collector.buffer.buffer import Buffer
from collector.errors import SinkError, SpoolError
from collector.events.batch import INT_COLUMNS, Batch, Liveness, SegmentClosed, SegmentOpened, StreamKey
from collector.events.settled import Settled
from collector.retry import Backoff
from collector.sinks.contract import (
    AccountingState,
    Capabilities,
    Receipt,
    Rows,
    SessionState,
    Value,
    WriteSet,
)
from collector.sinks.sql.state_rows import less_merged, moved_to_merged
from collector.spool.codec import DamagedError, read_body
from collector.spool.file import SpoolFile
from collector.writer.balance import Balance
from collector.writer.breaker import Breaker, BreakerState
from collector.writer.delivery import Step, ToSink, ToSpool
from collector.writer.prepare import Preparation
from collector.writer.sources import BufferSource
from collector.writer.spool import Spool
from collector.writer.write_queue import WriteQueue

KEYS = [StreamKey("bybit", symbol, "book.50") for symbol in ("BTC/USDT:USDT", "ETH/USDT:USDT")]
MAX_ROWS = 40
FLUSH_ROWS = 5
MOST_ROWS = 4  # in a transaction
PAGE_BYTES = 4096

Row = tuple[int, int]  # stream, sequence


class Database:
    """Commits whole batches, exactly those of a new id; refuses and loses answers when told to."""

    name = "database"
    file = None
    capabilities = Capabilities(transactions=True, idempotent=True)

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.segment_of: dict[Row, int] = {}
        self.ledger: dict[str, str] = {}  # by batch id: who wrote it
        self.accounting: dict[tuple[str, StreamKey], Counter[str]] = defaultdict(Counter)
        self.segments: dict[int, dict[str, Any]] = {}
        self.sessions: dict[str, str | None] = {}
        self.rejected: list[Row] = []
        self.merged = 0  # rows that came again
        self.poison: set[Row] = set()
        self.came_again: set[Row] = set()  # that an exchange has sent more than once
        self.refusals = 0  # so many writes fail before they begin
        self.lost_answers = 0  # so many writes are committed, but the writer is not told
        self.meanwhile: list[Any] = []  # done while a write is under way
        self.last_merged: Mapping[StreamKey, int] = {}
        self.last_batch = ""

    def write(self, write_set: WriteSet) -> Receipt:
        for act in self.meanwhile:
            act()
        self.meanwhile.clear()
        if self.refusals:
            self.refusals -= 1
            raise SinkError("the database is away", transient=True)
        repeated = write_set.batch_id in self.ledger
        if not repeated:
            if any(row in self.poison for rows in write_set.rows for row in rows_of(rows)):
                raise SinkError("this will not do", transient=False)
            self.last_merged = self._commit(write_set)
        if self.lost_answers:
            self.lost_answers -= 1
            raise SinkError("the connection was lost", transient=True)
        merged = self.last_merged if write_set.batch_id == self.last_batch else {}
        return Receipt(repeated=repeated, written_by=self.ledger[write_set.batch_id], merged=merged)

    def refuses(self, rows: Rows) -> str | None:
        return "poison" if any(row in self.poison for row in rows_of(rows)) else None

    def open(self) -> None:
        pass

    def abort(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _commit(self, write_set: WriteSet) -> Mapping[StreamKey, int]:
        """Store a batch; return by stream how many of its rows were there already."""
        self.last_batch = write_set.batch_id
        merged: Counter[StreamKey] = Counter()
        there: list[tuple[list[Value], int]] = []
        self.ledger[write_set.batch_id] = write_set.written_by
        session = write_set.session
        self.sessions[session.session_id] = session.end_cause or self.sessions.get(session.session_id)
        for rows in write_set.rows:
            if rows.table == "rejected":
                self.rejected += [tuple_of(text) for text in rows.columns["original"]]
                continue
            for row, segment in zip(rows_of(rows), column_of(rows), strict=True):
                if row in self.came_again and row in self.segment_of:
                    merged[KEYS[row[0]]] += 1
                    there.append(([segment], 1))
                    continue
                self.rows.append(row)
                self.segment_of[row] = segment
        self.merged += merged.total()
        for one in moved_to_merged(write_set.accounting, merged):
            terms = self.accounting[one.session_id, StreamKey(one.exchange, one.symbol, one.channel)]
            for term in ("received", "carried_in", "written", "merged", "dropped", "pending"):
                terms[term] += getattr(one, term)
            terms["rejected"] += one.rejected_total
        for state in less_merged(write_set.segments, there):
            known = self.segments.setdefault(state.segment_id, {"rows": 0, "start_ns": state.start_ns})
            known["rows"] += state.rows
            known["key"] = state.key
            known["end_cause"] = state.end_cause or known.get("end_cause")
        return merged


class FullableSpool(SpoolFile):
    """A spool whose disk can be full."""

    refuses = False

    def append(self, number: int, write_set: WriteSet) -> None:
        if self.refuses:
            raise SpoolError("no space left on the disk", full=True)
        super().append(number, write_set)


class World:
    """What a history acts on, and what must hold after each of its steps."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "spool"
        self.database = Database()
        self.now_s = 1000.0
        self.sequence = Counter[int]()  # by stream, over all sessions
        self.accepted: dict[tuple[str, int], list[int]] = defaultdict(list)  # by session and stream
        self.lost: set[Row] = set()  # with the memory of a process that was killed
        self.durable: set[Row] = set()
        self.doubtful: set[Row] = set()  # that were in a spool when a page of it was damaged
        self.is_damaged = False  # in this session
        self.sessions = 0
        self._descriptors: list[int] = []
        self.spool_refuses = False
        self._begin()

    # What happens.

    def rows(self, stream: int, count: int) -> None:
        """Let updates of a verified book come in."""
        for _ in range(count):
            if self.segment[stream] is None:
                self._open_segment(stream)
            self.sequence[stream] += 1
            self.received[stream] += 1
            stored = self.buffer.append(
                stream,
                self.received[stream],
                self._at_ns(stream),
                None,
                self.sequence[stream],
                self.segment[stream] or 0,
                10,
                [1.0, 1.0, 2.0, 1.0],
            )
            if stored:
                self.accepted[self.session, stream].append(self.sequence[stream])
            else:
                self.close_segment(stream)

    def poison(self, stream: int) -> None:
        """Let an update come in that the database will refuse for what it is."""
        self.database.poison.add((stream, self.sequence[stream] + 1))
        self.rows(stream, 1)

    def again(self, stream: int, count: int) -> None:
        """Let the last rows come again, as an exchange sends its last trades at a subscription."""
        last = [row for row in self.database.rows if row[0] == stream][-count:]
        for _, sequence in last:
            if self.segment[stream] is None:
                self._open_segment(stream)
            self.database.came_again.add((stream, sequence))
            self.received[stream] += 1
            row = (self._at_ns(stream), None, sequence, self.segment[stream] or 0)
            if not self.buffer.append(stream, self.received[stream], *row, 10, [1.0, 1.0, 2.0, 1.0]):
                self.close_segment(stream)

    def damage(self, where: float) -> None:
        """Damage a page of the spool while it is open, and let SQLite read all pages anew."""
        connection = self.spool_file._connection
        if connection is None or not self.spool_file.entries:
            return
        self.doubtful |= (self.durable | set(self._in_spool())) - set(self.database.rows)
        self.is_damaged = True
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            pages = self.path.stat().st_size // PAGE_BYTES
            descriptor = os.open(self.path, os.O_WRONLY)  # not closed: that would give up SQLite's lock
            self._descriptors.append(descriptor)
            os.pwrite(descriptor, b"\xff" * PAGE_BYTES, int(where * pages) * PAGE_BYTES)
            connection.execute("PRAGMA shrink_memory")
        except sqlite3.DatabaseError:
            pass  # it was damaged before, and nobody has looked since

    def reject(self, stream: int) -> None:
        """Let an update come in that gives no row."""
        self.received[stream] += 1
        self.buffer.count_rejected(stream, self.received[stream], "stale")

    def close_segment(self, stream: int) -> None:
        """Let a book cease to be verified."""
        segment, self.segment[stream] = self.segment[stream], None
        if segment is not None:
            self.buffer.close_segment(SegmentClosed(segment, "sequence_gap", "", None))

    def deliver(self, *, fetch: bool) -> Step:
        """Let the writer thread take a step."""
        return self.to_sink.step(fetch=fetch)

    def relieve(self, *, fetch: bool) -> Step:
        """Let the spool's thread take a step."""
        return self.to_spool.step(fetch=fetch)

    def hang(self) -> None:
        """Let the next write take so long that the spool's thread takes over meanwhile."""

        def meanwhile() -> None:
            self.queue.spilling.set()
            if not self.queue.stopping:
                self.rows(0, 3)
            for _ in range(3):
                self.relieve(fetch=True)
                self.check()

        self.database.meanwhile.append(meanwhile)

    def kill(self) -> None:
        """End the process at once, and start another."""
        in_database, in_spool = set(self.database.rows), set(self._in_spool())
        for (_, stream), sequences in self.accepted.items():
            self.lost |= {(stream, one) for one in sequences} - in_database - in_spool
        self.lost -= self.database.poison & set(self.database.rejected)
        self.spool_file.close()
        self._begin()

    def restart(self) -> None:
        """Stop in an orderly way, and start another process."""
        self.stop()
        self._begin()

    def stop(self) -> None:
        """Stop in an orderly way, if the disk is not full."""
        self.spool_file.refuses = False
        self.queue.stop()
        for _ in range(1000):
            step = self.deliver(fetch=True)
            if self.queue.durable and (self.spool.empty or self.breaker.state is not BreakerState.CLOSED):
                break
            if step is Step.REFUSED:
                self.now_s += 1.0
                self.queue.spilling.set()
                self.relieve(fetch=True)
        assert self.queue.durable, "the end does not come"
        self.check()
        assert self.balance.give_up() == 0
        self.spool_file.close()

    def close(self) -> None:
        """Let go of all files."""
        self.spool_file.close()
        for descriptor in self._descriptors:
            os.close(descriptor)

    def settle(self) -> None:
        """Let all be well, bring all in, and hold it against the model."""
        self.database.refusals = self.database.lost_answers = 0
        self.database.meanwhile.clear()
        self.spool_file.refuses = False
        self.now_s += 1000
        self.queue.stop()
        for _ in range(1000):
            if self.queue.durable and self.spool.empty:
                break
            self.now_s += 100
            self.deliver(fetch=True)
            self.relieve(fetch=True)
        self.check()
        expected = {(stream, one) for (_, stream), found in self.accepted.items() for one in found}
        expected -= self.lost | self.database.poison
        found = set(self.database.rows)
        assert expected - self.doubtful <= found <= expected | self.doubtful, (
            "rows are lost, or came from nowhere"
        )
        told = self.database.poison & {
            (stream, one) for (_, stream), found in self.accepted.items() for one in found
        }
        refused = set(self.database.rejected)
        assert told - self.lost - self.doubtful <= refused <= told - (self.lost - self.doubtful), (
            "what is refused is not told"
        )
        assert len(self.database.rejected) == len(set(self.database.rejected))
        assert self.database.sessions[self.session] == "stop"
        for state in self.states():
            assert state.pending == 0, state
            if self.is_damaged:  # what a page took with it is counted in memory alone
                continue
            key = StreamKey(state.exchange, state.symbol, state.channel)
            terms = self.database.accounting[self.session, key]
            for term in ("received", "carried_in", "written", "merged", "dropped"):
                assert terms[term] == getattr(state, term), (term, terms, state)

    # What must hold.

    def check(self) -> None:
        """Hold the world against the model."""
        database = self.database
        assert len(database.rows) == len(set(database.rows)), "a row is stored twice"
        for stream in range(len(KEYS)):
            sequences = [sequence for of, sequence in database.rows if of == stream]
            assert sequences == sorted(sequences), "rows are out of order"
        durable = set(database.rows) | set(self._in_spool())
        gone = self.durable - durable - set(database.rejected) - self.doubtful
        assert not gone, "what was durable is gone"
        self.durable |= durable  # also what cannot be read until the file is replaced
        self._check_order_of_what_is_durable(durable)
        for state in self.states():
            assert state.difference == 0, f"the identity is broken: {state}"
        for (session, key), terms in database.accounting.items():
            settled = terms["written"] + terms["merged"] + terms["dropped"] + terms["rejected"]
            difference = terms["received"] + terms["carried_in"] - settled - terms["pending"]
            assert difference == 0, f"the stored identity is broken: {session} {key} {terms}"
        written = sum(terms["written"] for terms in database.accounting.values())
        assert written == len(database.rows), "what is counted as written is not what is stored"
        of_segment = Counter(database.segment_of[row] for row in database.rows)
        told = Counter({segment: known["rows"] for segment, known in database.segments.items()})
        if database.merged:  # of which segment of its stream a row is taken off is not promised
            of_segment = Counter(stream for stream, _ in database.rows)
            told = Counter[int]()
            for known in database.segments.values():
                told[KEYS.index(known["key"])] += known["rows"]
        assert +told == of_segment, "a segment tells another number of rows"

    def _check_order_of_what_is_durable(self, durable: set[Row]) -> None:
        """Nothing is durable whose predecessor is not: a kill would take rows that coverage speaks of."""
        for stream in range(len(KEYS)):
            left_out = self.database.poison | self.doubtful
            good = [(stream, one) for one in self.accepted[self.session, stream]]
            found = [row in durable for row in good if row not in left_out]
            assert found == sorted(found, reverse=True), "a row is durable before its predecessor"

    def states(self) -> tuple[AccountingState, ...]:
        return self.balance.states(lambda: self.buffer.snapshot()[0])

    def _in_spool(self) -> list[Row]:
        connection = self.spool_file._connection
        assert connection is not None
        found: list[Row] = []
        try:
            for (body,) in connection.execute("SELECT body FROM spool ORDER BY number"):
                try:
                    found += [
                        row for rows in read_body(body) if rows.table == "book" for row in rows_of(rows)
                    ]
                except DamagedError:
                    continue
        except sqlite3.DatabaseError:
            assert self.is_damaged
            # What is put in until the file is replaced cannot be seen from here.
            accepted = {(stream, one) for (_, stream), found in self.accepted.items() for one in found}
            self.doubtful |= accepted - set(self.database.rows)
        return found

    def _begin(self) -> None:
        self.sessions += 1
        self.session = f"session-{self.sessions}"
        self.buffer = Buffer(levels_per_row=1, max_rows=MAX_ROWS, flush_rows=FLUSH_ROWS)
        for key in KEYS:
            self.buffer.register(key)
        self.received = Counter[int]()
        self.segment: dict[int, int | None] = dict.fromkeys(range(len(KEYS)))
        state = SessionState(self.session, 1, "0", "host", 1, "{}")
        preparation = Preparation(state, self.buffer.key, book_rows, most_rows=MOST_ROWS)
        self.spool_file = FullableSpool(self.path, max_bytes=20_000, synchronous="OFF")
        self.spool_file.open()
        self.balance = Balance(self.session, self.buffer.key)
        self.is_damaged = False
        self.balance.carried_in(self.spool_file.heads())
        self.breaker = Breaker(3, Backoff(0.1, 1.0), Backoff(0.5, 5.0), now_s=self._clock)
        source = BufferSource(
            self.buffer, preparation, self.balance, behind_at_rows=MAX_ROWS // 2, now_s=self._clock
        )
        self.queue = WriteQueue(source)
        self.queue.begin(self.spool_file.last_number, spilling=self.spool_file.entries > 0)
        self.spool = Spool(self.spool_file, self.balance, self.session)
        self.to_sink = ToSink(
            self.queue, self.spool, self.database, self.breaker, spill_after_s=1.0, now_s=self._clock
        )
        self.to_spool = ToSpool(self.queue, self.spool)

    def _open_segment(self, stream: int) -> None:
        segment = self.segment[stream] = 1000 * (self.sequence[stream] + 1) + 10 * stream
        start_ns = self._at_ns(stream, 1)
        self.buffer.open_segment(SegmentOpened(segment, stream, start_ns, "sequence", Liveness(start_ns)))

    def _at_ns(self, stream: int, later: int = 0) -> int:
        return self.sequence[stream] + later

    def _clock(self) -> float:
        return self.now_s


def book_rows(batch: Batch, *, is_last: bool) -> Settled:
    """Return rows that tell where they come from."""
    del is_last
    integers = np.frombuffer(batch.integers, dtype=np.int64).reshape(-1, INT_COLUMNS)
    received_at_ns, _, sequences, streams, segments, _ = integers.T
    named = (received_at_ns, sequences, streams, segments)
    names = ("received_at_ns", "sequence", "stream", "segment_id")
    columns = {name: column.tolist() for name, column in zip(names, named, strict=True)}
    return Settled("book", columns, streams, segments, received_at_ns, sequences)


def rows_of(rows: Rows) -> list[Row]:
    """Name the rows by stream and sequence."""
    if rows.table != "book":
        return []
    return list(zip(rows.columns["stream"], rows.columns["sequence"], strict=True))  # type: ignore[arg-type]


def column_of(rows: Rows) -> list[int]:
    """Return the segment of each row."""
    return list(rows.columns["segment_id"]) if rows.table == "book" else []  # type: ignore[arg-type]


def tuple_of(text: Value) -> Row:
    """Read a refused row back."""
    values = json.loads(str(text))
    return values["stream"], values["sequence"]
