"""One life of a collector in one thread: its writer, spool and sink are the real ones, its steps are ours."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from collector.app.spool_places import owner_of, places_of
from collector.buffer.buffer import Buffer
from collector.errors import SinkError
from collector.events.batch import Liveness, SegmentClosed, SegmentOpened, StreamKey
from collector.features.market_rows import MarketRows
from collector.features.rows import BookRows
from collector.features.stream_facts import StreamFacts
from collector.ids import SegmentIds, new_id
from collector.retry import Backoff
from collector.sinks.contract import Receipt, Rows, SessionState, WriteSet
from collector.sinks.sql import sink as sink_module
from collector.sinks.sql.sink import SqlSink
from collector.spool import SpoolFiles
from collector.writer import Balance, Breaker, BreakerState, BufferSource, Preparation
from collector.writer.delivery import Step, ToSink, ToSpool
from collector.writer.spool import Spool
from collector.writer.write_queue import WriteQueue

EXCHANGE = "bybit"
BOOK, TRADE, BAR = range(3)  # the streams of each, by number
TABLES = {"book": (BOOK, "sequence"), "trades": (TRADE, "trade_id")}
MINUTE_NS = 60_000_000_000
LEVELS = [10.0, 1.0, 11.0, 1.0]
SPOOL_BYTES = 1 << 20
MOST_ROWS = 5  # in a transaction
MOST_STEPS = 2_000


@dataclass(frozen=True)
class Place:
    """What one collector collects, and the hot table that it writes."""

    number: int
    table: str
    depth: int
    market: str  # of its trades
    bars: str  # the market of its bars, which no trades must agree with

    book = "BTC/USDT"  # the books of all are of one market: only table and depth tell them apart

    @property
    def keys(self) -> tuple[StreamKey, ...]:
        return (
            StreamKey(EXCHANGE, self.book, f"book.{self.depth}"),
            StreamKey(EXCHANGE, self.market, "trade"),
            StreamKey(EXCHANGE, self.bars, "ohlcv.1m"),
        )


class FaultySink(SqlSink):
    """A sink that refuses, loses answers, and whose link swallows a call, when told to."""

    def __init__(
        self, url: str, table_name: str = Place.book, poison: frozenset[int] | set[int] = frozenset()
    ) -> None:
        super().__init__(url, table_name, auto_migrate=True, synchronous="OFF")
        self.poison = poison
        self.refusals = 0  # so many writes fail before they begin
        self.lost_answers = 0  # so many writes are committed, but the writer is not told
        self.swallowed: list[str] = []  # the next call of these kinds never comes back by itself
        self.hung = 0  # such calls that could not be broken off
        self.at_commit: Callable[[], None] | None = None

    def open(self) -> None:
        """Open it, and stand between it and its database."""
        super().open()
        for name in ("begin", "commit"):
            event.listen(
                self._database.engine, name, lambda connection, name=name: self._call(name, connection)
            )

    def write(self, write_set: WriteSet) -> Receipt:
        """Write as told."""
        if self.refusals:
            self.refusals -= 1
            raise SinkError("the database is away", transient=True)
        if any(numbers_of(rows) & self.poison for rows in write_set.rows):
            raise SinkError("this will not do", transient=False)
        receipt = super().write(write_set)
        if self.lost_answers:
            self.lost_answers -= 1
            raise SinkError("the connection was lost", transient=True)
        return receipt

    def refuses(self, rows: Rows) -> str | None:
        """Refuse rows with poison."""
        return "poison" if numbers_of(rows) & self.poison else None

    def _call(self, name: str, connection: sa.Connection) -> None:
        if name == "commit" and self.at_commit is not None:
            self.at_commit()
        if name in self.swallowed:
            self.swallowed.remove(name)
            broken_off: list[object] = []
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(sink_module, "break_off", broken_off.append)
                self.abort()  # what the watchdog does when the time for a call is over
            if connection.connection.driver_connection not in broken_off:
                self.hung += 1
            raise sa.exc.OperationalError(name, {}, ConnectionError("broken off"))


class Collector:
    """One life of it: from `open` to `stop` or `kill`."""

    def __init__(
        self,
        place: Place,
        sink: FaultySink,
        spool: Path,
        now_ns: Callable[[], int],
        on_commit: Callable[[WriteSet], None],
    ) -> None:
        self.place = place
        self.sink = sink
        self.sent: dict[int, set[int]] = {BOOK: set(), TRADE: set()}  # numbers of this life
        self.is_damaged = False  # its spool, by pages
        self._now_ns = now_ns
        self._on_commit = on_commit
        self._spool_path = spool
        self._session = SessionState(new_id(), now_ns(), "0", "host", 1, "{}")
        self._buffer = Buffer(levels_per_row=1, max_rows=10_000, flush_rows=10_000)
        for key in place.keys:
            self._buffer.register(key)
        self._received = [0, 0, 0]
        self._segment_ids = SegmentIds()
        self._segments: dict[int, int | None] = dict.fromkeys((BOOK, TRADE, BAR))
        self._liveness = Liveness(now_ns())

    def open(self) -> None:
        """Start as a collector does after a crash, too."""
        self.sink.open()
        places = places_of(str(self._spool_path), self.sink)
        owner = owner_of(self.sink, self.sink)
        self.files = SpoolFiles(places, max_bytes=SPOOL_BYTES, owner=owner, synchronous="OFF")
        self.files.open()
        self.sink.claim(self._session, self.place.keys)
        self.balance = Balance(self._session.session_id, self._buffer.key)
        self.balance.carried_in(self.files.heads())
        facts = self._facts
        preparation = Preparation(
            self._session,
            self._buffer.key,
            BookRows(facts, 1).settle,
            most_rows=MOST_ROWS,
            market_rows=MarketRows(facts).settle,
        )
        source = BufferSource(
            self._buffer,
            preparation,
            self.balance,
            behind_at_rows=9_000,
            now_ns=self._now_ns,
            now_s=self._now_s,
        )
        self.breaker = Breaker(3, Backoff(0.1, 1.0), Backoff(0.5, 5.0), now_s=self._now_s)
        self.queue = WriteQueue(source)
        self.queue.begin(self.files.last_number, spilling=self.files.entries > 0)
        self.spool = Spool(self.files, self.balance, self._session.session_id, now_ns=self._now_ns)
        self._to_sink = ToSink(
            self.queue,
            self.spool,
            self.sink,
            self.breaker,
            spill_after_s=1.0,
            on_commit=lambda write_set, *_: self._on_commit(write_set),
            now_ns=self._now_ns,
            now_s=self._now_s,
        )
        self._to_spool = ToSpool(self.queue, self.spool)

    def book(self, number: int, at_ns: int) -> None:
        """Let an update of a verified book come in."""
        segment = self._segment(BOOK, at_ns)
        self.sent[BOOK].add(number)
        place = (at_ns, at_ns // 10**6, number, segment, 1)
        assert self._buffer.append(BOOK, self._count(BOOK), *place, LEVELS)

    def trade(self, number: int, at_ns: int, happened_ns: int | None = None) -> None:
        """Let a trade come in, whether it was told before or not."""
        self.sent[TRADE].add(number)
        integers = (at_ns, (happened_ns or at_ns) // 10**6, number, TRADE, self._segment(TRADE, at_ns), 1, 0)
        assert self._buffer.append_trade(self._count(TRADE), (10.0, 1.0), integers, str(number), None)

    def bar(self, open_ms: int, close: float, at_ns: int, *, confirmed: bool) -> None:
        """Let a state of a bar come in."""
        integers = (at_ns, at_ns // 10**6, open_ms, BAR, self._segment(BAR, at_ns), int(confirmed), 7)
        numbers = (10.0, max(close, 10.0), min(close, 10.0), close, 1.0, close)
        assert self._buffer.append_candle(self._count(BAR), numbers, integers)

    def close_segments(self) -> None:
        """Let the connection break."""
        for stream, segment in self._segments.items():
            if segment is not None:
                self._buffer.close_segment(SegmentClosed(segment, "disconnect", "", None))
                self._segments[stream] = None

    def deliver(self, steps: int = 1, *, fetch: bool = True) -> None:
        """Let the writer thread take some steps."""
        for _ in range(steps):
            self._to_sink.step(fetch=fetch)

    def relieve(self, steps: int = 1, *, fetch: bool = True) -> None:
        """Let the spool's thread take some steps."""
        for _ in range(steps):
            self._to_spool.step(fetch=fetch)

    def spill(self) -> None:
        """Send what comes to the spool."""
        self.queue.spilling.set()

    def stop(self, wait: Callable[[float], None], *, empty: bool = False) -> None:
        """Stop in an orderly way; wait for the spool to be `empty`, or only for the end to be durable."""
        self.close_segments()
        self.queue.stop()
        for _ in range(MOST_STEPS):
            if self.queue.durable and (self.spool.empty or not empty):
                break
            if self._to_sink.step(fetch=True) is Step.REFUSED:
                wait(10.0)
                self.spill()
                self.relieve()
        assert self.queue.durable, "the end does not come"
        assert self.spool.empty or not empty, "the spool is not brought in"
        assert self.balance.give_up() == 0
        self.kill()

    def kill(self) -> None:
        """End at once. What the kernel does to a process: its files and connections are closed."""
        self.files.close()
        self.sink.close()

    @property
    def is_refused(self) -> bool:
        """Return whether nothing is tried, because too much has failed."""
        return self.breaker.state is not BreakerState.CLOSED

    def _segment(self, stream: int, at_ns: int) -> int:
        self._liveness.heard_ns = at_ns
        segment = self._segments[stream]
        if segment is None:
            segment = self._segments[stream] = self._segment_ids.next()
            proof = "sequence" if stream == BOOK else "connection"
            start_ns = (
                at_ns if stream == BOOK else at_ns - 1
            )  # a book by its first row, others by a subscription
            opened = SegmentOpened(
                segment, stream, start_ns, proof, self._liveness, covers_silence=stream == TRADE
            )
            self._buffer.open_segment(opened)
        return segment

    def _count(self, stream: int) -> int:
        self._received[stream] += 1
        return self._received[stream]

    def _facts(self, stream: int) -> StreamFacts:
        return StreamFacts(self.place.keys[stream], self.place.depth if stream == BOOK else 0, "simulator")

    def _now_s(self) -> float:
        return self._now_ns() / 1e9


def numbers_of(rows: Rows) -> set[int]:
    """Return the numbers of books and trades."""
    _, name = TABLES.get(rows.table, (None, None))
    return set() if name is None else {int(value) for value in rows.columns[name]}  # type: ignore[arg-type]


def spooled_numbers(bodies: Sequence[tuple[Rows, ...]]) -> Iterator[tuple[int, int]]:
    """Yield stream and number of the rows in a spool."""
    for body in bodies:
        for rows in body:
            if rows.table in TABLES:
                yield from ((TABLES[rows.table][0], number) for number in numbers_of(rows))


def states_of_bars(write_set: WriteSet) -> Iterator[dict[str, Any]]:
    """Yield the states of bars."""
    for rows in write_set.rows:
        if rows.table == "ohlcv":
            for values in zip(*rows.columns.values(), strict=True):
                yield dict(zip(rows.columns, values, strict=True))
