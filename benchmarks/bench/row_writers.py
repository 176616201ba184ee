"""Ways to write rows: the collector's own, and plain ones of ready values beside it."""

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import sqlalchemy as sa

from collector.buffer.buffer import Buffer
from collector.database.engine import make_engine
from collector.database.tables import DEFAULT_TABLE_NAME, ROW_COLUMNS, make_tables
from collector.events.batch import Batch, Liveness, SegmentOpened, StreamKey
from collector.features.rows import BookRows
from collector.features.stream_facts import StreamFacts
from collector.ids import SegmentIds, new_id
from collector.sinks.contract import SessionState
from collector.sinks.sql.sink import SqlSink
from collector.writer.prepare import Preparation

LEVELS = 10
ROWS_A_TRANSACTION = 5000


class RowWriter(Protocol):
    """One way to write the batches of a measure."""

    def ready(self, batch: Batch) -> Any:
        """Do what is not measured."""

    def write(self, ready: Any) -> None:
        """Commit a batch."""

    def count(self) -> int:
        """Count the rows in the database."""

    def close(self) -> None:
        """Let go of the database."""


class Collectors:
    """The collector's writer and sink: features, coverage, accounting, batch id, one transaction."""

    def __init__(self, url: sa.URL) -> None:
        self._url = url
        self._sink = SqlSink(url, auto_migrate=True)
        self._sink.open()
        session = SessionState(new_id(), time.time_ns(), "0", "host", 1, json.dumps({}))
        self._preparation = Preparation(session, key_of, book_rows().settle, most_rows=ROWS_A_TRANSACTION)

    def ready(self, batch: Batch) -> Batch:
        """Nothing to do ahead."""
        return batch

    def write(self, ready: Batch) -> None:
        """Prepare and commit."""
        for write_set in self._preparation.write_sets(ready, extend_alive=True):
            self._sink.write(write_set)

    def count(self) -> int:
        """Count the rows."""
        # The same copy of SQLite as the sink's: another one in this process would drop its locks.
        engine = make_engine(self._url, synchronous="FULL", busy_timeout_s=5.0)
        try:
            return _count(engine)
        finally:
            engine.dispose()

    def close(self) -> None:
        """Close the sink."""
        self._sink.close()


class Plain:
    """Rows that are ready, through the driver's `executemany`, one transaction a batch."""

    def __init__(self, url: sa.URL) -> None:
        self._engine = make_engine(url, synchronous="FULL", busy_timeout_s=5.0)
        self._table = make_tables(DEFAULT_TABLE_NAME).hot
        self._table.metadata.create_all(self._engine)
        self._rows = book_rows()
        place = "?" if self._engine.dialect.name == "sqlite" else "%s"
        places = ", ".join([place] * len(ROW_COLUMNS))
        self._text = f"INSERT INTO {self._table.name} ({', '.join(ROW_COLUMNS)}) VALUES ({places})"

    def ready(self, batch: Batch) -> Any:
        """Make the rows ahead, as tuples."""
        columns = self._rows.settle(batch).columns
        return list(zip(*(columns[name] for name in ROW_COLUMNS), strict=True))

    def write(self, ready: Any) -> None:
        """Commit them by `executemany` of the driver."""
        with self._engine.begin() as connection:
            connection.exec_driver_sql(self._text, ready)

    def count(self) -> int:
        """Count the rows."""
        return _count(self._engine)

    def close(self) -> None:
        """Close the engine."""
        self._engine.dispose()


class Core(Plain):
    """The same through SQLAlchemy Core, rows as dicts."""

    def ready(self, batch: Batch) -> Any:
        """Make the rows ahead, as dicts."""
        return [dict(zip(ROW_COLUMNS, row, strict=True)) for row in super().ready(batch)]

    def write(self, ready: Any) -> None:
        """Commit them by `Table.insert()`."""
        with self._engine.begin() as connection:
            connection.execute(self._table.insert(), ready)


WRITERS: Mapping[str, Callable[[sa.URL], RowWriter]] = {
    "executemany": Plain,
    "Core executemany": Core,
    "writer + sink": Collectors,
}
_segment_ids = SegmentIds()


def key_of(number: int) -> StreamKey:
    """Name a stream."""
    return StreamKey("bybit", f"X{number:03d}/USDT:USDT", "book.50")


def book_rows() -> BookRows:
    """Compute rows as the collector does."""
    return BookRows(lambda number: StreamFacts(key_of(number), 50, "simulator"), LEVELS)


def batches(rows: int, batch_rows: int, symbols: int) -> Iterator[Batch]:
    """Make what the buffer hands over, of random books."""
    drawn = random.Random(1)
    buffer = Buffer(levels_per_row=LEVELS, max_rows=batch_rows, flush_rows=batch_rows)
    now_ns, segments = time.time_ns(), []
    for number in range(symbols):
        buffer.register(key_of(number))
        segments.append(_segment_ids.next())
        buffer.open_segment(SegmentOpened(segments[number], number, now_ns, "sequence", Liveness(now_ns)))
    for row in range(rows):
        number = row % symbols
        bids = [100.0 - 0.1 * level for level in range(LEVELS)]
        asks = [100.1 + 0.1 * level for level in range(LEVELS)]
        sizes = [drawn.random() for _ in range(2 * LEVELS)]
        levels = [*bids, *sizes[:LEVELS], *asks, *sizes[LEVELS:]]
        at_ns, received = now_ns + row * 1000, row // symbols + 1
        buffer.append(number, received, at_ns, at_ns // 10**6, received, segments[number], LEVELS, levels)
        if row % batch_rows == batch_rows - 1:
            yield buffer.swap()


def _count(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(sa.text(f"SELECT COUNT(*) FROM {DEFAULT_TABLE_NAME}")).scalar_one())
