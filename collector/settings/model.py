"""Compose the configuration of the classes that the parts own: every key with its bounds and its default.

`config/default.yaml` and `docs/configuration.md` say the same; a test holds the three together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    SerializerFunctionWrapHandler,
    WrapSerializer,
    model_validator,
)

from collector.bounds import Bytes, Days, Expected, Flag, Milliseconds, Seconds
from collector.buffer import BufferLimits
from collector.exchanges import Endpoints, Environment, MarketKind
from collector.features import Mode, Sampling, StorageOptions
from collector.health import HealthLimits
from collector.live import Integrity, Pace, Universe
from collector.log import LogOptions
from collector.masking import MASK, mask_url, passwords_in
from collector.retention import RetentionOptions
from collector.settings.reports import CloudwatchSettings, Stream
from collector.sinks import SinkOptions, StreamOptions, UpkeepOptions
from collector.writer import BreakerLimits, SpoolLimits, WriterLimits

DataSource = Literal["live_trading", "testnet", "demo", "simulator"]
Symbol = Annotated[
    str, Field(pattern=r"^[^\s,]{1,64}$"), Expected("the name of a market, like BTC/USDT:USDT")
]
Channel = Annotated[str, Field(min_length=1), Expected("a channel, like book.50")]
Host = Annotated[
    str, Field(pattern=r"^[0-9A-Za-z.:-]{1,253}$"), Expected("an address, like 127.0.0.1 or ::1")
]
HostName = Annotated[
    str,
    Field(pattern=r"^[0-9A-Za-z.-]{1,253}$"),
    Expected("a host's name, like metrics.example"),
]
Port = Annotated[int, Field(ge=0, le=65_535), Expected("a port from 1 to 65535, or 0: any that is free")]
DatabaseUrl = Annotated[
    str,
    Field(min_length=1),
    PlainSerializer(mask_url),
    Expected("a path of an SQLite file, or a URL that begins with sqlite:// or postgresql://"),
]


DeadLetterPlace = Annotated[
    str | None, Field(min_length=1), Expected("the path of a file, a stream's URL, or null: beside the spool")
]


class Part(BaseModel):
    """A section of the configuration. A section within it may be a dataclass of the part that uses it."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        revalidate_instances="always",
    )

    @model_validator(mode="before")
    @classmethod
    def _with_sections_made(cls, values: object) -> object:
        """Convert mappings to the parts' dataclasses; pydantic checks their fields afterwards."""
        if not isinstance(values, Mapping):
            return values
        return {name: cls._made(name, value) for name, value in values.items()}

    @classmethod
    def _made(cls, name: str, value: object) -> object:
        known = cls.model_fields.get(name)
        if known is None or not is_dataclass(known.annotation) or not isinstance(value, Mapping):
            return value
        try:
            return known.annotation(**value)
        except TypeError:  # a key that it does not have: pydantic refuses the mapping
            return value


def _plain(value: Mapping[str, Any], handler: SerializerFunctionWrapHandler) -> Any:
    return handler(dict(value))


class SymbolSample(Part):
    """Which book rows of one market are stored."""

    mode: Mode
    interval_ms: Milliseconds | None = None


@dataclass(frozen=True)
class SampleSettings(Sampling):
    """Which book rows are stored."""

    symbols: Annotated[
        Mapping[Symbol, SymbolSample],
        AfterValidator(MappingProxyType),
        WrapSerializer(_plain),
        Expected("markets, each with its mode, like {BTC/USDT:USDT: {mode: interval, interval_ms: 100}}"),
    ] = field(default_factory=lambda: MappingProxyType({}))


class Credentials(Part):
    """A key of the exchange; from the environment only."""

    api_key: SecretStr
    api_secret: SecretStr


class ExchangeSettings(Part):
    """What to collect from one exchange."""

    environment: Environment = "live"
    market: MarketKind | None = None  # that a plain name means; None: the exchange's first
    symbols: Annotated[tuple[Symbol, ...], Expected('a list of markets, like ["BTC/USDT:USDT"]')] = ()
    universe: Universe = Universe()  # beside them
    channels: Annotated[tuple[Channel, ...], Expected("a list of channels, like [book.50]")] = (
        "book.50",  # where an exchange has none, its next deeper one: see `load`
    )
    endpoints: Endpoints = Endpoints()
    data_source: DataSource | None = None
    sample: Annotated[SampleSettings, Field(default_factory=SampleSettings)]
    credentials: Credentials | None = None  # not a key of the configuration: see `load`

    @property
    def is_collected(self) -> bool:
        """Return whether anything is collected from there."""
        return bool(self.symbols) or self.universe.top is not None

    @property
    def most_streams(self) -> int:
        """Return how many streams there are at most: a market named may be one of those traded most."""
        return (len(self.symbols) + (self.universe.top or 0)) * len(self.channels)

    @property
    def stored_data_source(self) -> DataSource:
        """Return what rows are marked with: `data_source`, or what follows from where the data comes from."""
        if self.data_source is not None:
            return self.data_source
        if self.endpoints.on_loopback:
            return "simulator"
        return "live_trading" if self.environment == "live" else self.environment


@dataclass(frozen=True)
class _Located:
    """Where a sink is."""

    url: DatabaseUrl


@dataclass(frozen=True, repr=False)
class DatabaseSettings(SinkOptions, _Located):
    """Where rows go."""

    url: DatabaseUrl = "./trading_bot_live.db"  # stands before the options, where `_Located` has it

    def __repr__(self) -> str:
        """Return a text for a traceback: without the password that the URL may hold."""
        return f"DatabaseSettings({mask_url(self.url)!r}, {self.table_name!r})"


def _with_url(value: object) -> object:
    return {"url": value} if isinstance(value, str) else value


class HeartbeatSettings(Part):
    """Signs of life of the collector, into a stream of their own."""

    stream: Stream = "ingestor-heartbeat"
    every_s: Seconds = 10.0


class FollowerSettings(Part):
    """A further sink, which gets what the database has committed, at its own pace."""

    url: DatabaseUrl
    spool_max_bytes: Bytes = 1_073_741_824
    records: Literal["batch", "single"] = "batch"  # this and what follows: of a stream
    coverage: Flag = True
    dead_letters: DeadLetterPlace = None
    heartbeat: HeartbeatSettings | None = HeartbeatSettings()

    @property
    def stream(self) -> StreamOptions:
        """Return how a stream gets its records."""
        return StreamOptions(self.records, self.coverage, self.dead_letters)

    def __repr_args__(self) -> Any:
        """Yield what a traceback shows: without the password that the URL may hold."""
        for name, value in super().__repr_args__():
            yield name, mask_url(value) if name == "url" else value


FollowerText = Annotated[
    FollowerSettings,
    BeforeValidator(_with_url),
    Expected(
        "a URL, or a mapping with url, spool_max_bytes (a whole number of bytes from 65536) and, of a "
        "stream, records (batch or single), coverage (true or false), dead_letters (a file or a stream's "
        "URL), heartbeat ({stream: NAME, every_s: SECONDS} or null)"
    ),
]


@dataclass(frozen=True)
class JobSettings:
    """What is done now and then, beside housekeeping and retention; null: never."""

    timeout_s: Seconds = 3600.0
    checkpoint_every_s: Seconds | None = 300.0
    clock_every_s: Seconds | None = 3600.0
    heartbeat_every_s: Seconds | None = 300.0
    quality: Flag = True
    fill_holes_every_s: Seconds | None = 600.0
    fill_holes_days: Days = 7.0


class ShutdownSettings(Part):
    """How the program ends."""

    deadline_s: Seconds = 10.0


@dataclass(frozen=True)
class ServeSettings:
    """How the running collector is shown over HTTP."""

    enabled: Flag | None = None
    host: Host = "127.0.0.1"
    port: Port = 8000
    hosts: Annotated[tuple[HostName, ...], Expected("a list of names, like [metrics.example]")] = ()
    token: SecretStr | None = field(default=None, repr=False)  # not a key of the configuration: see `load`


class MetricsSettings(Part):
    """Where metrics go, beside `/metrics`."""

    cloudwatch: CloudwatchSettings = CloudwatchSettings()


class Settings(Part):
    """The whole configuration."""

    exchanges: Annotated[
        Mapping[str, ExchangeSettings],
        Field(default_factory=lambda: MappingProxyType({})),
        AfterValidator(MappingProxyType),
        WrapSerializer(_plain),
    ]
    database: DatabaseSettings = DatabaseSettings()
    followers: Annotated[
        tuple[FollowerText, ...], Expected("a list of followers, like [{url: ./second.db}]")
    ] = ()
    buffer: BufferLimits = BufferLimits()
    writer: WriterLimits = WriterLimits()
    spool: SpoolLimits = SpoolLimits()
    breaker: BreakerLimits = BreakerLimits()
    stream: Pace = Pace()
    integrity: Integrity = Integrity()
    storage: StorageOptions = StorageOptions()
    housekeeping: UpkeepOptions = UpkeepOptions()
    retention: RetentionOptions = RetentionOptions()
    jobs: JobSettings = JobSettings()
    shutdown: ShutdownSettings = ShutdownSettings()
    serve: ServeSettings = ServeSettings()
    metrics: MetricsSettings = MetricsSettings()
    health: HealthLimits = HealthLimits()
    logging: LogOptions = LogOptions()

    def masked(self) -> dict[str, Any]:
        """Return plain values fit for printing, with every secret masked."""
        plain = self.model_dump(mode="json")
        for exchange in plain["exchanges"].values():
            if exchange["credentials"] is not None:
                exchange["credentials"] = dict.fromkeys(exchange["credentials"], MASK)
        if plain["serve"]["token"] is not None:
            plain["serve"]["token"] = MASK
        return plain

    def secrets(self) -> tuple[str, ...]:
        """Return every secret value, to be kept out of texts."""
        keys = [one.credentials for one in self.exchanges.values() if one.credentials is not None]
        values = [secret.get_secret_value() for pair in keys for secret in (pair.api_key, pair.api_secret)]
        if self.serve.token is not None:
            values.append(self.serve.token.get_secret_value())
        urls = [self.database.url, *(one.url for one in self.followers)]
        return (*values, *(password for url in urls for password in passwords_in(url)))
