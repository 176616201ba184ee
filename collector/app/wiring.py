"""Build a collector from the settings. Only files named `wiring` read Settings; the parts get their share."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from collector.app.alarm import HaltAlarm
from collector.app.breaker_log import BreakerLog
from collector.app.claims import Claims
from collector.app.collector import Collector, Parts
from collector.app.commit_measures import CommitMeasures
from collector.app.connection_log import ConnectionLog
from collector.app.dead_threads import DeadThreads
from collector.app.log_thread import LogThread
from collector.app.logs import log_dead_thread, log_events, log_failed_subscriber, log_plugins
from collector.app.machine import Machine
from collector.app.monitor import Monitor
from collector.app.recovery import Recovery
from collector.app.reporting import Reporters
from collector.app.request_log import RequestLog
from collector.app.trouble_log import TroubleLog
from collector.app.view import Watch
from collector.app.wakeup import SignalSafeEvent
from collector.app.wiring_feeds import facts_of, levels_per_row, make_feeds
from collector.app.wiring_jobs import jobs_of
from collector.app.wiring_writer import (
    heartbeats_of,
    known_database_of,
    make_followers,
    make_writer,
    new_session,
    store_of,
)
from collector.book import find_kernel
from collector.buffer import Buffer
from collector.clock import Clock
from collector.errors import UserError
from collector.events import EventBus, StreamKey
from collector.exchanges import ccxt_id_of, exchange_of
from collector.features import BookRows, MarketRows, TradeBars, unstored_books, unstored_market
from collector.ids import SegmentIds
from collector.live import PATIENCE_S, Feed, StreamThread
from collector.log import look_at_file
from collector.loggers import get_logger
from collector.network import import_exchange
from collector.settings import ExchangeSettings, Settings
from collector.sinks import Nowhere, SessionState, Sink, Store
from collector.writer import KINDS, EventLog, Follower, Preparation, WriterThread

log = get_logger(__name__)

ROWS_A_TRANSACTION = 5000  # a longer one would hold the database, and a retry, for too long
COUNTED_S = 1.0  # how often a listener counts what came: nothing waits to be stored


def make_collector(
    settings: Settings,
    *,
    events: EventBus | None = None,
    store: Store[object] | None = None,  # instead of the one that database.url means
    followers: Sequence[Sink] = (),  # further sinks, beside those that are configured
    on_end: Callable[[], None] = lambda: None,  # a thread has ended, by itself or because it was asked to
    patience_s: float = PATIENCE_S,  # before an exchange from which nothing comes is reported
) -> Collector:
    """Build a collector, not started. Raises UserError when there is nothing to collect."""
    exchanges = [name for name, exchange in settings.exchanges.items() if exchange.is_collected]
    if not exchanges:
        raise UserError(
            "nothing to collect: no symbol is configured; name some with --symbols BTC/USDT:USDT, "
            "SYMBOLS=BTCUSDT in the environment, or exchanges.<name>.symbols in a file for --config"
        )
    for name in exchanges:
        import_exchange(ccxt_id_of(name))
    log_plugins()
    _tell_unused_keys(settings, exchanges)
    bus = events or EventBus(log_failed_subscriber)
    watch = _observe(settings, bus)
    buffer = Buffer(
        levels_per_row=levels_per_row(settings),
        max_rows=settings.buffer.max_rows,
        max_bytes=settings.buffer.max_bytes,
        flush_rows=settings.writer.batch_rows,
    )
    kernel, keeper = find_kernel(settings.stream.kernel)
    log.info("books.kept", by=keeper)
    session = new_session(_wanted_text(settings, keeper))
    store = store or store_of(settings)
    known = known_database_of(settings, store)
    following = make_followers(settings, store, followers, session, buffer, known.identity)
    ended, segment_ids, dead = SignalSafeEvent(), SegmentIds(), DeadThreads(bus)

    def thread_ended() -> None:
        dead.look(websocket=stream, writer=writer)
        ended.ring()
        on_end()

    def stream_ended() -> None:
        if stream.failure is not None:  # the writer tells its own
            log_dead_thread("websocket", stream.failure)
        thread_ended()

    def feeds(clock: Clock) -> Sequence[Feed]:
        return make_feeds(
            settings,
            buffer,
            clock=clock,
            events=bus,
            new_segment_id=segment_ids.next,
            claim=claims.ask,
            patience_s=patience_s,
            kernel=kernel,
        )

    stream = StreamThread(feeds, bus, stream_ended, coalesce_ms=settings.stream.coalesce_ms)
    measures = CommitMeasures()
    writer = make_writer(
        settings,
        buffer,
        _preparation(settings, buffer, session, store, bus, stream),
        store,
        bus,
        session_id=session.session_id,
        identity=known.identity,
        followers=following,
        measures=measures,
        on_end=thread_ended,
    )
    claims = Claims(_named_streams(settings), session, store, writer.tasks.submit, buffer.hurry)
    monitor = Monitor(
        settings.health,
        Machine(_written_files(store, writer, following)),
        tuple(settings.exchanges),
        bus.publish,
    )
    jobs = jobs_of(
        settings, store, session, writer.tasks.submit, bus, monitor, stream, segment_ids, following
    )
    parts = Parts(
        session,
        bus,
        watch,
        buffer,
        store,
        known,
        writer,
        tuple(following),
        stream,
        claims,
        jobs,
        measures,
        monitor,
        Reporters(*heartbeats_of(settings, session)),
        _log_thread(bus, stream, monitor),
        ended,
    )
    return Collector(
        parts,
        exchanges=tuple(settings.exchanges),
        database_url=store.name if isinstance(store, Nowhere) else settings.database.url,
        table_name=settings.database.table_name,
        deadline_s=settings.shutdown.deadline_s,
    )


def make_listener(
    settings: Settings, *, events: EventBus, on_end: Callable[[], None] = lambda: None
) -> Collector:
    """Build a collector that publishes what it sees and stores nothing: no database, no file, no follower."""
    seldom = replace(settings.writer, interval_s=max(settings.writer.interval_s, COUNTED_S))
    alone = settings.model_copy(update={"followers": (), "writer": seldom})
    return make_collector(alone, events=events, store=Nowhere(), on_end=on_end)


def _tell_unused_keys(settings: Settings, exchanges: Sequence[str]) -> None:
    """Log that keys of exchanges do nothing here, where some are configured."""
    having = [name for name in exchanges if settings.exchanges[name].credentials is not None]
    if having:
        used_by = "`doctor`, and back-filling the old trades of Binance"
        log.info("api_keys.not_used", exchanges=having, reason="collecting needs none", used_by=used_by)


def _written_files(store: Store[object], writer: WriterThread, followers: Sequence[Follower]) -> list[Path]:
    """Return the files of this machine that grow: databases and spools."""
    files = [store.file, writer.spool_path, *(Path(one.state().spool) for one in followers)]
    return [file for file in files if file is not None]


def _log_thread(events: EventBus, stream: StreamThread, monitor: Monitor) -> LogThread:
    """Attach to the event bus what logs later, or more than once, and build its thread."""
    connections, requests = ConnectionLog(), RequestLog(stream.budgets)
    for one in (connections, requests, BreakerLog()):
        one.listen(events)
    looks = look_at_file, connections.look, requests.look, TroubleLog(lambda: monitor.latest).look
    return LogThread(looks, (connections.finish, requests.finish))


def _observe(settings: Settings, events: EventBus) -> Watch:
    """Attach the log, the view, the alarm and its end to the event bus."""
    log_events(events)
    watch = Watch()
    watch.listen(events)
    integrity = settings.integrity
    Recovery(events)
    HaltAlarm(
        events,
        most=integrity.max_critical_errors,
        window_s=integrity.critical_window_s,
        on_status=integrity.alarm_on_status,
    )
    return watch


def _preparation(
    settings: Settings,
    buffer: Buffer,
    session: SessionState,
    store: Store[object],
    events: EventBus,
    stream: StreamThread,
) -> Preparation:
    """Build what prepares write sets: rows with their features, segments, and events for their table."""
    most_rows = min(ROWS_A_TRANSACTION, store.capabilities.most_rows or ROWS_A_TRANSACTION)
    if isinstance(store, Nowhere):
        return Preparation(
            session, buffer.key, unstored_books, most_rows=most_rows, market_rows=unstored_market
        )
    facts = facts_of(settings, buffer, stream)
    happened = EventLog(session.session_id)
    for kind in KINDS:
        events.attach(kind, happened.note)
    return Preparation(
        session,
        buffer.key,
        BookRows(facts, levels_per_row(settings), settings.storage.features).settle,
        most_rows=most_rows,
        market_rows=MarketRows(facts).settle,
        beside=happened.take,
        compare_bars=TradeBars(
            buffer.key,
            open_at_last_close=lambda exchange: exchange_of(exchange).bars_open_at_last_close,
            origin_of=buffer.origin,
        ).compare,
    )


def _wanted_text(settings: Settings, keeper: str) -> str:
    """Return as JSON what the session collects, and what keeps its books, for the table of sessions."""
    sampled = settings.model_dump(mode="json")["exchanges"]
    wanted = {
        name: {
            "symbols": list(exchange.symbols),
            **_universe_text(exchange),
            "channels": list(exchange.channels),
            "market": exchange.market,
            "sample": sampled[name]["sample"],
            "features": settings.storage.versions,
            "books": keeper,
            "coalesce_ms": settings.stream.coalesce_ms,  # by so much a receipt time may be late
        }
        for name, exchange in settings.exchanges.items()
    }
    return json.dumps(wanted, sort_keys=True)


def _universe_text(exchange: ExchangeSettings) -> dict[str, object]:
    universe = exchange.universe
    return {} if universe.top is None else {"universe": asdict(universe)}


def _named_streams(settings: Settings) -> list[StreamKey]:
    """Return the configured streams with ccxt's symbols, whose meaning is known before markets are loaded."""
    return [
        StreamKey(name, symbol, channel)
        for name, exchange in settings.exchanges.items()
        for symbol in exchange.symbols
        for channel in exchange.channels
        if "/" in symbol
    ]
