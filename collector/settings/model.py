"""Name every key of the configuration with its type, its bounds and its default.

`config/default.yaml` and `docs/configuration.md` say the same; a test holds the three together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from types import MappingProxyType
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

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
)

from collector.exchanges.exchange import Environment, MarketKind
from collector.settings.secrets import MASK, mask_url, passwords_in

SampleMode = Literal["every", "on_top_change", "interval"]
DataSource = Literal["live_trading", "testnet", "demo", "simulator"]


@dataclass(frozen=True, slots=True)
class Expected:
    """What a value must be, in the words of the message for one that is not."""

    text: str


Seconds = Annotated[float, Field(gt=0, le=3600), Expected("seconds, above 0 and at most 3600")]
PerSecond = Annotated[
    float, Field(gt=0, le=1_000_000), Expected("a number a second, above 0 and at most 1000000")
]
Days = Annotated[float, Field(gt=0, le=36_500), Expected("days, above 0 and at most 36500")]
Count = Annotated[int, Field(ge=1, le=1_000_000), Expected("a whole number from 1 to 1000000")]
Rows = Annotated[int, Field(ge=1, le=10_000_000), Expected("a whole number from 1 to 10000000")]
Bytes = Annotated[
    int, Field(ge=65_536, le=1 << 44), Expected("a whole number of bytes from 65536 to 17592186044416")
]
Levels = Annotated[int, Field(ge=1, le=1000), Expected("a whole number from 1 to 1000")]
Share = Annotated[float, Field(gt=0, le=100), Expected("a share, above 0 and at most 100; 0.2 is 20 percent")]
Flag = Annotated[bool, Expected("true or false")]
Text = Annotated[str, Field(min_length=1), Expected("text")]
Symbol = Annotated[
    str, Field(pattern=r"^[^\s,]{1,64}$"), Expected("the name of a market, like BTC/USDT:USDT")
]
Channel = Annotated[str, Field(min_length=1), Expected("a channel, like book.50")]


class Part(BaseModel):
    """One part of the configuration, as the part of the program that owns it is handed it."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, hide_input_in_errors=True
    )


Milliseconds = Annotated[
    int, Field(ge=1, le=86_400_000), Expected("whole milliseconds, from 1 to 86400000 (a day)")
]


class SymbolSample(Part):
    """Which book rows of one market are stored."""

    mode: SampleMode
    interval_ms: Milliseconds | None = None


def _plain(value: Mapping[str, Any], handler: SerializerFunctionWrapHandler) -> Any:
    return handler(dict(value))


class SampleSettings(Part):
    """Which book rows are stored."""

    mode: SampleMode = "every"
    interval_ms: Milliseconds = 1000
    symbols: Annotated[
        Mapping[Symbol, SymbolSample],
        Field(default_factory=lambda: MappingProxyType({})),
        AfterValidator(MappingProxyType),
        WrapSerializer(_plain),
        Expected("markets, each with its mode, like {BTC/USDT:USDT: {mode: interval, interval_ms: 100}}"),
    ]


class EndpointSettings(Part):
    """Base URLs to dial instead of the exchange's own."""

    rest: Annotated[str | None, Expected("an http:// or https:// URL, or null")] = None
    ws: Annotated[str | None, Expected("a ws:// or wss:// URL, or null")] = None

    @property
    def on_loopback(self) -> bool:
        """Whether either of them is on this machine."""
        return any(url is not None and _is_loopback(url) for url in (self.rest, self.ws))


class Credentials(Part):
    """A key of the exchange; from the environment only."""

    api_key: SecretStr
    api_secret: SecretStr


class ExchangeSettings(Part):
    """What to collect from one exchange."""

    environment: Environment = "live"
    market: MarketKind | None = None  # that a plain name means; None: the exchange's first
    symbols: Annotated[tuple[Symbol, ...], Expected('a list of markets, like ["BTC/USDT:USDT"]')] = ()
    channels: Annotated[tuple[Channel, ...], Expected("a list of channels, like [book.50]")] = (
        "book.50",  # where an exchange has none, its next deeper one: see `load`
    )
    endpoints: EndpointSettings = EndpointSettings()
    data_source: DataSource | None = None
    sample: Annotated[SampleSettings, Field(default_factory=SampleSettings)]
    credentials: Credentials | None = None  # not a key of the configuration: see `load`

    @property
    def stored_data_source(self) -> DataSource:
        """What the rows are marked with: `data_source`, or what follows from where the data comes from."""
        if self.data_source is not None:
            return self.data_source
        if self.endpoints.on_loopback:
            return "simulator"
        return "live_trading" if self.environment == "live" else self.environment


DatabaseUrl = Annotated[
    str,
    Field(min_length=1),
    PlainSerializer(mask_url),
    Expected("a path of an SQLite file, or a URL that begins with sqlite:// or postgresql://"),
]


class DatabaseSettings(Part):
    """Where rows go."""

    url: DatabaseUrl = "./trading_bot_live.db"
    table_name: Text = "l2_training_data_practical"
    auto_migrate: Flag = False
    synchronous: Literal["full", "normal"] = "full"
    busy_timeout_s: Seconds = 5.0
    call_timeout_s: Seconds = 30.0

    def __repr_args__(self) -> Any:
        """Mask the password that the URL may hold."""
        for name, value in super().__repr_args__():
            yield name, mask_url(value) if name == "url" else value


def _with_url(value: object) -> object:
    return {"url": value} if isinstance(value, str) else value


class FollowerSettings(Part):
    """A further sink, which gets what the database has committed, at its own pace."""

    url: DatabaseUrl
    spool_max_bytes: Bytes = 1_073_741_824

    def __repr_args__(self) -> Any:
        """Leave no password in a traceback."""
        for name, value in super().__repr_args__():
            yield name, mask_url(value) if name == "url" else value


FollowerText = Annotated[
    FollowerSettings,
    BeforeValidator(_with_url),
    Expected("a URL, or a mapping with url and spool_max_bytes (a whole number of bytes from 65536)"),
]


class BufferSettings(Part):
    """What is held between the websocket thread and the writer."""

    max_rows: Rows = 200_000
    max_bytes: Bytes = 268_435_456


class WriterSettings(Part):
    """How rows are taken to the database."""

    batch_rows: Count = 1000
    interval_s: Seconds = 0.5
    retry_base_s: Seconds = 0.1
    retry_max_s: Seconds = 30.0


class SpoolSettings(Part):
    """Where batches wait while the database takes none."""

    path: Annotated[str | None, Field(min_length=1), Expected("the path of a file, or null")] = None
    max_bytes: Bytes = 2_147_483_648
    after_s: Seconds = 1.0


class BreakerSettings(Part):
    """When the database is left alone, and for how long."""

    failures: Count = 3
    wait_base_s: Seconds = 0.5
    wait_max_s: Seconds = 30.0


class StreamSettings(Part):
    """How connections are made, watched and made again."""

    connect_timeout_s: Seconds = 10.0
    subscribe_timeout_s: Seconds = 30.0
    markets_timeout_s: Seconds = 30.0
    heartbeat_s: Seconds = 10.0
    stale_after_s: Seconds = 10.0
    backoff_base_s: Seconds = 0.2
    backoff_max_s: Seconds = 60.0
    max_reconnect_attempts: Count = 10
    connects_a_second: PerSecond = 5.0
    requests_a_second: PerSecond = 20.0
    messages_a_connection: PerSecond = 2000.0


class IntegritySettings(Part):
    """What is believed, and when doubts become an alarm."""

    max_mismatches: Count = 3
    mismatch_window_s: Seconds = 60.0
    max_time_off_s: Seconds = 3600.0
    max_jump: Share = 0.2
    witness_every_s: Seconds = 900.0
    max_critical_errors: Count = 10
    critical_window_s: Seconds = 60.0


class StorageSettings(Part):
    """What of a book is kept."""

    levels: Levels = 10
    features: Literal["practical", "deep"] = "practical"


class HousekeepingSettings(Part):
    """What is done now and then, so that the bookkeeping stays small."""

    every_s: Seconds = 3600.0
    slice_rows: Rows = 2_000
    batches_days: Days = 7.0
    events_days: Days = 90.0
    rejected_days: Days = 30.0


class RetentionSettings(Part):
    """What stays in the database, and where older rows go."""

    days: Days | None = None
    path: str = "./archive"


class ShutdownSettings(Part):
    """How the program ends."""

    deadline_s: Seconds = 10.0


class LoggingSettings(Part):
    """What the program says, and where."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"
    file: Annotated[str | None, Field(min_length=1), Expected("the path of a file, or null")] = None
    max_bytes: Annotated[
        int, Field(ge=10_000, le=10**12), Expected("a whole number of bytes, at least 10000")
    ] = 50_000_000
    keep_files: Annotated[int, Field(ge=1, le=1000), Expected("a whole number from 1 to 1000")] = 5


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
    buffer: BufferSettings = BufferSettings()
    writer: WriterSettings = WriterSettings()
    spool: SpoolSettings = SpoolSettings()
    breaker: BreakerSettings = BreakerSettings()
    stream: StreamSettings = StreamSettings()
    integrity: IntegritySettings = IntegritySettings()
    storage: StorageSettings = StorageSettings()
    housekeeping: HousekeepingSettings = HousekeepingSettings()
    retention: RetentionSettings = RetentionSettings()
    shutdown: ShutdownSettings = ShutdownSettings()
    logging: LoggingSettings = LoggingSettings()

    def masked(self) -> dict[str, Any]:
        """Return plain values fit for printing, with every secret masked."""
        plain = self.model_dump(mode="json")
        for exchange in plain["exchanges"].values():
            if exchange["credentials"] is not None:
                exchange["credentials"] = dict.fromkeys(exchange["credentials"], MASK)
        return plain

    def secrets(self) -> tuple[str, ...]:
        """Return every secret value, for whoever must keep them out of a text."""
        keys = [one.credentials for one in self.exchanges.values() if one.credentials is not None]
        values = [secret.get_secret_value() for pair in keys for secret in (pair.api_key, pair.api_secret)]
        urls = [self.database.url, *(one.url for one in self.followers)]
        return (*values, *(password for url in urls for password in passwords_in(url)))


def _is_loopback(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
