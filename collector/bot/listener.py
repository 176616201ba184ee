"""Listen to exchanges without a database: events, ticks and bars, and nothing is stored."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from collector.app import Collector, make_listener
from collector.bot.config import DataIngestorConfig
from collector.bot.ingestor import DataIngestor
from collector.bot.stats import IngestorStats
from collector.bot.tick import Tick
from collector.errors import UserError
from collector.events import MOST_WAITING, EventBus, Loop
from collector.settings import Settings
from collector.sinks import Nowhere


class Listener(DataIngestor):
    """A `DataIngestor` without a database: the same events, proven the same way, and no file is made.

    What a config says of storing has no effect here. In `get_stats` what came and was right is
    `sampled_out`: it is counted, and stored nowhere.
    """

    _make_collector: "ClassVar[Callable[..., Collector]]" = staticmethod(make_listener)

    def __init__(
        self,
        config: DataIngestorConfig | Settings | Mapping[str, Any],
        *,
        events: EventBus | None = None,
        logger: object = None,
    ) -> None:
        known = DataIngestorConfig.from_dict(config) if isinstance(config, Mapping) else config
        super().__init__(known, events=events, logger=logger)

    @property
    def database_url(self) -> str:
        """Raise UserError: there is none."""
        raise UserError("a Listener has no database; expected a DataIngestor, which stores what it sees")

    def add_tick_callback(
        self,
        callback: Callable[[Tick], object],
        *,
        name: str | None = None,
        most_waiting: int = MOST_WAITING,
        loop: Loop | None = None,
    ) -> Callable[[], None]:
        """Call a callback, plain or async, with each tick, in a thread of its own: `channels` has `trade`.

        Call the result to end that. One that cannot keep up loses its own oldest ticks, counted under `name`.
        """
        return self.ticks.subscribe(callback, name=name, most_waiting=most_waiting, loop=loop)

    def process_tick(self, tick: Tick) -> None:
        """Take a tick that comes from elsewhere: kept as the latest, and handed to the tick callbacks."""
        self.ticks.update(tick)

    def get_stats(self) -> IngestorStats:
        """Return the statistics of an ingestor; nothing is committed."""
        return {**super().get_stats(), "commits": 0, "last_commit_s": 0.0, "last_commit_ns": None}

    @property
    def _database_shown(self) -> str:
        return Nowhere.name
