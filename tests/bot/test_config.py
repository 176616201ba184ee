"""The short keys: what they come to, and every mistake told at once in the caller's own words."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from collector.bot.config import TABLE, DataIngestorConfig
from collector.errors import SettingsError

EXAMPLE = {
    "exchange": "bybit",
    "symbol": "BTC/USDT:USDT",
    "sandbox": False,
    "db_path": "./trading_bot_live.db",
    "table_name": "l2_training_data_practical",
    "buffer_size": 100,
    "write_interval": 1.0,
    "orderbook_depth": 10,
    "max_reconnect_attempts": 10,
    "reconnect_delay": 5.0,
}


def test_the_example_is_the_default_and_comes_to_full_settings() -> None:
    assert DataIngestorConfig.from_dict(EXAMPLE) == DataIngestorConfig()
    settings = DataIngestorConfig.from_dict(EXAMPLE).to_settings()
    (bybit,) = settings.exchanges.values()
    assert (bybit.symbols, bybit.channels, bybit.environment) == (("BTC/USDT:USDT",), ("book.50",), "live")
    assert (settings.database.url, settings.database.table_name) == (
        "./trading_bot_live.db",
        "l2_training_data_practical",
    )
    assert (settings.writer.batch_rows, settings.writer.interval_s, settings.storage.levels) == (100, 1.0, 10)
    assert (settings.stream.max_reconnect_attempts, settings.stream.backoff_base_s) == (10, 5.0)


def test_each_key_that_has_a_place_in_the_full_settings_stands_in_the_table() -> None:
    keys = {one.name for one in fields(DataIngestorConfig)}
    assert {short for short, _, _ in TABLE} == keys - {"start_timeout", "settings", "sandbox", "exchanges"}


@pytest.mark.parametrize(
    ("exchange", "symbol", "levels", "channel"),
    [
        ("bybit", "BTC/USDT", 1, "book.1"),
        ("bybit", "BTC/USDT:USDT", 51, "book.200"),
        ("kraken", "BTC/USD", 10, "book.10"),
        ("kraken", "XBT/USD", 11, "book.25"),
        ("binance", "BTCUSDT", 20, "book.20"),
    ],
)
def test_the_smallest_book_that_holds_the_levels_is_collected(
    exchange: str, symbol: str, levels: int, channel: str
) -> None:
    config = DataIngestorConfig(exchange=exchange, symbol=symbol, orderbook_depth=levels, channels=["trade"])
    assert config.to_settings().exchanges[exchange].channels == (channel, "trade")


def test_so_it_is_of_an_exchange_that_nobody_wrote_a_file_for() -> None:
    config = DataIngestorConfig(exchange="okxus", symbol="BTC/USDT", orderbook_depth=100)
    assert config.to_settings().exchanges["okxus"].channels == ("book.100",)


def test_several_symbols_and_everything_else_of_the_full_settings() -> None:
    config = DataIngestorConfig(
        symbol="BTC/USDT:USDT, ETHUSDT",
        sandbox=True,
        db_path=Path("some.db"),
        endpoints={"rest": "http://127.0.0.1:1", "ws": "ws://127.0.0.1:1"},
        settings={
            "exchanges.kraken": {"symbols": ["BTC/USD"], "channels": ["book.25"]},
            "stream.heartbeat_s": 5,
        },
    )
    settings = config.to_settings()
    assert settings.exchanges["bybit"].symbols == ("BTC/USDT:USDT", "ETHUSDT")
    assert settings.exchanges["bybit"].environment == "testnet"
    assert settings.exchanges["bybit"].stored_data_source == "simulator"
    assert settings.exchanges["kraken"].symbols == ("BTC/USD",)
    assert settings.stream.heartbeat_s == 5.0
    assert settings.database.url == "some.db"


def test_the_environment_names_no_exchange_but_sets_what_the_config_leaves_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SYMBOLS", "ETHUSDT")
    monkeypatch.setenv("COLLECTOR_EXCHANGES__KRAKEN__SYMBOLS", "BTC/USD")
    monkeypatch.setenv("COLLECTOR_LOGGING__LEVEL", "error")
    settings = DataIngestorConfig().to_settings()
    assert list(settings.exchanges) == ["bybit"]
    assert settings.exchanges["bybit"].symbols == ("BTC/USDT:USDT",)
    assert settings.logging.level == "error"


KNOWN = "expected one of bybit, binance, kraken, okx, or another of ccxt.pro's"
ROWS = "expected a whole number from 1 to 200000 (buffer.max_rows)"
DELAY = "expected seconds, above 0 and at most 60 (stream.backoff_max_s)"
SECONDS = "expected seconds, above 0 and at most 3600"
COUNT = "expected a whole number from 1 to 1000000"
DEPTH = "expected a whole number from 1 to 1000, the deepest book of bybit that can be kept"
MARKETS = 'expected a list of markets, like ["BTC/USDT:USDT"]'
PATH = "expected a path of an SQLite file, or a URL that begins with sqlite:// or postgresql://"
CHANNEL = "expected book.<depth>, bbo, trade or ohlcv.<interval>"
SOURCES = "expected one of live_trading, testnet, demo, simulator, or null"
KRAKEN = {"exchange": "kraken", "symbol": "BTC/USD"}


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"exchange": 5}, f"exchange: found 5, {KNOWN}"),
        ({"exchange": "bybitt"}, f"exchange: found 'bybitt', {KNOWN}; did you mean bybit?"),
        ({"exchange": "a.b"}, f"exchange: found 'a.b', {KNOWN}"),
        ({"symbol": 5}, f"symbol: found 5, {MARKETS}"),
        ({"symbol": None}, f"symbol: found nothing, {MARKETS}"),
        ({"symbol": ""}, 'symbol: found no symbols, expected at least one, like ["BTC/USDT:USDT"]'),
        (
            {"symbol": ["BTC/USDT", "a b"]},
            "symbol[1]: found 'a b', expected the name of a market, like BTC/USDT:USDT",
        ),
        (
            {"symbol": "BTCUSDT,BTC/USDT:USDT"},
            "symbol[1]: found 'BTC/USDT:USDT' a second time (as 'BTCUSDT'), expected each symbol once",
        ),
        (
            {"symbol": "BTC/USD:BTC"},
            (
                "symbol[0]: found 'BTC/USD:BTC' (inverse), expected what this version collects: bybit "
                "linear and "
                "spot: bbo, book, ohlcv, trade"
            ),
        ),
        ({"market": "perp"}, "market: found 'perp', expected one of spot, linear, or null"),
        (
            KRAKEN | {"market": "linear"},
            "market: found 'linear', but kraken has no such markets, expected spot",
        ),
        ({"sandbox": "yes"}, "sandbox: found 'yes', expected true or false"),
        (KRAKEN | {"sandbox": True}, "sandbox: found true, but kraken has no testnet environment"),
        (
            {"sandbox": True, "environment": "demo"},
            (
                "sandbox: found sandbox true and environment 'demo', expected one of the two, or environment "
                "'testnet'"
            ),
        ),
        ({"environment": "prod"}, "environment: found 'prod', expected one of live, testnet, demo"),
        (
            KRAKEN | {"environment": "demo"},
            "environment: found 'demo', but kraken has no demo environment, expected live",
        ),
        ({"db_path": "mysql://x"}, f"db_path: found 'mysql://x', {PATH}"),
        ({"db_path": None}, f"db_path: found nothing, {PATH}"),
        ({"table_name": 5}, "table_name: found 5, expected text"),
        ({"buffer_size": 0}, f"buffer_size: found 0, {ROWS}"),
        ({"buffer_size": "x"}, f"buffer_size: found 'x', {ROWS}"),
        ({"buffer_size": 200_001}, f"buffer_size: found 200001, {ROWS}"),
        ({"buffer_size": 2_000_000}, f"buffer_size: found 2000000, {ROWS}"),
        ({"write_interval": -1}, f"write_interval: found -1, {SECONDS}"),
        ({"write_interval": 4000}, f"write_interval: found 4000, {SECONDS}"),
        ({"orderbook_depth": "ten"}, f"orderbook_depth: found 'ten', {DEPTH}"),
        ({"orderbook_depth": 0}, f"orderbook_depth: found 0, {DEPTH}"),
        ({"orderbook_depth": True}, f"orderbook_depth: found true, {DEPTH}"),
        ({"orderbook_depth": 1001}, f"orderbook_depth: found 1001, {DEPTH}"),
        (
            {"orderbook_depth": 1, "channels": ["bbo"]},
            (
                "orderbook_depth: found both bbo and book.1, which are one and the same at bybit, expected "
                "one of "
                "them"
            ),
        ),
        ({"max_reconnect_attempts": 1.5}, f"max_reconnect_attempts: found 1.5, {COUNT}"),
        ({"reconnect_delay": 100.0}, f"reconnect_delay: found 100.0, {DELAY}"),
        ({"reconnect_delay": 5000}, f"reconnect_delay: found 5000, {DELAY}"),
        ({"reconnect_delay": "x"}, f"reconnect_delay: found 'x', {DELAY}"),
        ({"channels": 7}, "channels: found 7, expected a list of channels, like ['trade']"),
        ({"channels": ["bok"]}, f"channels[0]: found 'bok', {CHANNEL}"),
        ({"channels": ["book.50", "bok"]}, f"channels[1]: found 'bok', {CHANNEL}"),
        (
            {"channels": ["trade", "trade"]},
            "channels[1]: found 'trade' a second time, expected each channel once",
        ),
        ({"endpoints": "x"}, "endpoints: found text, expected a section with rest, ws"),
        ({"endpoints": {"rst": "http://x"}}, "endpoints.rst: found a key that endpoints does not have"),
        (
            {"endpoints": {"rest": "ftp://x"}},
            "endpoints.rest: found 'ftp://x', expected a URL like http://host:8900",
        ),
        ({"data_source": "live"}, f"data_source: found 'live', {SOURCES}"),
        (
            {"sandbox": True, "data_source": "live_trading"},
            "data_source: found 'live_trading', but sandbox is true, expected testnet or simulator",
        ),
        (
            {"environment": "testnet", "data_source": "live_trading"},
            (
                "data_source: found 'live_trading', but the environment is testnet, expected testnet or "
                "simulator"
            ),
        ),
        ({"max_mismatches": 0}, f"max_mismatches: found 0, {COUNT}"),
        ({"max_critical_errors": "x"}, f"max_critical_errors: found 'x', {COUNT}"),
        ({"start_timeout": 0}, f"start_timeout: found 0, {SECONDS}"),
        ({"stop_timeout": 4000}, f"stop_timeout: found 4000, {SECONDS}"),
        ({"settings": 3}, "settings: found 3, expected full keys, like {'stream.heartbeat_s': 5}"),
        (
            {"settings": {"stream.hartbeat_s": 1}},
            "stream.hartbeat_s: found a key that stream does not have; did you mean heartbeat_s?",
        ),
        ({"settings": {"writer.batch_rows": 0}}, f"writer.batch_rows: found 0, {COUNT}"),
        (
            {"settings": {"buffer.max_rows": 50}},
            "buffer.max_rows: found 50, expected at least buffer_size, which is 100",
        ),
        (
            {"symbols": ["BTC/USDT"]},
            "'symbols': found a key that an ingestor does not have; did you mean symbol?",
        ),
    ],
    ids=str,
)
def test_a_mistake_is_told_by_the_key_the_caller_knows(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        DataIngestorConfig.from_dict(values)
    (told,) = caught.value.problems
    assert told == f"config: {problem}" or told.startswith(f"config: {problem}; did you mean ")


def test_a_mistake_elsewhere_hides_none_in_the_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLECTOR_BUFFER__MAX_ROWS", "many")
    with pytest.raises(SettingsError) as caught:
        DataIngestorConfig.from_dict({"settings": {"writer.interval_s": "x"}, "max_attempts": "y"})
    told = " ".join(caught.value.problems)
    assert len(caught.value.problems) == 3
    assert "COLLECTOR_BUFFER__MAX_ROWS" in told
    assert "config: writer.interval_s: found 'x'" in told


def test_the_limit_of_a_short_key_is_the_one_that_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLECTOR_BUFFER__MAX_ROWS", "5000")
    with pytest.raises(SettingsError, match=r"from 1 to 5000 \(buffer.max_rows\)"):
        DataIngestorConfig(buffer_size=6000)
    assert DataIngestorConfig(buffer_size=5000).to_settings().writer.batch_rows == 5000


def test_the_environment_of_an_exchange_is_a_short_key_or_its_testnet_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def environment(**values: Any) -> str:
        return (
            DataIngestorConfig(exchange="binance", symbol="BTC/USDT", **values)
            .to_settings()
            .exchanges["binance"]
            .environment
        )

    assert environment() == "live"
    assert environment(environment="demo") == "demo"
    assert environment(sandbox=True) == environment(sandbox=True, environment="testnet") == "testnet"
    monkeypatch.setenv("BINANCE_TESTNET", "true")
    assert environment() == environment(sandbox=False) == "testnet"
    with pytest.raises(SettingsError, match=r"BINANCE_TESTNET=true, but environment is 'live' \(config\)"):
        environment(environment="live")
    assert DataIngestorConfig().to_settings().exchanges["bybit"].environment == "live"


def test_dotenv_of_the_working_directory_is_read_but_for_what_it_says_of_exchanges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("BYBIT_API_KEY", "BYBIT_API_SECRET"):
        monkeypatch.delenv(name, raising=False)
    Path(".env").write_text(
        "COLLECTOR_LOGGING__LEVEL=error\nBYBIT_API_KEY=key\nBYBIT_API_SECRET=secret\n"
        "SYMBOLS=SOLUSDT\nEXCHANGE=kraken\nCOLLECTOR_EXCHANGES__BYBIT__CHANNELS=trade\n"
    )
    settings = DataIngestorConfig(symbol="BTCUSDT").to_settings()
    (bybit,) = settings.exchanges.values()
    assert (bybit.symbols, bybit.channels) == (("BTCUSDT",), ("book.50",))
    assert bybit.credentials is not None
    assert bybit.credentials.api_key.get_secret_value() == "key"
    assert settings.logging.level == "error"
    Path(".env").write_text("BYBIT_TESTNET=perhaps\n")
    with pytest.raises(
        SettingsError, match="env line 1: found BYBIT_TESTNET=perhaps, expected true or false"
    ):
        DataIngestorConfig()


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        DataIngestorConfig.from_dict(
            {"buffer_size": 0, "sandbox": 1, "orderbok_depth": 5, "write_interval": "x"}
        )
    assert len(caught.value.problems) == 4


@pytest.mark.parametrize(("seconds", "taken"), [(3600.0, True), (3600.1, False), (0.001, True), (0.0, False)])
def test_a_start_may_take_as_long_as_is_said(seconds: float, taken: bool) -> None:
    if taken:
        assert DataIngestorConfig(start_timeout=seconds).start_timeout == seconds
        return
    with pytest.raises(
        SettingsError, match=r"start_timeout: found .*, expected seconds, above 0 and at most 3600"
    ):
        DataIngestorConfig(start_timeout=seconds)
