"""Read a stand-in stream into a real database, as the command does."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collector.consume.consumer import Consumer
from collector.consume.dead_letters import DeadLetters
from collector.consume.limits import ConsumeLimits
from collector.retry import Backoff
from collector.sinks.avro import Form, records_of
from collector.sinks.contract import SessionState, WriteSet
from collector.sinks.sql.sink import SqlSink
from collector.sinks.sql.stream_store import StreamStore

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from ready_tables import lay_tables
from stand_in_stream import StandInStream

FAST = ConsumeLimits(call_every_s=0.0, poll_every_s=0.0, records_a_call=7, retry=Backoff(0.0, 0.0))


def fill(stream: StandInStream, write_sets: Sequence[WriteSet], form: Form = Form.BATCH) -> None:
    """Put the records of write sets into a stream."""
    for write_set in write_sets:
        for record in records_of(write_set, form):
            stream.put(record.partition_key, record.data)


@dataclass
class Reading:
    """A consumer at work, and what it writes to."""

    consumer: Consumer
    sink: SqlSink
    store: StreamStore

    @property
    def counts(self) -> Any:
        return self.consumer.progress.counts

    def read_all(self) -> None:
        """Read until nothing is left."""
        self.consumer.run(idle_s=0.0)


@contextmanager
def reading_stream(
    stream: StandInStream,
    url: str,
    dead_letters: Path,
    *,
    limits: ConsumeLimits = FAST,
    begin: str = "TRIM_HORIZON",
    wait: Callable[[float], bool] = lambda _seconds: False,
    now_ns: Callable[[], int] | None = None,
    now_s: Callable[[], float] | None = None,
    wrap: Callable[[StreamStore], Any] = lambda store: store,
) -> Iterator[Reading]:
    sink = SqlSink(lay_tables(url) if url.startswith("sqlite") else url, synchronous="OFF", auto_migrate=True)
    store = StreamStore(sink, stream.source())
    letters = DeadLetters(dead_letters)
    letters.open()
    sink.open()
    try:
        store.claim(SessionState(f"reader-{id(sink)}", 1, "0", "host", 1, '{"consume": "it"}'))
        clocks: dict[str, Any] = {"now_ns": now_ns or (lambda: stream.now_ns)}
        if now_s is not None:
            clocks["now_s"] = now_s
        consumer = Consumer(stream, wrap(store), letters, limits, begin=begin, wait=wait, **clocks)
        yield Reading(consumer, sink, store)
    finally:
        sink.close()
