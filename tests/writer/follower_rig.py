"""A store with its writer, and a follower behind it: real threads, real files, an SQLite database."""

import sqlite3
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from collector.events.batch import StreamKey
from collector.retry import Backoff
from collector.sinks.contract import AccountingState, Rows, SegmentState, SessionState, Sink, WriteSet
from collector.sinks.sql.sink import SqlSink
from collector.spool.file import SpoolFile
from collector.writer.balance import Balance
from collector.writer.breaker import Breaker
from collector.writer.follower import Follower
from collector.writer.limits import Limits, SpoolLimits, WriterLimits
from collector.writer.sources import Inbox
from collector.writer.thread import WriterThread

sys.path.insert(0, str(Path(__file__).parents[1]))
from ready_tables import lay_tables

BTC = StreamKey("bybit", "BTC/USDT:USDT", "book.50")
SPOOL_BYTES = 1 << 24


def wait_until(condition: Callable[[], object], what: str, deadline_s: float = 30.0) -> None:
    """Wait for a condition; fail, saying for what, when it does not come."""
    until_s = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < until_s, f"not within {deadline_s:g} s: {what}"
        time.sleep(0.005)


def write_set(number: int, rows: int = 4, *, session: str = "session-1", filler: str = "") -> WriteSet:
    """Return the write set of a number: its rows go on counting where the last one ended."""
    first = number * rows
    sequences = list(range(first, first + rows))
    columns: dict[str, list[Any]] = {
        "timestamp": [f"2026-01-01T00:00:00.{one:06}Z" for one in sequences],
        "symbol": [BTC.symbol] * rows,
        "exchange": [BTC.exchange] * rows,
        "data_source": [f"simulator{filler}"] * rows,
        "sequence": sequences,
        "received_at_ns": [1_000 + one for one in sequences],
        "segment_id": [7] * rows,
        "depth": [50] * rows,
    }
    segment = SegmentState(
        7, session, *BTC, 1_000 + first, 999 + first + rows, 999 + first + rows,
        first, first + rows - 1, rows, "sequence",
    )  # fmt: skip
    account = AccountingState(session, *BTC, received=rows, written=rows)
    state = SessionState(session, 1_000, "0", "host", 1, "{}")
    return WriteSet(f"batch-{number:04}", state, (Rows("book", columns),), (segment,), (account,))


class Rig:
    """Offers write sets to the store's writer, as the buffer would."""

    def __init__(
        self,
        folder: Path,
        sink: Sink,
        *,
        session: str = "session-1",
        spool_max_bytes: int = SPOOL_BYTES,
        most_rows: int = 400,
        call_timeout_s: float = 30.0,
    ) -> None:
        limits = Limits(WriterLimits(interval_s=0.02), SpoolLimits(after_s=0.1), call_timeout_s)
        state = SessionState(session, 1_000, "0", "host", 1, "{}")
        self.path = folder / "store.db"
        self.store = SqlSink(lay_tables(str(self.path)), synchronous="OFF", busy_timeout_s=0.05)
        self.follower = Follower(
            sink,
            SpoolFile(folder / "follower-spool", max_bytes=spool_max_bytes, synchronous="OFF"),
            breaker(),
            Balance(session, lambda _number: BTC),
            limits,
            session=state,
            most_rows=most_rows,
        )
        self.balance = Balance(session, lambda _number: BTC)
        self.inbox = Inbox(self.balance, most_rows=1_000_000, behind_at_rows=1_000_000)
        self.writer = WriterThread(
            self.inbox,
            self.store,
            SpoolFile(folder / "store-spool", max_bytes=SPOOL_BYTES, synchronous="OFF"),
            breaker(),
            self.balance,
            limits,
            session_id=session,
            on_commit=lambda write_set, _took_s, was_spooled: self.follower.offer(
                write_set, was_spooled=was_spooled
            ),
        )
        self._session = state

    def start(self) -> "Rig":
        self.store.open()
        self.store.claim(self._session, ())
        self.follower.open()
        self.follower.start()
        self.writer.start()
        return self

    def give(self, numbers: Iterable[int], **options: Any) -> None:
        """Offer the write sets of these numbers, and wait until the store has committed them."""
        wanted = [write_set(number, **options) for number in numbers]
        before = self.writer.committed.batches
        for one in wanted:
            assert self.inbox.offer(one)
        wait_until(lambda: self.writer.committed.batches == before + len(wanted), "committed to the store")

    def stop(self, follower_timeout_s: float = 20.0) -> None:
        """Stop the store's writer, then the follower."""
        assert self.writer.stop(20.0)
        self.follower.ask_to_stop()
        self.follower.stop(follower_timeout_s)
        self.store.close()

    def batches(self) -> list[str]:
        """Return the batches that the store has, in the order of their commits."""
        return [name for (name,) in ask(self.path, "SELECT batch_id FROM collector_batches ORDER BY rowid")]

    def sequences(self) -> list[int]:
        """Return the rows that the store has, in their order."""
        query = "SELECT sequence FROM l2_training_data_practical ORDER BY id"
        return [number for (number,) in ask(self.path, query)]


def breaker() -> Breaker:
    return Breaker(2, Backoff(0.01, 0.02), Backoff(0.02, 0.05))


def ask(path: Path, question: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(question).fetchall()
