"""Run a collector within another program: start, callbacks, questions, stop, and start again."""

import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from collector.app import Collector, Report, log_failed_subscriber, make_collector
from collector.bot.config import DataIngestorConfig
from collector.bot.health import Health, reasons_of
from collector.bot.live_bars import LiveBars
from collector.bot.stats import stats_of
from collector.bot.tick_store import TickStore
from collector.errors import CollectorError, IngestorError, UserError
from collector.events import (
    MOST_WAITING,
    Channel,
    EventBus,
    HandlerFailure,
    L2Update,
    PotentialHalt,
    SegmentChanged,
    State,
    StreamKey,
    Subscription,
    SystemState,
    in_a_handler,
)
from collector.log import log_as_embedded
from collector.loggers import get_logger
from collector.serve import Server, report_metrics, server_of
from collector.settings import Settings

if TYPE_CHECKING:
    from collector.app import View

Phase = Literal["stopped", "starting", "running", "stopping"]
START_TIMEOUT_S = 30.0  # where full settings are given, which have no such key

log = get_logger(__name__)


def create_data_ingestor(config: Mapping[str, Any], *, logger: object = None) -> "DataIngestor":
    """Build an ingestor from a dict of short keys. Raises SettingsError with every mistake in it."""
    return DataIngestor(DataIngestorConfig.from_dict(config), logger=logger)


class DataIngestor:
    """A collector within a bot. Callbacks and subscriptions outlive a stop and a new start."""

    def __init__(self, config: DataIngestorConfig | Settings, *, logger: object = None) -> None:
        self._logger = logger  # for log lines, of `logging` or structlog; None: see docs/log.md
        if isinstance(config, Settings):
            self.settings, self._start_timeout_s = config, START_TIMEOUT_S
            self._without_effect: tuple[str, ...] = ()
        else:
            loaded = config.load()
            self.settings, self._start_timeout_s = loaded.settings, config.start_timeout
            self._without_effect = loaded.notes.without_effect
        self.events = EventBus(self._on_failed_subscriber)
        self.ticks = TickStore(self.events)
        self.start_failure: IngestorError | None = None  # why the last start returned False
        self.report: Report | None = None  # what the last session came to
        self._life = threading.Lock()  # held by whoever starts or stops
        self._phase: Phase = "stopped"
        self._collector: Collector | None = None
        self._server: Server | None = None
        self._last_view: View | None = None
        self._last_trouble = ""

    @property
    def database_url(self) -> str:
        """Return where the rows are; the loaders take it, or the ingestor itself."""
        return self.settings.database.url

    @property
    def serve_url(self) -> str | None:
        """Return where health and metrics are served; None where they are not: see `serve_port`."""
        server = self._server
        return None if server is None else server.url

    @property
    def phase(self) -> Phase:
        """Return whether it is stopped, starting, running or stopping."""
        return self._phase

    def start(self, timeout: float | None = None) -> bool:
        """Start collecting. True once a book is verified; else False, and `start_failure` has the reason.

        After False nothing runs. Does nothing while it runs.
        """
        with self._life:
            if self._phase == "running":
                return True
            log_as_embedded(self.settings.logging, self._logger, secrets=self.settings.secrets())
            for text in self._without_effect:
                log.warning("variable.without_effect", reason=text)
            self._phase, self.start_failure, self._last_trouble = "starting", None, ""
            timeout_s = self._start_timeout_s if timeout is None else timeout
            failure = self._try_to_start(timeout_s)
            self._phase = "running" if failure is None else "stopped"
        return failure is None

    def stop(self, timeout: float | None = None) -> bool:
        """Stop: drain, close, account. True when nothing was lost; `report` has the figures. Idempotent.

        A callback may call it; while another thread stops already, which waits for that callback, it returns
        at once.
        """
        if self._phase == "stopping" and in_a_handler():
            return True
        with self._life:
            if self._collector is None:
                return self.report is None or self.report.good
            self._phase = "stopping"
            self._close(timeout)
            self._phase = "stopped"
            return self.report is None or self.report.good

    def __enter__(self) -> Self:
        if not self.start():
            raise self.start_failure or IngestorError("not_started", "the ingestor did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def add_update_callback(
        self,
        callback: Callable[[L2Update], None],
        *,
        name: str | None = None,
        most_waiting: int = MOST_WAITING,
    ) -> Subscription:
        """Call a callback with each state of each book, in a thread of its own. Call the result to end that.

        One that cannot keep up loses its own oldest updates, counted under `name` in `get_stats`.
        """
        return self.events.subscribe(L2Update, callback, name=name, most_waiting=most_waiting)

    def add_error_callback(
        self, callback: Callable[[IngestorError], None], *, name: str | None = None
    ) -> Subscription:
        """Call a callback with what goes wrong: alarms, callbacks that raise, threads that ended."""
        return self.events.subscribe(IngestorError, callback, name=name)

    def subscribe(self, *symbols: str, exchange: str | None = None) -> list[StreamKey]:
        """Collect more markets, with the channels of their exchange; returns the streams that are new.

        Raises UserError for a name that means no market there, or several; nothing changes then.
        """
        name, collector = self._exchange(exchange), self._running()
        collector.check_symbols(name, *symbols)
        new = collector.subscribe(name, *symbols)
        kept = self.settings.exchanges[name].symbols
        self._keep_symbols(name, (*kept, *dict.fromkeys(key.symbol for key in new)))
        return new

    def unsubscribe(self, *symbols: str, exchange: str | None = None) -> list[StreamKey]:
        """Collect these markets no longer; returns the streams that ended. Raises as `subscribe` does."""
        name, collector = self._exchange(exchange), self._running()
        collector.check_symbols(name, *symbols)
        ended = collector.unsubscribe(name, *symbols)
        gone = {*symbols, *(key.symbol for key in ended)}
        meant = collector.meaning(name, *self.settings.exchanges[name].symbols)
        kept = tuple(one for one in meant if one not in gone and meant[one] not in gone)
        self._keep_symbols(name, kept)
        return ended

    def bars(self, interval: str, *, symbol: str | None = None, exchange: str | None = None) -> LiveBars:
        """Build bars of any interval from trades (`channels: ["trade"]`); see its `on_open`, `on_close`."""
        bars = LiveBars(interval, symbol=symbol, exchange=exchange)
        bars.listen(self.events)
        return bars

    def is_healthy(self) -> Health:
        """Return whether all is well: true or false, with `reasons`."""
        collector = self._collector
        if collector is None or self._phase != "running":
            why = f" ({self.start_failure})" if self.start_failure else ""
            return Health((f"not running: {self._phase}{why}",))
        return Health(tuple(reasons_of(collector.view())))

    def get_stats(self) -> dict[str, Any]:
        """Return its statistics as plain values: streams, the identity's terms, callbacks."""
        collector = self._collector
        if collector is not None:
            self._last_view = collector.view()
        callbacks = [one for one in self.events.deliveries() if not one.subscriber.startswith("_")]
        return stats_of(self._phase, self.is_healthy().reasons, self._last_view, callbacks)

    # Starting and stopping, _life being held.

    def _try_to_start(self, timeout_s: float) -> IngestorError | None:
        until_s = time.monotonic() + timeout_s
        verified = threading.Event()
        channels = {one for exchange in self.settings.exchanges.values() for one in exchange.channels}
        awaited = {one for one in channels if Channel.of(one).is_book} or channels

        def on_segment(event: SegmentChanged) -> None:
            if event.verified and event.channel in awaited:
                verified.set()
                collector.interrupt()

        try:
            collector = make_collector(self.settings, events=self.events, on_end=self._on_thread_end)
            self.events.attach(SegmentChanged, on_segment)
            self.events.attach(PotentialHalt, self._on_halt)
            self.events.attach(SystemState, self._on_state)
            self.ticks.listen()
            self._collector = collector
            report_metrics(self.settings, collector)
            self._server = server_of(self.settings, collector, by_default=False)
            if self._server is not None:
                self._server.start()
            collector.start()
            collector.wait(max(0.0, until_s - time.monotonic()))
            failure = None if verified.is_set() else self._why_nothing_came(collector, timeout_s)
        except CollectorError as error:
            failure = IngestorError("not_started", str(error), cause=error)
        except BaseException:
            self._phase = "stopped"
            self._close(None)
            raise
        if failure is not None:
            self.start_failure = failure
            log.warning("ingestor.not_started", reason=str(failure))
            self.events.publish(failure)
            self._close(None)
        return failure

    def _why_nothing_came(self, collector: Collector, timeout_s: float) -> IngestorError:
        refused = collector.view().refused
        if refused:
            return IngestorError("refused", "; ".join(refused))
        if not (collector.stream.alive and collector.writer.alive):
            why = collector.stream.failure or collector.writer.failure
            return IngestorError("thread_ended", f"a thread ended: {why!r}", cause=why)
        trouble = f"; the last trouble was {self._last_trouble}" if self._last_trouble else ""
        return IngestorError("no_book", f"no verified book within {timeout_s:g} s{trouble}")

    def _close(self, timeout: float | None) -> None:
        collector, self._collector = self._collector, None
        self.events.start()  # what was to be told of a start that failed is told as well
        if collector is not None and collector.started:
            self.report = collector.stop(timeout)
            self._last_view = collector.view()
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self.events.stop()
        self.events.detach_all()

    # What the collector tells.

    def _on_thread_end(self) -> None:
        collector = self._collector
        if collector is not None and self._phase == "running":
            why = collector.stream.failure or collector.writer.failure or "nothing is left to collect"
            self.events.publish(IngestorError("thread_ended", f"a thread ended by itself: {why}", cause=why))

    def _on_halt(self, event: PotentialHalt) -> None:
        where = " ".join(part for part in (event.exchange, event.symbol) if part)
        self._last_trouble = f"{event.code}: {event.reason}"
        self.events.publish(IngestorError(event.code, f"{where}: {event.reason}", cause=event))

    def _on_state(self, event: SystemState) -> None:
        if event.state in (State.DISCONNECTED, State.ERROR):
            self._last_trouble = f"{event.connection} {event.state.value}: {event.cause}"

    def _on_failed_subscriber(self, failure: HandlerFailure) -> None:
        log_failed_subscriber(failure)
        if not isinstance(failure.event, IngestorError):  # told to a broken error callback it would never end
            text = f"{failure.subscriber} raised {failure.error!r}"
            self.events.publish(IngestorError("callback_failed", text, cause=failure.error))

    # Small pieces.

    def _running(self) -> Collector:
        if self._collector is None or self._phase != "running":
            raise UserError(f"the ingestor is {self._phase}; expected it to run: call start() first")
        return self._collector

    def _exchange(self, name: str | None) -> str:
        names = list(self.settings.exchanges)
        if name is None and len(names) > 1:
            raise UserError(
                f"{len(names)} exchanges are collected: say which, exchange= one of {', '.join(names)}"
            )
        return names[0] if name is None else name

    def _keep_symbols(self, exchange: str, symbols: tuple[str, ...]) -> None:
        """Store for the next start what is collected now."""
        of_exchange = self.settings.exchanges[exchange].model_copy(update={"symbols": symbols})
        exchanges = {**self.settings.exchanges, exchange: of_exchange}
        self.settings = self.settings.model_copy(update={"exchanges": exchanges})
