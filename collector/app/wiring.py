"""Put the writer together from the settings."""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

from collector.buffer.buffer import Buffer
from collector.database.url import database_url, sqlite_path
from collector.errors import SpoolError
from collector.events.bus import EventBus
from collector.events.notices import DatabaseState, PotentialHalt
from collector.retry import Backoff
from collector.settings import Settings
from collector.sinks.contract import Sink
from collector.writer.balance import Balance
from collector.writer.breaker import Breaker, BreakerState
from collector.writer.prepare import Preparation
from collector.writer.spool_file import SpoolFile
from collector.writer.thread import Limits, WriterThread

SPILL_SHARE = 0.5  # of the buffer, taken at one swap: the database does not keep up
SPOOLS = 9  # for so many collectors on one server, started in one folder


def make_writer(
    settings: Settings,
    buffer: Buffer,
    preparation: Preparation,
    sink: Sink,
    events: EventBus,
    *,
    session_id: str,
    on_end: Callable[[], None],
) -> WriterThread:
    """Return the writer, not started."""

    def on_change(state: BreakerState, cause: str) -> None:
        events.publish(DatabaseState(state.value, time.time_ns(), cause))

    def on_refusal(error: SpoolError) -> None:
        code = "no_room" if error.full else "spool_refused"
        reason = "what is written now waits in memory; when that is full, it is dropped"
        events.publish(PotentialHalt("", code, reason, time.time_ns(), detail=str(error)))

    writer, breaker = settings.writer, settings.breaker
    return WriterThread(
        buffer,
        preparation,
        sink,
        SpoolFile(*spool_paths(settings), max_bytes=settings.spool.max_bytes),
        Breaker(
            breaker.failures,
            Backoff(writer.retry_base_s, writer.retry_max_s),
            Backoff(breaker.wait_base_s, breaker.wait_max_s),
            on_change=on_change,
        ),
        Balance(session_id, buffer.key),
        Limits(
            interval_s=writer.interval_s,
            spill_after_s=settings.spool.after_s,
            spill_at_rows=max(1, int(buffer.capacity_rows * SPILL_SHARE)),
            call_timeout_s=settings.database.call_timeout_s,
        ),
        session_id=session_id,
        on_end=on_end,
        on_refusal=on_refusal,
    )


def spool_paths(settings: Settings) -> list[Path]:
    """Say where the spool may be; the first place that nobody holds is taken."""
    if settings.spool.path is not None:
        return [Path(settings.spool.path).expanduser().absolute()]
    url = database_url(settings.database.url)
    path = sqlite_path(url)
    if path is not None:
        return [path.with_name(f"{path.name}-spool")]
    server = url.set(password=None).render_as_string()
    mark = hashlib.sha256(server.encode()).hexdigest()[:8]
    names = [f"collector-{mark}-spool", *(f"collector-{mark}-spool-{n}" for n in range(2, SPOOLS + 1))]
    paths = [Path(name).absolute() for name in names]
    return sorted(paths, key=lambda one: not one.exists())  # what one of them holds is to be brought in
