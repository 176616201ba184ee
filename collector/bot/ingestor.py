"""Run a collector within another program: callbacks, questions, more markets while it runs."""

from collections.abc import Callable, Mapping
from typing import Any

from collector.app import Collector
from collector.bot.config import DataIngestorConfig
from collector.bot.health import Health, reasons_of, reasons_of_callbacks
from collector.bot.lifecycle import Lifecycle
from collector.bot.live_bars import LiveBars
from collector.bot.local_book import Books, LocalBook
from collector.bot.stats import IngestorStats, Known, rates_of, stats_of
from collector.bot.symbol_names import one_name
from collector.bot.tick_store import TickStore
from collector.errors import IngestorError, UserError
from collector.events import MOST_WAITING, Delivery, EventBus, L2Update, Loop, StreamKey, Subscription
from collector.masking import mask_url
from collector.settings import Settings

START_TIMEOUT_S = 30.0  # where full settings are given, which have no such key


def create_data_ingestor(
    config: Mapping[str, Any], *, events: EventBus | None = None, logger: object = None
) -> "DataIngestor":
    """Build an ingestor from a dict of short keys. Raises SettingsError with every mistake in it."""
    return DataIngestor(DataIngestorConfig.from_dict(config), events=events, logger=logger)


class DataIngestor(Lifecycle):
    """A collector within a bot. Callbacks and subscriptions outlive a stop and a new start.

    `events`: a bus of one's own, for several ingestors or other parts of a program. It is started with the
    ingestor, and stopped with the last of those who started it. `logger`: for log lines, of `logging` or
    structlog (docs/log.md).
    """

    def __init__(
        self,
        config: DataIngestorConfig | Settings,
        *,
        events: EventBus | None = None,
        logger: object = None,
    ) -> None:
        if isinstance(config, Settings):
            super().__init__(config, START_TIMEOUT_S, (), events, logger)
        else:
            loaded = config.load()
            notes = loaded.notes.without_effect
            super().__init__(loaded.settings, config.start_timeout, notes, events, logger)
        self.ticks = TickStore(self._hold)
        self._books = Books()

    @property
    def database_url(self) -> str:
        """Return where the rows are; the loaders take it, or the ingestor itself."""
        return self.settings.database.url

    @property
    def serve_url(self) -> str | None:
        """Return where health and metrics are served; None where they are not: see `serve_port`."""
        server = self._server
        return None if server is None else server.url

    def add_update_callback(
        self,
        callback: Callable[[L2Update], object],
        *,
        name: str | None = None,
        most_waiting: int = MOST_WAITING,
        loop: Loop | None = None,
    ) -> Subscription:
        """Call a callback with each state of each book, in a thread of its own. Call the result to end that.

        One that cannot keep up loses its own oldest updates, counted under `name` in `get_stats`. It may be
        an `async def`: it runs on `loop`, on the one that runs where it is added or where `astart` is
        awaited, else on one of its own, one update after the other.
        """
        return self.events.subscribe(L2Update, callback, name=name, most_waiting=most_waiting, loop=loop)

    def add_error_callback(
        self,
        callback: Callable[[IngestorError], object],
        *,
        name: str | None = None,
        loop: Loop | None = None,
    ) -> Subscription:
        """Call a callback, plain or async, with what goes wrong: alarms, failing callbacks, ended threads."""
        return self.events.subscribe(IngestorError, callback, name=name, loop=loop)

    def subscribe(self, *symbols: str, exchange: str | None = None) -> list[StreamKey]:
        """Collect more markets, with the channels of their exchange; returns the streams that are new.

        Raises UserError for a name that means no market there, or several; nothing changes then.
        """
        name, collector = self._exchange(exchange), self._running()
        collector.check_symbols(name, *map(one_name, symbols))
        new = collector.subscribe(name, *symbols)
        kept = self.settings.exchanges[name].symbols
        self._keep_symbols(name, (*kept, *dict.fromkeys(key.symbol for key in new)))
        return new

    def unsubscribe(self, *symbols: str, exchange: str | None = None) -> list[StreamKey]:
        """Collect these markets no longer; returns the streams that ended. Raises as `subscribe` does."""
        name, collector = self._exchange(exchange), self._running()
        collector.check_symbols(name, *map(one_name, symbols))
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

    def book(
        self,
        symbol: str,
        exchange: str | None = None,
        channel: str | None = None,
        *,
        levels: int | None = None,
    ) -> LocalBook:
        """Return a copy of the verified local book as it is now: all levels that are kept, or the best few.

        The symbol may be written in any case or form; of several books of a market the deepest is meant.
        Raises UserError for one that is not collected, BookNotVerifiedError while it is not verified.
        """
        return self._books.book(self._running(), symbol, exchange, channel, levels)

    def is_healthy(self) -> Health:
        """Return whether all is well: true or false, with `reasons`."""
        collector = self._collector
        reasons = self._not_running()
        if reasons or collector is None:
            return Health(reasons)
        return Health((*reasons_of(collector.view()), *reasons_of_callbacks(self._callbacks)))

    def get_stats(self) -> IngestorStats:
        """Return its statistics as plain values, under the same keys at any moment."""
        collector, rates = self._collector, None
        reasons = self._not_running()
        if collector is not None:
            self._look_at(collector)
            rates = rates_of(collector.monitor.before, collector.monitor.latest)
        view = self._last_view
        if not reasons and view is not None:  # of the very view whose streams are shown
            reasons = (*reasons_of(view), *reasons_of_callbacks(self._callbacks))
        known = Known(
            self._database_shown,
            self._asked,
            view,
            rates or {},
            self._last_messages,
            self._told.last_trouble,
        )
        return stats_of(self._phase, reasons, known, self._callbacks)

    def _listen(self) -> None:
        self.ticks.listen()

    # Small pieces.

    @property
    def _database_shown(self) -> str:
        return mask_url(self.settings.database.url)

    @property
    def _asked(self) -> list[StreamKey]:
        """Return the streams that are configured, each market by the name that it was given."""
        return [
            StreamKey(name, symbol, channel)
            for name, exchange in self.settings.exchanges.items()
            for symbol in exchange.symbols
            for channel in exchange.channels
        ]

    def _not_running(self) -> tuple[str, ...]:
        if self._collector is not None and self._phase == "running":
            return ()
        why = f" ({self.start_failure})" if self.start_failure else ""
        return (f"not running: {self._phase}{why}",)

    @property
    def _callbacks(self) -> list[Delivery]:
        return [one for one in self.events.deliveries() if not one.subscriber.startswith("_")]

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
