"""Build what reads a stream into a database, from the settings."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from collector.app.wiring_writer import new_session, store_of
from collector.consume import ConsumeLimits, Consumer, DeadLetters, KinesisStream, Progress
from collector.errors import CollectorError, DatabaseAway, SinkError, UserError
from collector.loggers import get_logger
from collector.settings import Settings
from collector.sinks import SessionState, SqlSink, StreamStore
from collector.writer import Watchdog

DAY_S = 86_400.0

log = get_logger(__name__)


@contextmanager
def consuming(
    settings: Settings,
    url: str,
    *,
    begin: str,
    dead_letters: Path,
    wait: Callable[[float], bool],
    on_progress: Callable[[Progress], None] = lambda _progress: None,
    limits: ConsumeLimits | None = None,
) -> Iterator[Consumer]:
    """Yield a consumer whose stream and database are open; in the end its session is closed.

    Raises UserError: DatabaseAway where waiting may help; AwsError for what the stream says.
    """
    kept = settings.housekeeping
    limits = limits or ConsumeLimits(
        prune_every_s=kept.every_s, prune_rows=kept.slice_rows, batches_kept_s=kept.batches_days * DAY_S
    )
    sink = store_of(settings)
    if not isinstance(sink, SqlSink):
        raise UserError(f"a stream is read into SQLite or PostgreSQL, not into {sink.name}")
    letters = DeadLetters(dead_letters)
    letters.open()
    watchdog = Watchdog([(settings.database.call_timeout_s, _abort(sink, settings.database.call_timeout_s))])
    stream = KinesisStream(url, call_timeout_s=limits.call_timeout_s)
    try:
        store = StreamStore(sink, stream.source())
        watchdog.start()
        session = new_session(json.dumps({"consume": stream.address}))
        try:
            with watchdog.watched():
                sink.open()
                store.claim(session)
        except SinkError as error:
            raise DatabaseAway(str(error)) from error
        log.info("consume.began", stream=store.source, database=sink.name, session=session.session_id)
        yield Consumer(
            stream,
            store,
            letters,
            limits,
            begin=begin,
            wait=wait,
            watched=watchdog.watched,
            on_progress=on_progress,
        )
        _end(store, session)
    finally:
        watchdog.stop()
        sink.close()
        stream.close()


def _abort(sink: SqlSink, after_s: float) -> Callable[[], None]:
    def abort() -> None:
        if not sink.gets_on(after_s):
            log.warning("database.call_broken_off", after_s=after_s)
            sink.abort()

    return abort


def _end(store: StreamStore, session: SessionState) -> None:
    """Say that the session ended in order; where the database is away, the next opening ends it."""
    try:
        store.claim(replace(session, ended_ns=time.time_ns(), end_cause="stop"))
    except CollectorError as error:
        log.warning("consume.end_not_stored", error=str(error))
