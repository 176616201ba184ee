"""A month of retention, a day after the other: the file stays as large as it is, and nothing is lost."""

import itertools
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from collector import load_features, load_levels, load_trades
from collector.buffer.buffer import Buffer
from collector.events.batch import Liveness, SegmentClosed, SegmentOpened, StreamKey
from collector.features.market_rows import MarketRows
from collector.features.rows import BookRows
from collector.features.stream_facts import StreamFacts
from collector.ids import SegmentIds, new_id
from collector.query.audit import run_audit
from collector.retention.move import Retention, archive_slices
from collector.sinks.contract import SessionState
from collector.sinks.sql.sink import SqlSink
from collector.sinks.sql.upkeep import Slice, prune_batches, tidy_sqlite
from collector.writer.prepare import Preparation

sys.path.insert(0, str(Path(__file__).parent))
from archiving import DAY_NS, MIDNIGHT_NS, TABLE, ask, left

sys.path.insert(0, str(Path(__file__).parents[1]))
from ready_tables import lay_tables

pytest.importorskip("pyarrow")
SEED = 20_261_129
SYMBOLS = ("BTC/USDT", "ETH/USDT")
LOTS = 24  # a day, an hour each
KEPT_DAYS = 1.0
STEADY_AFTER = 3  # days: then as much is moved as comes
TOLD_AGAIN = 20  # trades, at each start
SLICE_ROWS = 500


class Month:
    """A collector's writer and housekeeping in one thread, at the time that it is told."""

    def __init__(self, folder: Path, rows_a_day: int) -> None:
        self.path = folder / "live.db"
        self._folder = folder
        self._a_lot = rows_a_day // LOTS // len(SYMBOLS)
        self._draw = random.Random(SEED)
        self._ids = SegmentIds()
        self._keys = [StreamKey("bybit", name, one) for name in SYMBOLS for one in ("book.50", "trade")]
        self._number = 0
        self.stored: dict[int, list[int]] = {stream: [] for stream in range(len(self._keys))}
        self._trade_ns: dict[int, int] = {}

    def days(self, count: int) -> Iterator[int]:
        """Live so many days, with a new start every fifth; yield the size of the database after each."""
        for day in range(count):
            midnight_ns = MIDNIGHT_NS + day * DAY_NS
            if day % 5 == 0:
                self._start(midnight_ns)
            for lot in range(LOTS):
                self._live(midnight_ns + lot * DAY_NS // LOTS, DAY_NS // LOTS)
            self._keep_house(midnight_ns + DAY_NS)
            size = self._sink.maintain(size_bytes)
            if day % 5 == 4 or day == count - 1:
                self._stop(midnight_ns + DAY_NS)
            yield size

    def _start(self, at_ns: int) -> None:
        self._sink = SqlSink(lay_tables(str(self.path)), auto_migrate=True, synchronous="OFF")
        self._sink.open()
        self._session = SessionState(new_id(), at_ns, "0", "host", 1, "{}")
        self._sink.claim(self._session, self._keys)
        self._buffer = Buffer(levels_per_row=10, max_rows=100_000, flush_rows=100_000)
        self._received = [self._buffer.register(key) * 0 for key in self._keys]
        self._preparation = Preparation(
            self._session,
            self._buffer.key,
            BookRows(self._facts, 10, "deep").settle,
            most_rows=2_000,
            market_rows=MarketRows(self._facts).settle,
        )
        self._liveness = Liveness(at_ns)
        self._segments = [self._ids.next() for _ in self._keys]
        for stream in range(1, len(self._keys), 2):
            self._open(stream, at_ns)
            for again in self.stored[stream][-TOLD_AGAIN:]:
                self._trade(stream, again, at_ns)

    def _open(self, stream: int, at_ns: int) -> None:
        is_trade = stream % 2 == 1
        proof = "connection" if is_trade else "sequence"
        segment = self._segments[stream]
        self._buffer.open_segment(
            SegmentOpened(segment, stream, at_ns, proof, self._liveness, covers_silence=is_trade)
        )

    def _live(self, begin_ns: int, for_ns: int) -> None:
        """Let a lot of updates come in, and write them."""
        for at_ns in sorted(self._draw.randrange(begin_ns, begin_ns + for_ns) for _ in range(self._a_lot)):
            for stream in range(0, len(self._keys), 2):
                self._number += 1
                if not self._received[stream]:
                    self._open(stream, at_ns)
                self._received[stream] += 1
                self.stored[stream].append(self._number)
                book = [price + self._draw.random() for price in BOOK]
                place = (self._received[stream], at_ns, at_ns // 10**6, self._number)
                self._buffer.append(stream, *place, self._segments[stream], 10, book)
                self.stored[stream + 1].append(self._number)
                self._trade_ns[self._number] = at_ns
                self._trade(stream + 1, self._number, at_ns)
        self._liveness.heard_ns = begin_ns + for_ns - 1
        self._write(is_last=False)

    def _trade(self, stream: int, number: int, at_ns: int) -> None:
        self._received[stream] += 1
        integers = (at_ns, self._trade_ns[number] // 10**6, number, stream, self._segments[stream], 1, 0)
        self._buffer.append_trade(self._received[stream], (10.0, 1.0), integers, str(number), None)

    def _write(self, *, is_last: bool) -> None:
        for one in self._preparation.write_sets(self._buffer.swap(), extend_alive=True, is_last=is_last):
            self._sink.write(one)

    def _stop(self, at_ns: int) -> None:
        for segment in self._segments:
            self._buffer.close_segment(SegmentClosed(segment, "stop", "", None))
        self._write(is_last=True)
        self._sink.write(self._preparation.ended(at_ns, "stop"))
        self._sink.close()

    def _keep_house(self, at_ns: int) -> None:
        """Do all chores of a night, slice by slice, as the writer does them."""
        tables, now = self._sink._tables, datetime.fromtimestamp(at_ns / 1e9, UTC)
        kept = Retention(KEPT_DAYS, self._folder / "archive", SLICE_ROWS)
        chores: tuple[Iterator[Slice], ...] = (
            prune_batches(tables, at_ns - DAY_NS, self._session.session_id, SLICE_ROWS),
            archive_slices(str(self.path), TABLE, kept, lambda: now),
            tidy_sqlite(tables, SLICE_ROWS),
        )
        for one in itertools.chain(*chores):
            self._sink.maintain(one)

    def _facts(self, stream: int) -> StreamFacts:
        return StreamFacts(self._keys[stream], 0 if stream % 2 else 50, "simulator")


BOOK = [
    *(100.0 - 2 * place for place in range(10)),
    *[1.0] * 10,
    *(102.0 + 2 * place for place in range(10)),
    *[1.0] * 10,
]


def size_bytes(connection: sa.Connection) -> int:
    """Return the size of the file, its log included once it is emptied."""
    return int(
        connection.exec_driver_sql(
            "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        ).scalar_one()
    )


def check_all_is_there(month: Month, days: int) -> str:
    """Hold hot and archived rows together against what came."""
    url = str(month.path)
    for place, symbol in enumerate(SYMBOLS):
        books, trades = month.stored[2 * place], month.stored[2 * place + 1]
        for load in (load_features, load_levels):
            frame: Any = load(url, symbol, columns=["sequence"])
            assert np.array_equal(frame["sequence"].astype("int64"), books)
        frame = load_trades(url, symbol, columns=["trade_id"])
        assert np.array_equal(frame["trade_id"].astype("int64"), trades)
    found = run_audit(url)
    assert found.passed, found.findings
    counted = "FROM collector_archive WHERE deleted_ns IS NOT NULL"
    assert ask(url, f"SELECT count(DISTINCT date) {counted}") == days - KEPT_DAYS
    archived, hot = ask(url, f"SELECT sum(rows) {counted}"), left(url)
    assert hot < 2 * KEPT_DAYS * len(month.stored[0]) * len(SYMBOLS) / days
    return f"{archived:,} rows in files, {hot:,} of the book in the table"


@pytest.mark.parametrize(
    ("days", "rows_a_day"), [(5, 240), pytest.param(31, 20_000, marks=pytest.mark.proof)]
)
@pytest.mark.timeout(900)
def test_a_month_of_retention_keeps_the_file_flat_and_every_row(
    tmp_path: Path, days: int, rows_a_day: int
) -> None:
    month = Month(tmp_path, rows_a_day)
    sizes = list(month.days(days))
    told = check_all_is_there(month, days)
    steady = sizes[STEADY_AFTER:]
    print(f"{days} days of {rows_a_day} book rows and as many trades: {told}; bytes after each day {sizes}")
    assert max(steady) < 1.1 * min(steady)
    assert month.path.stat().st_size <= sizes[-1]
