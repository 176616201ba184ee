"""Run one session: start the parts in order, stop them in order, and account for every event."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass

from collector.app.claims import Claims
from collector.app.commit_measures import CommitMeasures
from collector.app.jobs import Jobs
from collector.app.known_database import KnownDatabase
from collector.app.log_thread import LogThread
from collector.app.monitor import Monitor
from collector.app.opening import Opening
from collector.app.report import Report
from collector.app.reporting import Phase, Reporters, last_moment_of, moment_of
from collector.app.view import View, Watch, view_of_writer
from collector.app.wakeup import SignalSafeEvent
from collector.buffer import Buffer
from collector.errors import CollectorError, UserError
from collector.events import EventBus, PotentialHalt, StreamKey
from collector.live import GAVE_UP, NOTHING_TO_COLLECT, Feed, StreamThread
from collector.loggers import get_logger
from collector.masking import mask_url
from collector.sinks import AccountingState, SessionState, SqlSink, Store
from collector.writer import Follower, FollowerState, WriterThread

CALL_TIMEOUT_S = 10.0
VIEW_TIMEOUT_S = 1.0
LEAST_FOR_JOBS_S = 2.0  # to end, whatever stopping took before
SHARE_OF_THE_STORE = 0.8  # of the time for stopping; the rest is for the followers

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a collector, connected to each other and not started."""

    session: SessionState
    events: EventBus
    watch: Watch
    buffer: Buffer
    store: Store[object]
    known: KnownDatabase
    writer: WriterThread
    followers: tuple[Follower, ...]
    stream: StreamThread
    claims: Claims
    jobs: Jobs
    measures: CommitMeasures
    monitor: Monitor
    reporters: Reporters
    log: LogThread
    ended: SignalSafeEvent  # set when a thread has ended


class Collector:
    """One session, from start to accounting; `wiring.make_collector` builds it. `stop` is idempotent."""

    def __init__(
        self,
        parts: Parts,
        *,
        exchanges: tuple[str, ...],  # that are configured
        database_url: str,
        table_name: str,
        deadline_s: float,  # for stopping
    ) -> None:
        self.session = parts.session
        self.events = parts.events
        self.buffer = parts.buffer
        self.writer = parts.writer
        self.followers = parts.followers
        self.stream = parts.stream
        self.deadline_s = deadline_s
        self._watch = parts.watch
        self._store = parts.store
        self._opening = Opening(parts.store, parts.known, parts.writer, parts.followers, parts.claims)
        self._claims = parts.claims
        self.jobs = parts.jobs
        self._measures = parts.measures
        self.monitor = parts.monitor
        self.reporters = parts.reporters
        self._log = parts.log
        self._ended = parts.ended
        self._exchanges = exchanges
        self.database_url = database_url
        self.table_name = table_name
        self._database = mask_url(database_url)
        self._subscriptions: list[Callable[[], None]] = []
        self._subscriptions.append(self.events.attach(PotentialHalt, self._on_halt))
        self._started_s: float | None = None
        self._report: Report | None = None
        self._is_stopping = False

    def start(self, *, without_database: bool = False) -> None:
        """Open the database and start the threads. Raises UserError for what prevents it.

        DatabaseAway says that it may be tried again. `without_database`: start without one that is away but
        known; the spool takes what comes until it is back.
        """
        away = self._opening.begin(without_database=without_database)
        self._started_s = time.monotonic()
        self.events.start()
        for follower in self.followers:
            follower.start()
        self.writer.start(self._opening.late if away else None, away)
        self.stream.start()
        self.jobs.start()
        self.monitor.start(self.view)
        self.reporters.start(lambda: moment_of(self.monitor, self.phase))
        self._log.start()
        if away:
            log.warning(
                "database.away_at_start",
                reason=away,
                what_next="it is known here, and what comes goes to the spool until it answers",
                spool=str(self.writer.spool_path),
            )
        log.info("collector.started", session=self.session.session_id, database=self._database)

    @property
    def started(self) -> bool:
        """Whether it was started, and so has to be stopped."""
        return self._started_s is not None

    @property
    def phase(self) -> Phase:
        """Return where it is in its life; stopping also once it has ended."""
        if self._is_stopping:
            return Phase.STOPPING
        return Phase.RUNNING if self.started else Phase.STARTING

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until `interrupt` is called, a thread ends, or nothing asked for can be collected at all.

        Returns False on timeout. Where nothing can be collected it runs on: markets can be subscribed.
        """
        return self._ended.wait(seconds)

    def interrupt(self) -> None:
        """End every `wait`. Safe in a signal handler."""
        self._ended.ring()

    def stop(self, deadline_s: float | None = None) -> Report:
        """Stop the streams, drain the buffer, close the database, and return the accounting."""
        if self._report is not None:
            return self._report
        if self._started_s is None:
            raise CollectorError("stop before start")
        until_s = time.monotonic() + (self.deadline_s if deadline_s is None else deadline_s)
        self._is_stopping = True
        refused = self.refused
        problems = list(refused)
        self.monitor.ask_to_stop()
        self.jobs.ask_to_stop()
        self.stream.ask_to_stop()
        if not self.stream.join(max(0.0, until_s - time.monotonic())):
            problems.append("the websocket thread did not end in time")
        if self.stream.failure is not None:
            problems.append(f"the websocket thread failed: {self.stream.failure!r}")
        if not self.writer.stop((until_s - time.monotonic()) * (SHARE_OF_THE_STORE if self.followers else 1)):
            problems.append(self._writer_problem())
        self._stop_followers(until_s)
        self.jobs.stop(max(LEAST_FOR_JOBS_S, until_s - time.monotonic()))
        self._store.close()
        self.monitor.stop()
        self.reporters.stop(last_moment_of(self.monitor, self.view()), until_s - time.monotonic())
        self._log.stop()
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
            spool=str(self.writer.spool_path or ""),
            refused=refused,
            notes=self._store.incidents if isinstance(self._store, SqlSink) else (),
            followers=self._follower_states(),
        )
        log.info("collector.stopped", exact=self._report.exact, problems=problems)
        return self._report

    def check_symbols(self, exchange: str, *symbols: str) -> None:
        """Raise UserError for the first name that means no market of an exchange, or several.

        The exchange's list is looked at again for a name that it did not have.
        """
        feed = self._running_feed(exchange)
        self._look_for(feed, symbols)
        self.stream.call(lambda: feed.check(symbols), CALL_TIMEOUT_S)

    def subscribe(self, exchange: str, *symbols: str) -> list[StreamKey]:
        """Collect more markets of an exchange while running; returns the streams that are new."""
        feed = self._running_feed(exchange)
        self._look_for(feed, symbols)
        self._claims.take(self.stream.call(lambda: feed.meant(symbols), CALL_TIMEOUT_S))
        return self.stream.call(lambda: feed.add(symbols), CALL_TIMEOUT_S)

    def unsubscribe(self, exchange: str, *symbols: str) -> list[StreamKey]:
        """Stop collecting these markets; returns the streams that ended."""
        feed = self._running_feed(exchange)
        return self.stream.call(lambda: feed.remove(symbols), CALL_TIMEOUT_S)

    def meaning(self, exchange: str, *symbols: str) -> dict[str, str | None]:
        """Return the market that each name means; None for a name that means none."""
        feed = self._running_feed(exchange)
        return self.stream.call(lambda: {name: feed.symbol_of(name) for name in symbols}, CALL_TIMEOUT_S)

    def _look_for(self, feed: Feed, symbols: Sequence[str]) -> None:
        """Wait until the exchange was asked for markets that its list did not have: one may be new."""
        looked = self.stream.call(lambda: feed.look_for(symbols), CALL_TIMEOUT_S)
        with suppress(CollectorError):  # what is not known then is said of each name
            self.stream.answer_of(looked, CALL_TIMEOUT_S)

    def _running_feed(self, exchange: str) -> Feed:
        for feed in self.stream.feeds:
            if feed.exchange == exchange:
                if not feed.ready:
                    raise UserError(f"{exchange} has not answered yet: its markets are not known")
                return feed
        raise UserError(f"{exchange} is not collected; expected one of {', '.join(self._exchanges)}")

    def accounting(self) -> tuple[AccountingState, ...]:
        """Return the terms of the identity now: received up to this moment, written as committed."""
        return self.writer.balance.states(lambda: self.buffer.snapshot()[0])

    def view(self) -> View:
        """Return the state of every part now. Changes nothing; for any thread but the websocket's."""
        streams_now = self.stream.glances(VIEW_TIMEOUT_S)
        watch = self._watch
        return View(
            session_id=self.session.session_id,
            database=self._database,
            uptime_s=time.monotonic() - (self._started_s or time.monotonic()),
            answers=streams_now is not None and self.writer.alive,
            streams=watch.streams(self.accounting(), streams_now, self.expected),
            writer=view_of_writer(self.writer, self.buffer),
            refused=self.refused,
            followers=self._follower_states(),
            loop_silent_s=self.stream.silent_s,
            loop_ended=self.stream.ended_unasked,
            budgets=self.stream.budgets(),
            commits=copy(self._measures),  # its values are replaced, never changed
            reports=self.reporters.states(),
            jobs=self.jobs.states(),
            **watch.remembered(),
        )

    @property
    def expected(self) -> list[StreamKey]:
        """The streams that are asked for, whether or not anything is collected of them. For any thread."""
        return [key for feed in self.stream.feeds for key in feed.expected]

    @property
    def refused(self) -> tuple[str, ...]:
        """What was asked for and cannot be collected now, each with its reason. For any thread."""
        return tuple(text for feed in self.stream.feeds for text in feed.refused)

    def _on_halt(self, event: PotentialHalt) -> None:
        if event.code in (NOTHING_TO_COLLECT, GAVE_UP) and self.stream.is_idle:
            self._ended.ring()

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

    def _writer_problem(self) -> str:
        writer = self.writer
        if writer.lost:
            return f"{writer.lost} rows are lost, for want of a database and of a spool: {writer.last_error}"
        failure = str(writer.failure) if isinstance(writer.failure, UserError) else repr(writer.failure)
        return f"the writer failed: {failure}; what it had not written waits in the spool"
