"""Build the store, the writer and the followers from the settings."""

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import structlog

from collector.buffer.buffer import Buffer
from collector.errors import SpoolError
from collector.events.bus import EventBus
from collector.events.notices import DatabaseState, PotentialHalt
from collector.settings import Settings
from collector.sinks.contract import SessionState, Sink, Store, WriteSet
from collector.sinks.registry import make_follower, make_store
from collector.writer.balance import Balance
from collector.writer.breaker import Breaker, BreakerState
from collector.writer.follower import Follower
from collector.writer.limits import Limits
from collector.writer.prepare import Preparation
from collector.writer.sources import BufferSource
from collector.writer.spool_file import SpoolFile
from collector.writer.thread import WriterThread

SPILL_SHARE = 0.5  # of the buffer, taken at one swap: the database does not keep up
SPOOLS = 9  # for so many collectors on one server, started in one folder

log = structlog.get_logger()


def store_of(settings: Settings) -> Store[object]:
    """Build the store of `database.url`, not opened."""
    return make_store(settings.database.url, settings.database)


def make_writer(
    settings: Settings,
    buffer: Buffer,
    preparation: Preparation,
    store: Sink,
    events: EventBus,
    *,
    session_id: str,
    followers: Sequence[Follower] = (),
    on_end: Callable[[], None],
) -> WriterThread:
    """Build the store's writer, not started; it offers committed write sets to the followers."""

    def on_change(state: BreakerState, cause: str) -> None:
        events.publish(DatabaseState(state.value, time.time_ns(), cause))

    def on_commit(write_set: WriteSet) -> None:
        for follower in followers:
            follower.offer(write_set)

    def on_refusal(error: SpoolError) -> None:
        code = "no_room" if error.full else "spool_refused"
        reason = "what is written now waits in memory; when that is full, it is dropped"
        events.publish(PotentialHalt("", code, reason, time.time_ns(), detail=str(error)))

    balance = Balance(session_id, buffer.key)
    behind_at_rows = max(1, int(buffer.capacity_rows * SPILL_SHARE))
    return WriterThread(
        BufferSource(buffer, preparation, balance, behind_at_rows=behind_at_rows),
        store,
        SpoolFile(*spool_paths(settings, store), max_bytes=settings.spool.max_bytes),
        _breaker(settings, on_change),
        balance,
        _limits(settings),
        session_id=session_id,
        on_commit=on_commit,
        on_end=on_end,
        on_refusal=on_refusal,
    )


def make_followers(
    settings: Settings, store: Sink, more: Sequence[Sink], session: SessionState, buffer: Buffer
) -> list[Follower]:
    """Build the configured followers, and one for each sink of `more`, not started."""
    configured = [
        (make_follower(one.url, settings.database), one.spool_max_bytes) for one in settings.followers
    ]
    given = [(sink, settings.spool.max_bytes) for sink in more]
    beside = spool_paths(settings, store)
    return [
        Follower(
            sink,
            SpoolFile(*follower_spool_paths(beside, sink), max_bytes=max_bytes),
            _breaker(settings, _log_changes(sink.name)),
            Balance(session.session_id, buffer.key),
            _limits(settings),
            session=session,
        )
        for sink, max_bytes in (*configured, *given)
    ]


def spool_paths(settings: Settings, store: Sink) -> list[Path]:
    """Return the possible paths of the spool; the first that no other collector holds is used."""
    if settings.spool.path is not None:
        return [Path(settings.spool.path).expanduser().absolute()]
    if store.file is not None:
        return [store.file.with_name(f"{store.file.name}-spool")]
    mark = _mark(store)
    names = [f"collector-{mark}-spool", *(f"collector-{mark}-spool-{n}" for n in range(2, SPOOLS + 1))]
    return _existing_first(Path(name).absolute() for name in names)


def follower_spool_paths(beside: Sequence[Path], sink: Sink) -> list[Path]:
    """Return the possible paths of a follower's spool, beside the store's."""
    return _existing_first(path.with_name(f"{path.name}-follower-{_mark(sink)}") for path in beside)


def _existing_first(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=lambda one: not one.exists())  # what one of them holds is to be brought in


def _mark(sink: Sink) -> str:
    address = sink.name.replace(":***@", "@")  # whether there is a password or not
    return hashlib.sha256(address.encode()).hexdigest()[:8]


def _limits(settings: Settings) -> Limits:
    return Limits(settings.writer, settings.spool, settings.database.call_timeout_s)


def _breaker(settings: Settings, on_change: Callable[[BreakerState, str], None]) -> Breaker:
    breaker = settings.breaker
    return Breaker(breaker.failures, settings.writer.retry, breaker.wait, on_change=on_change)


def _log_changes(name: str) -> Callable[[BreakerState, str], None]:
    def log_change(state: BreakerState, cause: str) -> None:
        if state is not BreakerState.HALF_OPEN:
            log.warning("follower.breaker", sink=name, state=state.value, cause=cause)

    return log_change
