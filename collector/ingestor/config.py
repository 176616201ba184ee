"""The short flat keys of an ingestor, and what each means in the full settings."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Final, Self

from collector.errors import SettingsError
from collector.exchanges.venues import VENUES, kind_of, smallest_depth_holding
from collector.settings import Settings, load_settings
from collector.settings.keys import nearest
from collector.settings.layers import listed, shown

NAME = "config"  # what messages call it
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
LONGEST_TIMEOUT_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DataIngestorConfig:
    """What to collect and where to put it. Made wrong, it tells every mistake at once (SettingsError)."""

    exchange: str = "bybit"
    symbol: str | Sequence[str] = "BTC/USDT:USDT"  # one, several separated by commas, or a list
    sandbox: bool = False  # the exchange's testnet
    db_path: str | os.PathLike[str] = "./trading_bot_live.db"  # of an SQLite file; or an SQLAlchemy URL
    table_name: str = "l2_training_data_practical"
    buffer_size: int = 100  # rows that trigger a flush
    write_interval: float = 1.0  # seconds that a row waits for one at most
    orderbook_depth: int = 10  # levels a side
    max_reconnect_attempts: int = 10  # failures in a row before a PotentialHalt; tries go on for ever
    reconnect_delay: float = 5.0  # seconds, the base of the backoff
    channels: Sequence[str] = ()  # beside the book: trade, ohlcv.1m, bbo
    endpoints: Mapping[str, str] | None = None  # rest and ws of another host: a simulator, a proxy
    data_source: str | None = None  # what rows are marked with; None: what sandbox and endpoints say
    max_mismatches: int = 3  # doubts about one book within a minute before a PotentialHalt
    max_critical_errors: int = 10  # cuts, failed snapshots and doubts of an exchange in a minute before one
    start_timeout: float = 30.0  # seconds for the first verified book
    stop_timeout: float = 10.0  # seconds to drain and close
    settings: Mapping[str, Any] = field(default_factory=lambda: NOTHING)  # more: {"stream.heartbeat_s": 5}

    def __post_init__(self) -> None:
        problems = _own_problems(self)
        try:
            self.to_settings()
        except SettingsError as error:
            problems += [text for text in error.problems if text not in problems]
        if problems:
            raise SettingsError(sorted(problems))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read a dict; an unknown key is a mistake like any other."""
        known = [one.name for one in fields(cls)]
        problems = [_unknown(str(name), known) for name in values if name not in known]
        try:
            config = cls(**{name: value for name, value in values.items() if name in known})
        except SettingsError as error:
            problems += error.problems
        if problems:
            raise SettingsError(sorted(problems))
        return config

    def to_settings(self) -> Settings:
        """Return the full settings that this comes to; COLLECTOR_ variables set what no short key does."""
        exchange = str(self.exchange)
        meant = {(short, path.format(exchange=exchange)): mean(self) for short, path, mean in TABLE}
        given = {path: to for (short, path), to in meant.items() if to is not None or short not in OPTIONAL}
        try:
            return load_settings(
                overrides={**given, **(self.settings if isinstance(self.settings, Mapping) else {})},
                environ=_without_exchanges(os.environ),
                env_file=None,
                overrides_name=NAME,
            )
        except SettingsError as error:
            raise SettingsError([_in_short_keys(text, exchange) for text in error.problems]) from None


OPTIONAL: Final = frozenset({"exchange", "endpoints", "data_source"})
Meaning = Callable[[DataIngestorConfig], object]


def _symbols(config: DataIngestorConfig) -> object:
    return list(config.symbol) if isinstance(config.symbol, tuple) else config.symbol


def _environment(config: DataIngestorConfig) -> object:
    return "testnet" if config.sandbox else "live"


def _channels(config: DataIngestorConfig) -> object:
    """Choose the smallest book that holds the levels, for each kind of market that is meant."""
    meant = {kind_of(name) for name in _texts(config.symbol)}
    offered = VENUES[config.exchange].kinds if config.exchange in VENUES else ()
    kinds = [kind for kind in offered if kind in meant] or offered
    try:
        depths = [smallest_depth_holding(config.exchange, kind, config.orderbook_depth) for kind in kinds]
    except (SettingsError, TypeError):  # a number of levels that is told of by itself
        depths = []
    return [f"book.{max(depths, default=50)}", *_texts(config.channels)]


def _database(config: DataIngestorConfig) -> object:
    return os.fspath(config.db_path) if isinstance(config.db_path, os.PathLike) else config.db_path


def _texts(value: object) -> Sequence[str]:
    """Read a list, or names separated by commas; what is neither is told of by itself."""
    if isinstance(value, str):
        return listed(value)
    return [str(one) for one in value] if isinstance(value, list | tuple) else []


# The one table: a short key, where it stands in the full settings, and what is put there.
TABLE: Final[tuple[tuple[str, str, Meaning], ...]] = (
    ("symbol", "exchanges.{exchange}.symbols", _symbols),
    ("channels", "exchanges.{exchange}.channels", _channels),
    ("sandbox", "exchanges.{exchange}.environment", _environment),
    ("endpoints", "exchanges.{exchange}.endpoints", lambda config: config.endpoints),
    ("data_source", "exchanges.{exchange}.data_source", lambda config: config.data_source),
    ("db_path", "database.url", _database),
    ("table_name", "database.table_name", lambda config: config.table_name),
    ("buffer_size", "writer.batch_rows", lambda config: config.buffer_size),
    ("write_interval", "writer.interval_s", lambda config: config.write_interval),
    ("orderbook_depth", "storage.levels", lambda config: config.orderbook_depth),
    ("max_reconnect_attempts", "stream.max_reconnect_attempts", lambda config: config.max_reconnect_attempts),
    ("reconnect_delay", "stream.backoff_base_s", lambda config: config.reconnect_delay),
    ("max_mismatches", "integrity.max_mismatches", lambda config: config.max_mismatches),
    ("max_critical_errors", "integrity.max_critical_errors", lambda config: config.max_critical_errors),
    ("stop_timeout", "shutdown.deadline_s", lambda config: config.stop_timeout),
    ("exchange", "exchanges.{exchange}", lambda _: None),  # the others' place; last, for it begins theirs
)


def _own_problems(config: DataIngestorConfig) -> list[str]:
    """Check what the full settings cannot be asked about."""
    seconds = config.start_timeout
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    wanted: list[tuple[str, bool, str]] = [
        ("exchange", isinstance(config.exchange, str), "the name of an exchange"),
        ("sandbox", isinstance(config.sandbox, bool), "true or false"),
        ("channels", isinstance(config.channels, list | tuple | str), "a list of channels, like ['trade']"),
        ("settings", isinstance(config.settings, Mapping), "full keys, like {'stream.heartbeat_s': 5}"),
        (
            "start_timeout",
            is_number and 0 < seconds <= LONGEST_TIMEOUT_S,
            "seconds, above 0 and at most 3600",
        ),
    ]
    return [
        f"{NAME}: {name}: found {shown(getattr(config, name))}, expected {expected}"
        for name, right, expected in wanted
        if not right
    ]


def _unknown(name: str, known: Sequence[str]) -> str:
    close = nearest(name, known) or f", expected one of {', '.join(known)}"
    return f"{NAME}: {name[:60]!r}: found a key that an ingestor does not have{close}"


def _in_short_keys(text: str, exchange: str) -> str:
    """Name a key in a message as the caller knows it."""
    for short, path, _ in TABLE:
        long = re.escape(path.format(exchange=exchange))
        text, changed = re.subn(rf"^({NAME}): {long}(?=[:.\[])", rf"\1: {short}", text)
        if changed:
            break
    return text


def _without_exchanges(environ: Mapping[str, str]) -> dict[str, str]:
    """Leave out what the environment says of exchanges: which one and what is said in the config."""
    ours = {name: value for name, value in environ.items() if name.upper() != "SYMBOLS"}
    return {name: value for name, value in ours.items() if not name.upper().startswith("COLLECTOR_EXCHANGES")}
