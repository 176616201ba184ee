"""Wire the parts together: start them in order, stop them in order, and account for every event."""

import json
import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from collector.app.alarm import HaltAlarm
from collector.app.claims import Claims
from collector.app.housekeeping import housekeeping_of
from collector.app.logs import log_events, log_failed_subscriber, log_unknown
from collector.app.view import View, Watch, WriterView
from collector.app.wakeup import SignalSafeEvent
from collector.app.wiring import make_followers, make_writer, store_of
from collector.buffer.buffer import Buffer
from collector.clock import Clock
from collector.errors import CollectorError, UserError
from collector.events.batch import UNKNOWN, StreamKey
from collector.events.bus import EventBus
from collector.events.channel import Channel
from collector.events.notices import ClockStep
from collector.exchanges.meaning import kinds_in_order
from collector.exchanges.registry import exchange_of
from collector.features.market_rows import MarketRows
from collector.features.practical import TOTAL_LEVELS
from collector.features.rows import BookRows, versions
from collector.features.sampling import Sampling
from collector.features.stream_facts import StreamFacts
from collector.features.trade_bars import TradeBars
from collector.ids import SegmentIds, new_id
from collector.live.connection import Pace
from collector.live.feed import Feed, Limits, Wanted
from collector.live.first_contact import PATIENCE_S
from collector.live.thread import StreamThread
from collector.network.markets import Source
from collector.retry import Backoff
from collector.settings import ExchangeSettings, Settings
from collector.sinks.contract import AccountingState, SessionState, Sink, Store
from collector.version import __version__
from collector.writer.event_log import KINDS, EventLog
from collector.writer.follower import FollowerState
from collector.writer.prepare import Preparation

CALL_TIMEOUT_S = 10.0
VIEW_TIMEOUT_S = 1.0
SHARE_OF_THE_STORE = 0.8  # of the time for stopping; the rest is for the followers
ROWS_A_TRANSACTION = 5000  # a longer one would hold the database, and a retry, for too long

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Report:
    """What a session came to: the terms of the identity for each stream, and what went wrong."""

    session_id: str
    accounting: tuple[AccountingState, ...]
    batches: int
    seconds: float
    problems: tuple[str, ...]
    waiting: int = 0  # rows that the spool holds: durable, and brought in at the next start
    spool: str = ""  # its file
    followers: tuple[FollowerState, ...] = ()  # sinks behind the database: no part of the identity

    @property
    def exact(self) -> bool:
        """Say whether every event is accounted for."""
        return all(state.difference == 0 for state in self.accounting)

    @property
    def good(self) -> bool:
        """Say whether nothing that was accepted was lost."""
        pending = sum(state.pending for state in self.accounting)
        lost = pending > self.waiting or any(state.dropped for state in self.accounting)
        return self.exact and not lost and not self.problems


class Collector:
    """The program, from settings to accounting. Start once, stop once; `stop` is idempotent."""

    def __init__(
        self,
        settings: Settings,
        *,
        events: EventBus | None = None,
        store: Store[object] | None = None,  # instead of the one that database.url means
        followers: Sequence[Sink] = (),  # further sinks, beside those that are configured
        on_end: Callable[[], None] = lambda: None,  # a thread has ended, by itself or because it was asked to
        patience_s: float = PATIENCE_S,  # before it is told that nothing comes from an exchange
    ) -> None:
        if not any(exchange.symbols for exchange in settings.exchanges.values()):
            raise UserError(
                "nothing to collect: no symbol is configured; name some with --symbols BTC/USDT:USDT, "
                "SYMBOLS=BTCUSDT in the environment, or exchanges.<name>.symbols in a file for --config"
            )
        self.settings = settings
        self._patience_s = patience_s
        self.events = events or EventBus(log_failed_subscriber)
        log_events(self.events)
        self._watch = Watch()
        self._watch.listen(self.events)
        integrity = settings.integrity
        HaltAlarm(self.events, most=integrity.max_critical_errors, window_s=integrity.critical_window_s)
        levels = max(TOTAL_LEVELS, settings.storage.levels)
        self.buffer = Buffer(
            levels_per_row=levels,
            max_rows=settings.buffer.max_rows,
            max_bytes=settings.buffer.max_bytes,
            flush_rows=settings.writer.batch_rows,
        )
        self.session = SessionState(
            session_id=new_id(),
            started_ns=time.time_ns(),
            version=__version__,
            host=socket.gethostname(),
            pid=os.getpid(),
            wanted=_wanted_text(settings),
        )
        self._levels = levels
        self._segment_ids = SegmentIds()
        self._ended = SignalSafeEvent()
        self._on_end = on_end
        self._store = store or store_of(settings)
        self.followers = make_followers(settings, self._store, followers, self.session, self.buffer)
        happened = EventLog(self.session.session_id)
        for kind in KINDS:
            self.events.attach(kind, happened.note)
        self.stream = StreamThread(self._make_feeds, self.events, self._thread_ended)
        self.writer = make_writer(
            settings,
            self.buffer,
            Preparation(
                self.session,
                self.buffer.key,
                BookRows(self._facts_of, levels, settings.storage.features).settle,
                most_rows=min(ROWS_A_TRANSACTION, self._store.capabilities.most_rows or ROWS_A_TRANSACTION),
                market_rows=MarketRows(self._facts_of).portions,
                beside=happened.take,
                compare_bars=TradeBars(
                    self.buffer.key,
                    open_at_last_close=lambda exchange: exchange_of(exchange).bars_open_at_last_close,
                ).compare,
            ),
            self._store,
            self.events,
            session_id=self.session.session_id,
            followers=self.followers,
            on_end=self._thread_ended,
        )
        self._housekeeping = housekeeping_of(
            self._store, settings, self.session.session_id, self.writer.tasks.submit
        )
        self._subscriptions = []
        if self._housekeeping is not None:
            stepped = self._housekeeping.clock_stepped
            self._subscriptions.append(self.events.subscribe(ClockStep, stepped, name="_housekeeping"))
        self._claims = Claims(
            settings, self.session, self._store, self.writer.tasks.submit, self.buffer.hurry
        )
        self._started_s: float | None = None
        self._report: Report | None = None

    def start(self) -> None:
        """Open the database and start the threads. Raises UserError when something stands in the way."""
        self._store.open()
        try:
            self.writer.open()
            for follower in self.followers:
                follower.open()
            self._claims.begin()
        except CollectorError:
            self._store.close()
            raise
        self._started_s = time.monotonic()
        self.events.start()
        for follower in self.followers:
            follower.start()
        self.writer.start()
        self.stream.start()
        if self._housekeeping is not None:
            self._housekeeping.start()
        log.info("collector.started", session=self.session.session_id, database=self._shown_database())

    @property
    def started(self) -> bool:
        """Say whether it was started, and so has to be stopped."""
        return self._started_s is not None

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until `interrupt` is called or a thread has ended by itself; False when the time is over."""
        return self._ended.wait(seconds)

    def interrupt(self) -> None:
        """End a `wait`. Safe in a signal handler."""
        self._ended.ring()

    def stop(self, deadline_s: float | None = None) -> Report:
        """Stop the stream, drain the buffer, close the database, and account."""
        if self._report is not None:
            return self._report
        if self._started_s is None:
            raise CollectorError("stop before start")
        until_s = time.monotonic() + (self.settings.shutdown.deadline_s if deadline_s is None else deadline_s)
        problems = list(self._refused())
        if self._housekeeping is not None:
            self._housekeeping.ask_to_stop()
        self.stream.ask_to_stop()
        if not self.stream.join(max(0.0, until_s - time.monotonic())):
            problems.append("the websocket thread did not end in time")
        if self.stream.failure is not None:
            problems.append(f"the websocket thread failed: {self.stream.failure!r}")
        if not self.writer.stop((until_s - time.monotonic()) * (SHARE_OF_THE_STORE if self.followers else 1)):
            problems.append(self._writer_problem())
        self._stop_followers(until_s)
        if self._housekeeping is not None:
            self._housekeeping.stop()
        self._store.close()
        for name in self.events.stop():
            log.warning("subscriber.stuck", subscriber=name)
        for unsubscribe in self._subscriptions:  # the bus may live longer than this
            unsubscribe()
        self._report = Report(
            session_id=self.session.session_id,
            accounting=self.accounting(),
            batches=self.writer.committed.batches,
            seconds=time.monotonic() - self._started_s,
            problems=tuple(problems),
            waiting=self.writer.balance.rows_in_spool,
            spool=str(self.writer.spool_path),
            followers=self._follower_states(),
        )
        log.info("collector.stopped", exact=self._report.exact, problems=problems)
        return self._report

    def check_symbols(self, exchange: str, *symbols: str) -> None:
        """Raise UserError for the first name that means no market of an exchange, or several."""
        feed = self._running_feed(exchange)
        self.stream.call(lambda: feed.check(symbols), CALL_TIMEOUT_S)

    def subscribe(self, exchange: str, *symbols: str) -> list[StreamKey]:
        """Collect more markets of an exchange while running; returns the streams that are new."""
        feed = self._running_feed(exchange)
        channels = self.settings.exchanges[exchange].channels
        self._claims.take(self.stream.call(lambda: feed.meant(symbols, channels), CALL_TIMEOUT_S))
        return self.stream.call(lambda: feed.add(symbols, channels), CALL_TIMEOUT_S)

    def unsubscribe(self, exchange: str, *symbols: str) -> list[StreamKey]:
        """Collect these markets no longer; returns the streams that ended."""
        feed = self._running_feed(exchange)
        return self.stream.call(lambda: feed.remove(symbols), CALL_TIMEOUT_S)

    def meaning(self, exchange: str, *symbols: str) -> dict[str, str | None]:
        """Return by name which market each means; None where that is not known."""
        feed = self._running_feed(exchange)
        return self.stream.call(lambda: {name: feed.symbol_of(name) for name in symbols}, CALL_TIMEOUT_S)

    def _thread_ended(self) -> None:
        self._ended.ring()
        self._on_end()

    def _running_feed(self, exchange: str) -> Feed:
        for feed in self.stream.feeds:
            if feed.exchange == exchange:
                if not feed.ready:
                    raise UserError(f"{exchange} has not answered yet: its markets are not known")
                return feed
        configured = ", ".join(self.settings.exchanges)
        raise UserError(f"{exchange} is not collected; expected one of {configured}")

    def accounting(self) -> tuple[AccountingState, ...]:
        """Return the terms of the identity as they are now: received here, written as committed."""
        return self.writer.balance.states(lambda: self.buffer.snapshot()[0])

    def view(self) -> View:
        """Show how things stand now. Changes nothing; for any thread but the websocket's."""
        glances = self.stream.glances(VIEW_TIMEOUT_S)
        committed, watch = self.writer.committed, self._watch
        return View(
            session_id=self.session.session_id,
            database=self._shown_database(),
            uptime_s=time.monotonic() - (self._started_s or time.monotonic()),
            answers=glances is not None and self.writer.alive,
            streams=watch.streams(self.accounting(), glances or ()),
            connections=dict(watch.connections),
            writer=WriterView(
                batches=committed.batches,
                rows=committed.rows,
                retries=committed.retries,
                last_commit_s=committed.last_commit_s,
                last_error=self.writer.last_error,
                buffer_high_rows=self.buffer.high_rows,
                buffer_max_rows=self.buffer.capacity_rows,
                spooled_rows=self.writer.balance.rows_in_spool,
                spilling=self.writer.spilling,
                breaker=self.writer.breaker.state.value,
                poison=committed.poison,
                broken_off=self.writer.broken_off,
            ),
            refused=tuple(self._refused()),
            halts=watch.halts,
            last_halt=watch.last_halt,
            unreached=tuple(watch.unreached.copy().values()),
            followers=self._follower_states(),
        )

    def _follower_states(self) -> tuple[FollowerState, ...]:
        return tuple(follower.state() for follower in self.followers)

    def _stop_followers(self, until_s: float) -> None:
        for follower in self.followers:
            follower.ask_to_stop()
        for follower in self.followers:
            if not follower.stop(until_s - time.monotonic()):
                log.warning(
                    "follower.not_stopped_well", sink=follower.name, error=follower.state().last_error
                )

    def _refused(self) -> Sequence[str]:
        return [text for feed in self.stream.feeds for text in feed.refused]

    def _writer_problem(self) -> str:
        writer = self.writer
        if writer.lost:
            return f"{writer.lost} rows are lost, for want of a database and of a spool: {writer.last_error}"
        failure = str(writer.failure) if isinstance(writer.failure, UserError) else repr(writer.failure)
        return f"the writer failed: {failure}; what it had not written waits in the spool"

    def _shown_database(self) -> str:
        return str(self.settings.masked()["database"]["url"])

    def _facts_of(self, number: int) -> StreamFacts:
        key = self.buffer.key(number)
        if key.symbol == UNKNOWN:
            return StreamFacts(key, 0, "")  # gives no rows
        channel = Channel.of(key.channel)
        depth = channel.depth if channel.is_book else 0
        source = self.settings.exchanges[key.exchange].stored_data_source
        return StreamFacts(key, depth, source, self._sampling_of(key), self.buffer.contract(number))

    def _sampling_of(self, key: StreamKey) -> Sampling:
        sample = self.settings.exchanges[key.exchange].sample
        symbol_of = next(feed.symbol_of for feed in self.stream.feeds if feed.exchange == key.exchange)
        for name, one in sample.symbols.items():
            if key.symbol in (name, symbol_of(name)):
                return Sampling(one.mode, one.interval_ms or sample.interval_ms)
        return Sampling(sample.mode, sample.interval_ms)

    def _make_feeds(self, clock: Clock) -> Sequence[Feed]:
        return [
            self._feed(name, exchange, clock)
            for name, exchange in self.settings.exchanges.items()
            if exchange.symbols
        ]

    def _feed(self, name: str, exchange: ExchangeSettings, clock: Clock) -> Feed:
        stream, integrity = self.settings.stream, self.settings.integrity
        kinds = kinds_in_order(name, exchange.market)
        return Feed(
            Wanted(
                Source(name, exchange.environment, exchange.endpoints, kinds),
                exchange.symbols,
                exchange.channels,
            ),
            Limits(
                pace=Pace(
                    connect_timeout_s=stream.connect_timeout_s,
                    subscribe_timeout_s=stream.subscribe_timeout_s,
                    stale_after_s=stream.stale_after_s,
                    heartbeat_s=stream.heartbeat_s,
                    backoff=Backoff(stream.backoff_base_s, stream.backoff_max_s),
                    max_reconnect_attempts=stream.max_reconnect_attempts,
                    connects_a_second=stream.connects_a_second,
                    requests_a_second=stream.requests_a_second,
                    messages_a_connection=stream.messages_a_connection,
                ),
                markets_timeout_s=stream.markets_timeout_s,
                max_mismatches=integrity.max_mismatches,
                mismatch_window_s=integrity.mismatch_window_s,
                most_off_s=integrity.max_time_off_s,
                max_jump=integrity.max_jump,
                witness_every_s=integrity.witness_every_s,
                levels_per_row=self._levels,
                levels_shown=self.settings.storage.levels,
            ),
            self.buffer,
            clock=clock,
            events=self.events,
            new_segment_id=self._segment_ids.next,
            on_unknown=log_unknown(name),
            claim=self._claims.ask,
            patience_s=self._patience_s,
        )


def _wanted_text(settings: Settings) -> str:
    wanted = {
        name: {
            "symbols": list(exchange.symbols),
            "channels": list(exchange.channels),
            "sample": exchange.sample.model_dump(mode="json"),
            "features": versions(settings.storage.features),
        }
        for name, exchange in settings.exchanges.items()
    }
    return json.dumps(wanted, sort_keys=True)
