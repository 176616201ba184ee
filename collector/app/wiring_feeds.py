"""Build the feeds from the settings, and look up the configuration of each stream."""

from collections.abc import Callable
from functools import partial

from collector.app.logs import log_unknown
from collector.book import Kernel
from collector.buffer import Buffer
from collector.clock import Clock
from collector.errors import SinkError, UserError
from collector.events import UNKNOWN, Channel, EventBus, StreamKey
from collector.exchanges import dialled, kind_of, kinds_in_order
from collector.features import TOTAL_LEVELS, Sampling, StreamFacts
from collector.live import Claim, Feed, Limits, StreamThread, Wanted
from collector.loggers import get_logger
from collector.masking import mask_url
from collector.network import Source
from collector.query import last_universe
from collector.settings import ExchangeSettings, Settings

log = get_logger(__name__)


def levels_per_row(settings: Settings) -> int:
    """Return how many levels of a book the buffer holds: those shown, and at least those of the features."""
    return max(TOTAL_LEVELS, settings.storage.levels)


def make_feeds(
    settings: Settings,
    buffer: Buffer,
    *,
    clock: Clock,
    events: EventBus,
    new_segment_id: Callable[[], int],
    claim: Claim,
    patience_s: float,
    kernel: Kernel | None,
) -> list[Feed]:
    """Build a feed for each exchange with symbols. Call it in the websocket thread."""
    for name, exchange in settings.exchanges.items():
        if exchange.symbols:
            _log_addresses(source_of(name, exchange), exchange.symbols)
    limits = Limits(settings.stream, settings.integrity, levels_per_row(settings), settings.storage.levels)
    return [
        Feed(
            _wanted(name, exchange),
            limits,
            buffer,
            clock=clock,
            events=events,
            new_segment_id=new_segment_id,
            on_unknown=log_unknown(name),
            claim=claim,
            patience_s=patience_s,
            remembered=partial(remembered_universe, settings, name),
            kernel=kernel,
        )
        for name, exchange in settings.exchanges.items()
        if exchange.is_collected
    ]


def _log_addresses(source: Source, names: tuple[str, ...]) -> None:
    """Log where an exchange is asked, as what; passwords in addresses are masked.

    What a name like BTCUSDT means is not known yet: then the addresses of all kinds of market are told.
    """
    meant = {kind_of(name) for name in names}
    kinds = source.kinds if None in meant else [kind for kind in source.kinds if kind in meant]
    addresses = dialled(source.exchange, source.environment, source.endpoints, kinds)
    where = " ".join(mask_url(url) for url in addresses) or "as ccxt knows them"
    log.info("exchange.dialled", exchange=source.exchange, environment=source.environment, addresses=where)


def _wanted(name: str, exchange: ExchangeSettings) -> Wanted:
    return Wanted(
        source_of(name, exchange),
        exchange.symbols,
        exchange.channels,
        exchange.universe,
        looks_by_itself=False,
    )


def remembered_universe(settings: Settings, name: str) -> list[str]:
    """Return what the database says belonged to an exchange's universe; none where it cannot be read."""
    database = settings.database
    try:
        return last_universe(database.url, name, table_name=database.table_name)
    except (UserError, SinkError) as error:
        log.info("universe.not_remembered", exchange=name, reason=str(error))
        return []


def source_of(name: str, exchange: ExchangeSettings) -> Source:
    """Return where an exchange is asked."""
    return Source(name, exchange.environment, exchange.endpoints, kinds_in_order(name, exchange.market))


def facts_of(settings: Settings, buffer: Buffer, stream: StreamThread) -> Callable[[int], StreamFacts]:
    """Return a function that returns the facts of a stream, by its number, that its features need."""

    def facts(number: int) -> StreamFacts:
        key = buffer.key(number)
        if key.symbol == UNKNOWN:
            return StreamFacts(key, 0, "")  # gives no rows
        channel = Channel.of(key.channel)
        depth = channel.depth if channel.is_book else 0
        source = settings.exchanges[key.exchange].stored_data_source
        sampling = _sampling(settings, stream, key)
        return StreamFacts(key, depth, source, sampling, buffer.contract(number), buffer.origin(number))

    return facts


def _sampling(settings: Settings, stream: StreamThread, key: StreamKey) -> Sampling:
    """Return the sampling of a stream: that of its market, under any of its names, or of its exchange."""
    sample = settings.exchanges[key.exchange].sample
    symbol_of = next(feed.symbol_of for feed in stream.feeds if feed.exchange == key.exchange)
    for name, one in sample.symbols.items():
        if key.symbol in (name, symbol_of(name)):
            return Sampling(one.mode, one.interval_ms or sample.interval_ms)
    return Sampling(sample.mode, sample.interval_ms)
