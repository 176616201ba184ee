"""Build the store, the writer, the followers and their heartbeats from the settings."""

import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from collector.app.breaker_log import BreakerLog
from collector.app.commit_measures import CommitMeasures
from collector.app.heartbeat import CALL_TIMEOUT_S, Heartbeats, heartbeat_url
from collector.app.known_database import KnownDatabase
from collector.app.reporting import Reporter
from collector.app.spool_places import dead_letters_place, follower_places_of, owner_of, places_of
from collector.aws import KINESIS, StreamAddress, make_client
from collector.buffer import Buffer
from collector.errors import SpoolError
from collector.events import Candle, DatabaseState, EventBus, L2Update, PotentialHalt, Trade
from collector.ids import new_id
from collector.masking import without
from collector.settings import FollowerSettings, Settings
from collector.sinks import (
    Nowhere,
    SessionState,
    Sink,
    SqlSink,
    Store,
    WriteSet,
    make_follower,
    make_store,
)
from collector.spool import AnySpool, NoSpool, SpoolFiles
from collector.version import __version__
from collector.writer import (
    Balance,
    Breaker,
    BreakerState,
    BufferSource,
    Follower,
    Limits,
    Preparation,
    WriterThread,
)

UNSTORED_S = 1.0  # where nothing is stored, what came is only counted, and that can wait
SPILL_SHARE = 0.5  # of the buffer, taken at one swap: the database does not keep up


def store_of(settings: Settings) -> Store[object]:
    """Build the store of `database.url`, not opened."""
    return make_store(settings.database.url, settings.database)


def new_session(wanted: str, *, started_ns: int | None = None) -> SessionState:
    """Make the session of this process; `wanted` says as JSON what it is for."""
    return SessionState(
        session_id=new_id(),
        started_ns=time.time_ns() if started_ns is None else started_ns,
        version=__version__,
        host=socket.gethostname(),
        pid=os.getpid(),
        wanted=wanted,
    )


def make_writer(
    settings: Settings,
    buffer: Buffer,
    preparation: Preparation,
    store: Store[object],
    events: EventBus,
    *,
    session_id: str,
    identity: Callable[[], str],  # of the database, also of one that is away
    followers: Sequence[Follower] = (),
    measures: CommitMeasures,
    on_end: Callable[[], None],
) -> WriterThread:
    """Build the store's writer, not started; it offers committed write sets to the followers."""
    balance = Balance(session_id, buffer.key)

    def on_change(state: BreakerState, cause: str) -> None:
        rows = buffer.rows + balance.rows_in_spool
        events.publish(DatabaseState(state.value, time.time_ns(), cause, rows))

    def on_commit(write_set: WriteSet, took_s: float, was_spooled: bool) -> None:
        measures.committed(write_set, took_s)
        for follower in followers:
            follower.offer(write_set, was_spooled=was_spooled)

    def on_refusal(error: SpoolError) -> None:
        code = "no_room" if error.full else "spool_refused"
        reason = "what is written now waits in memory; when that is full, it is dropped"
        events.publish(PotentialHalt("", code, reason, time.time_ns(), detail=str(error)))

    behind_at_rows = max(1, int(buffer.capacity_rows * SPILL_SHARE))
    return WriterThread(
        BufferSource(buffer, preparation, balance, behind_at_rows=behind_at_rows),
        store,
        _spools_of(settings, store, identity),
        _breaker(settings, on_change),
        balance,
        _unhurried(_limits(settings)) if isinstance(store, Nowhere) else _limits(settings),
        session_id=session_id,
        gets_on=lambda within_s: isinstance(store, SqlSink) and store.gets_on(within_s),
        on_commit=on_commit,
        on_end=on_end,
        on_refusal=on_refusal,
        heard=partial(heard, events, buffer),
    )


def make_followers(
    settings: Settings,
    store: Store[object],
    more: Sequence[Sink],
    session: SessionState,
    buffer: Buffer,
    events: EventBus,
    *,
    identity: Callable[[], str],  # of the database, also of one that is away
) -> list[Follower]:
    """Build the configured followers, and one for each sink of `more`, not started."""
    configured = [(follower_of(settings, one, store), one.spool_max_bytes) for one in settings.followers]
    given = [(sink, settings.spool.max_bytes) for sink in more]
    beside = places_of(settings.spool.path, store)

    def follower(sink: Sink, max_bytes: int) -> Follower:
        balance = Balance(session.session_id, buffer.key)
        told = BreakerLog("follower.breaker", sink=sink.name)
        return Follower(
            sink,
            SpoolFiles(
                follower_places_of(beside, sink), max_bytes=max_bytes, owner=owner_of(store, sink, identity)
            ),
            _breaker(settings, lambda state, cause: told.changed(state.value, cause, balance.rows_in_spool)),
            balance,
            _limits(settings),
            session=session,
            heard=partial(heard, events, buffer),
        )

    return [follower(sink, max_bytes) for sink, max_bytes in (*configured, *given)]


def follower_of(settings: Settings, follower: FollowerSettings, store: Store[object]) -> Sink:
    """Build a configured follower, not opened; what it refuses for good goes beside the store's spool."""
    stream = follower.stream
    if stream.dead_letters is None:
        place = dead_letters_place(places_of(settings.spool.path, store))
        stream = replace(stream, dead_letters=str(place))
    return make_follower(follower.url, settings.database, stream)


def heartbeats_of(settings: Settings, session: SessionState) -> Iterator[Reporter]:
    """Yield what puts heartbeats into the streams that followers name, each stream once."""
    seen: set[str] = set()
    secrets = settings.secrets()
    for follower in settings.followers:
        wanted = follower.heartbeat
        url = None if wanted is None else heartbeat_url(follower.url, wanted.stream)
        if wanted is None or url is None or url in seen:
            continue
        seen.add(url)
        into = StreamAddress.parse(url)
        connect = partial(make_client, KINESIS, into.region, into.endpoint, call_timeout_s=CALL_TIMEOUT_S)
        heartbeats = Heartbeats(
            into.stream, session, wanted.every_s, connect, lambda text: without(text, secrets)
        )
        yield Reporter(f"heartbeat {into}", wanted.every_s, heartbeats, heartbeats.close)


def known_database_of(settings: Settings, store: Store[object]) -> KnownDatabase:
    """Build what knows the store's database while it is away, if it was open here before."""
    return KnownDatabase(places_of(settings.spool.path, store), store, settings.database.table_name)


def _spools_of(settings: Settings, store: Store[object], identity: Callable[[], str]) -> AnySpool:
    """Build the spool of the store, not opened: what it writes, and what others left."""
    if isinstance(store, Nowhere):
        return NoSpool()
    places = places_of(settings.spool.path, store)
    return SpoolFiles(places, max_bytes=settings.spool.max_bytes, owner=owner_of(store, store, identity))


def heard(events: EventBus, buffer: Buffer) -> int | None:
    """Return how many rows came so far; None while nobody waits for updates, trades or bars."""
    return buffer.came if any(events.wanted(kind) for kind in (L2Update, Trade, Candle)) else None


def _limits(settings: Settings) -> Limits:
    return Limits(settings.writer, settings.spool, settings.database.call_timeout_s)


def _unhurried(limits: Limits) -> Limits:
    interval_s = max(limits.writer.interval_s, UNSTORED_S)
    return replace(limits, writer=replace(limits.writer, interval_s=interval_s))


def _breaker(settings: Settings, on_change: Callable[[BreakerState, str], None]) -> Breaker:
    breaker = settings.breaker
    return Breaker(breaker.failures, settings.writer.retry, breaker.wait, on_change=on_change)
