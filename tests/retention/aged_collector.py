"""A collector whose days last seconds: the real writer, spool, database and archiver, and made-up rows.

Each stream counts its updates without end, over all lives of the collector. What was committed stands in
journals, written when the writer is told, so that a reader can know what must be there at any moment.
"""

import itertools
import os
import signal
import sys
import threading
import time
from array import array
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from collector.app.housekeeping import Housekeeping
from collector.app.jobs.jobs import Jobs
from collector.app.spool_places import owner_of, places_of
from collector.buffer.buffer import Buffer
from collector.database.tables import make_tables
from collector.events.batch import Liveness, SegmentClosed, SegmentOpened, StreamKey
from collector.features.market_rows import MarketRows
from collector.features.rows import BookRows
from collector.features.stream_facts import StreamFacts
from collector.ids import SegmentIds, new_id
from collector.retention.move import Retention, archive_slices
from collector.retention.stopping import Stop
from collector.retry import Backoff
from collector.sinks.contract import SessionState, WriteSet
from collector.sinks.sql.sink import SqlSink
from collector.sinks.sql.upkeep import tidy_sqlite
from collector.spool.files import SpoolFiles
from collector.writer.balance import Balance
from collector.writer.breaker import Breaker
from collector.writer.limits import Limits, SpoolLimits, WriterLimits
from collector.writer.prepare import Preparation
from collector.writer.sources import BufferSource
from collector.writer.thread import WriterThread

Integers = npt.NDArray[np.int64]

DAY_NS = 86_400_000_000_000
BEGIN_NS = 1_700_006_400_000_000_000 // DAY_NS * DAY_NS
BOOK, TRADE = "book.50", "trade"
TABLE = "l2_training_data_practical"
TOLD_AGAIN = 30  # trades, at each subscription
STEP_S = 0.02  # between two lots of updates
NUMBERED = {"book": (BOOK, "sequence"), "trades": (TRADE, "trade_id")}
LEVELS = [10.0, 1.0, 11.0, 1.0]


@dataclass(frozen=True)
class Life:
    """How one collector lives."""

    url: str
    folder: Path  # of journals, spools and the archive
    symbol: str
    began_ns: int  # on the wall clock, when the first day began
    day_s: float
    rows_a_second: float  # of each of its two streams
    kept_days: float = 1.0
    hot_hours: int | None = None  # in place of the days

    def now_ns(self) -> int:
        """Return the time in the world of short days."""
        return BEGIN_NS + int((time.time_ns() - self.began_ns) * 86_400 / self.day_s)

    def journals(self, channel: str) -> list[Path]:
        return sorted(self.folder.glob(f"{self.symbol[:3]}.{channel}.*.journal"))

    def last_to_note_ns(self) -> int:
        """Return when the youngest of those lives began that have committed anything."""
        pattern = f"*.{self.symbol[:3]}-*.journal"
        return max((int(path.stem.rpartition("-")[2]) for path in self.folder.glob(pattern)), default=0)

    def committed(self, channel: str) -> tuple[Integers, Integers]:
        """Return what is known to be committed: numbers, ascending, and when each was received first."""
        pairs = [np.zeros(0, dtype=np.int64)]
        for path in self.journals(channel):
            content = path.read_bytes()
            pairs.append(np.frombuffer(content[: len(content) // 16 * 16], dtype=np.int64))
        known = np.concatenate(pairs).reshape(-1, 2)
        known = known[np.argsort(known[:, 1], kind="stable")]
        numbers, first = np.unique(known[:, 0], return_index=True)
        return numbers, known[first, 1]


class AgedCollector:
    """One life of it: from `start` to `stop`, or to the end of its process."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self._keys = [StreamKey("bybit", life.symbol, channel) for channel in (BOOK, TRADE)]
        self._session = SessionState(new_id(), life.now_ns(), "0", "host", os.getpid(), "{}")
        self._buffer = Buffer(levels_per_row=1, max_rows=50_000, flush_rows=500)
        for key in self._keys:
            self._buffer.register(key)
        self.sink = SqlSink(life.url, auto_migrate=True, synchronous="OFF", call_timeout_s=20.0)
        self._began_ns = time.time_ns()  # in the names of our journals
        places = places_of(str(life.folder / f"{life.symbol[:3]}-spool"), self.sink)
        balance = Balance(self._session.session_id, self._buffer.key)
        facts = self._facts
        preparation = Preparation(
            self._session,
            self._buffer.key,
            BookRows(facts, 1).settle,
            most_rows=2_000,
            market_rows=MarketRows(facts).settle,
        )
        self.writer = WriterThread(
            BufferSource(self._buffer, preparation, balance, behind_at_rows=25_000, now_ns=life.now_ns),
            self.sink,
            SpoolFiles(places, max_bytes=1 << 28, owner=owner_of(self.sink, self.sink), synchronous="OFF"),
            Breaker(3, Backoff(0.05, 0.5), Backoff(0.05, 0.5)),
            balance,
            Limits(WriterLimits(interval_s=0.05), SpoolLimits(after_s=0.2), 20.0),
            session_id=self._session.session_id,
            on_commit=lambda write_set, *_: self._note(write_set),
        )
        stop = Stop()
        kept = Retention(life.kept_days, life.folder / "archive", slice_rows=500, hot_hours=life.hot_hours)
        submit = lambda one: self.writer.tasks.submit(partial(self.sink.maintain, one))  # noqa: E731
        housekeeping = Housekeeping(submit, every_s=min(life.day_s / 2, 2.0))  # lives are short
        housekeeping.add(
            "archive",
            "moves old rows into files",
            lambda: archive_slices(life.url, TABLE, kept, lambda: _date(life.now_ns()), stop),
            break_off=stop.ask,
        )
        if self.sink.file is not None:
            housekeeping.add("tidy", "tidies", lambda: tidy_sqlite(make_tables(TABLE), 500))
        self.jobs = Jobs(housekeeping.jobs)
        self._stopping = threading.Event()
        self._feed = threading.Thread(target=self._run, name=f"feed {life.symbol}", daemon=True)

    def start(self) -> None:
        """Start as a collector does after a crash, too."""
        self.sink.open()
        self.writer.open()
        self.sink.claim(self._session, self._keys)
        self.writer.start()
        self.jobs.start()
        self._feed.start()

    def stop(self) -> bool:
        """Stop in an orderly way; return whether everything is durable and accounted for."""
        self._stopping.set()
        self._feed.join()
        self.jobs.ask_to_stop()
        whole = self.writer.stop(60.0)
        self.jobs.stop()
        self.sink.close()
        return whole

    def _facts(self, stream: int) -> StreamFacts:
        return StreamFacts(self._keys[stream], 50 if stream == 0 else 0, "simulator")

    def _run(self) -> None:
        """Let updates come in, and the last trades again."""
        life, buffer, ids = self.life, self._buffer, SegmentIds()
        told, told_at_ns = life.committed(TRADE)
        now_ns = life.now_ns()
        # Numbers are the time, so that no life need know how far the ones before it came.
        number = now_ns // 1000
        liveness = Liveness(now_ns)
        segments = [ids.next(), ids.next()]
        buffer.open_segment(
            SegmentOpened(segments[1], 1, now_ns, "connection", liveness, covers_silence=True)
        )
        received = [0, 0]
        for again, at_ns in list(zip(told.tolist(), told_at_ns.tolist(), strict=True))[-TOLD_AGAIN:]:
            received[1] += 1
            trade = _trade(again, now_ns, at_ns, segments[1])
            buffer.append_trade(received[1], (10.0, 1.0), trade, str(again), None)
        due_s = time.monotonic()
        while not self._stopping.wait(STEP_S):
            count = int((time.monotonic() - due_s) * life.rows_a_second)
            due_s += count / life.rows_a_second
            for _ in range(count):
                at_ns = max(life.now_ns(), number * 1000 + 1000)
                number = at_ns // 1000
                if not received[0]:  # a book is verified by its first row
                    buffer.open_segment(SegmentOpened(segments[0], 0, at_ns, "sequence", liveness))
                received[0] += 1
                received[1] += 1
                buffer.append(0, received[0], at_ns, at_ns // 10**6, number, segments[0], 1, LEVELS)
                trade = _trade(number, at_ns, at_ns, segments[1])
                buffer.append_trade(received[1], (10.0, 1.0), trade, str(number), None)
            liveness.heard_ns = at_ns if count else liveness.heard_ns
        for segment in segments[not received[0] :]:
            buffer.close_segment(SegmentClosed(segment, "stop", "", None))

    def _note(self, write_set: WriteSet) -> None:
        """Note what is committed: its number and when it was received.

        It may be another collector's: who starts brings in every spool of the database that nobody holds.
        """
        for rows in write_set.rows:
            if rows.table in NUMBERED:
                channel, name = NUMBERED[rows.table]
                pairs = zip(map(int, rows.columns[name]), rows.columns["received_at_ns"], strict=True)
                symbol = str(rows.columns["symbol"][0])  # all are of one session, which has one
                whose = f"{symbol[:3]}.{channel}.{self.life.symbol[:3]}-{self._began_ns}"
                with (self.life.folder / f"{whose}.journal").open("ab", buffering=0) as file:
                    file.write(array("q", itertools.chain.from_iterable(pairs)).tobytes())


def _trade(number: int, received_at_ns: int, at_ns: int, segment: int) -> tuple[int, ...]:
    return received_at_ns, at_ns // 10**6, number, 1, segment, 1, 0


def _date(at_ns: int) -> datetime:
    return datetime.fromtimestamp(at_ns / 1e9, UTC)


def main(url: str, folder: str, symbol: str, *numbers: str) -> None:
    """Live until told to stop, or killed."""
    began_ns, day_s, rows_a_second, hot_hours = numbers
    life = Life(
        *(url, Path(folder), symbol, int(began_ns), float(day_s), float(rows_a_second)),
        hot_hours=int(hot_hours) or None,
    )
    one = AgedCollector(life)
    one.start()
    print("runs", flush=True)
    signal.sigwait({signal.SIGTERM})
    whole = one.stop()
    print("whole" if whole else f"not whole: {one.writer.failure}", flush=True)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    main(*sys.argv[1:])
