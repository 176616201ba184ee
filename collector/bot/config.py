"""Define the short keys of an ingestor, and translate them into the full settings."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Final, Self

from collector.bot.wording import WrittenConfig, in_short_keys
from collector.errors import SettingsError
from collector.exchanges import (
    DEFAULT_EXCHANGE,
    DEFAULT_LEVELS,
    EXCHANGES,
    UNVERIFIED_NAMES,
    default_channel,
    exchange_of,
    is_known,
    kind_meant,
    one_kind,
    one_of,
)
from collector.nearest import did_you_mean
from collector.settings import Loaded, Settings, listed, load_with_notes, shown

NAME = "config"  # what messages call it
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
LONGEST_TIMEOUT_S = 3600.0
MOST_LEVELS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class DataIngestorConfig:
    """What to collect and where to store it. Raises SettingsError with every mistake at once."""

    exchange: str = DEFAULT_EXCHANGE
    symbol: str | Sequence[str] = "BTC/USDT:USDT"  # one, several separated by commas, or a list
    sandbox: bool = False  # the exchange's testnet; False says nothing
    environment: str | None = (
        None  # live, testnet or demo; None: what sandbox or <EXCHANGE>_TESTNET says, or live
    )
    market: str | None = None  # kind that a plain name means: spot or linear; None: the exchange's first
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
    serve_port: int | None = None  # health and metrics over HTTP on 127.0.0.1; 0: any free port; None: none
    settings: Mapping[str, Any] = field(default_factory=lambda: NOTHING)  # more: {"stream.heartbeat_s": 5}

    def __post_init__(self) -> None:
        problems = _own_problems(self)
        reported = {_key_in(text) for text in problems}
        try:
            self.to_settings()
        except SettingsError as error:
            problems += [text for text in error.problems if _key_in(text) not in reported]
        if problems:
            raise SettingsError(sorted(problems))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from a dict; an unknown key is a mistake like any other."""
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
        """Return the full settings; COLLECTOR_ variables set what no short key does."""
        return self.load().settings

    def load(self) -> Loaded:
        """Return the full settings, and notes on them for a person."""
        more = self.settings if isinstance(self.settings, Mapping) else {}
        try:
            return _load({**_meant(self), **more})
        except SettingsError as error:
            exchange = known_exchange(self)
            written = WrittenConfig(
                NAME,
                {one.name: getattr(self, one.name) for one in fields(self)},
                [(short, path.format(exchange=exchange)) for short, path, _ in TABLE],
                more,
                [place for _, place in channels_of(self)],
            )
            problems = in_short_keys(error.problems, written, lambda: _load(more).settings)
            raise SettingsError(problems) from None


OPTIONAL: Final = frozenset({"exchange", "environment", "market", "endpoints", "data_source", "serve_port"})
Meaning = Callable[[DataIngestorConfig], object]


def _load(overrides: Mapping[str, object]) -> Loaded:
    return load_with_notes(overrides=overrides, overrides_name=NAME, variables_name_exchanges=False)


def _meant(config: DataIngestorConfig) -> dict[str, object]:
    """Return the full keys that the short ones stand for."""
    exchange = known_exchange(config)
    meant = {(short, path.format(exchange=exchange)): mean(config) for short, path, mean in TABLE}
    return {path: to for (short, path), to in meant.items() if to is not None or short not in OPTIONAL}


def _symbols(config: DataIngestorConfig) -> object:
    return list(config.symbol) if isinstance(config.symbol, tuple) else config.symbol


def _environment(config: DataIngestorConfig) -> object:
    return "testnet" if config.sandbox is True else config.environment


def channels_of(config: DataIngestorConfig) -> list[tuple[str, str]]:
    """Return the smallest book that holds the levels and the other channels, each with the caller's key."""
    exchange, names = known_exchange(config), _texts(config.symbol)
    try:
        book = default_channel(exchange, names, one_kind(config.market), config.orderbook_depth)
    except (SettingsError, TypeError):  # a number of levels that is told of by itself
        book = f"book.{DEFAULT_LEVELS}"
    others = [(one, f"channels[{number}]") for number, one in enumerate(_texts(config.channels))]
    return [(book, "orderbook_depth"), *((one, place) for one, place in others if one != book)]


def _channels(config: DataIngestorConfig) -> object:
    return [channel for channel, _ in channels_of(config)]


def _database(config: DataIngestorConfig) -> object:
    return os.fspath(config.db_path) if isinstance(config.db_path, os.PathLike) else config.db_path


def _texts(value: object) -> Sequence[str]:
    """Read a list, or names separated by commas; anything else is reported elsewhere."""
    if isinstance(value, str):
        return listed(value)
    return [str(one) for one in value] if isinstance(value, list | tuple) else []


# The one table: a short key, where it stands in the full settings, and what is put there.
TABLE: Final[tuple[tuple[str, str, Meaning], ...]] = (
    ("symbol", "exchanges.{exchange}.symbols", _symbols),
    ("channels", "exchanges.{exchange}.channels", _channels),
    ("environment", "exchanges.{exchange}.environment", _environment),
    ("market", "exchanges.{exchange}.market", lambda config: config.market),
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
    ("serve_port", "serve.enabled", lambda config: None if config.serve_port is None else True),
    ("serve_port", "serve.port", lambda config: config.serve_port),
    ("exchange", "exchanges.{exchange}", lambda _: None),  # the others' place; last, for it begins theirs
)


def known_exchange(config: DataIngestorConfig) -> str:
    """Return the exchange; the default one for an unknown name, which is reported elsewhere."""
    known = isinstance(config.exchange, str) and is_known(config.exchange)
    return config.exchange if known else DEFAULT_EXCHANGE


def _own_problems(config: DataIngestorConfig) -> list[str]:
    """Check what the full settings cannot check."""
    seconds = config.start_timeout
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    known = f"{one_of(list(EXCHANGES))}, or another of ccxt.pro's"
    wanted: list[tuple[str, bool, str]] = [
        ("exchange", known_exchange(config) == config.exchange, known + _nearest_exchange(config.exchange)),
        ("sandbox", isinstance(config.sandbox, bool), "true or false"),
        ("channels", isinstance(config.channels, list | tuple | str), "a list of channels, like ['trade']"),
        ("settings", isinstance(config.settings, Mapping), "full keys, like {'stream.heartbeat_s': 5}"),
        (
            "start_timeout",
            is_number and 0 < seconds <= LONGEST_TIMEOUT_S,
            "seconds, above 0 and at most 3600",
        ),
    ]
    problems = [
        f"{NAME}: {name}: found {shown(getattr(config, name))}, expected {expected}"
        for name, right, expected in wanted
        if not right
    ]
    if config.sandbox is True and config.environment not in (None, "testnet"):
        found = f"found sandbox true and environment {shown(config.environment)}"
        problems.append(f"{NAME}: sandbox: {found}, expected one of the two, or environment 'testnet'")
    return [*problems, *_depth_problems(config)]


def _depth_problems(config: DataIngestorConfig) -> list[str]:
    """Compare the levels wanted with the deepest book that the exchange has."""
    exchange, wanted = known_exchange(config), config.orderbook_depth
    meant = {kind_meant(exchange, name, one_kind(config.market)) for name in _texts(config.symbol)}
    deepest = [
        depths[-1] for kind, depths in exchange_of(exchange).depths.items() if kind in meant or not meant
    ]
    most = min([MOST_LEVELS, *deepest])
    right = isinstance(wanted, int) and not isinstance(wanted, bool) and 1 <= wanted <= most
    expected = f"a whole number from 1 to {most}, the deepest book of {exchange} that can be kept"
    return [] if right else [f"{NAME}: orderbook_depth: found {shown(wanted)}, expected {expected}"]


def _nearest_exchange(name: object) -> str:
    return did_you_mean(name, [*EXCHANGES, *sorted(UNVERIFIED_NAMES)]) if isinstance(name, str) else ""


def _key_in(text: str) -> str:
    return text.split(": ")[1]


def _unknown(name: str, known: Sequence[str]) -> str:
    close = did_you_mean(name, known) or f", expected one of {', '.join(known)}"
    return f"{NAME}: {name[:60]!r}: found a key that an ingestor does not have{close}"
