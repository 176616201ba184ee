"""The short keys: what they come to, and every mistake told at once in the caller's own words."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from collector.errors import SettingsError
from collector.ingestor.config import TABLE, DataIngestorConfig

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
    assert {short for short, _, _ in TABLE} == keys - {"start_timeout", "settings"}


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


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"exchange": "bybitt"}, "config: exchange: found an exchange that is not known, expected one of "),
        ({"exchange": 5}, "config: exchange: found 5, expected the name of an exchange"),
        ({"symbol": ""}, "config: symbol: found no symbols, expected at least one"),
        ({"symbol": 5}, "config: symbol: found 5, expected a list of markets"),
        ({"symbol": ["BTC/USDT", "a b"]}, "config: symbol[1]: found 'a b', expected the name of a market"),
        ({"sandbox": "yes"}, "config: sandbox: found 'yes', expected true or false"),
        (
            {"exchange": "kraken", "symbol": "BTC/USD", "sandbox": True},
            "config: sandbox: found 'testnet', but",
        ),
        ({"db_path": "mysql://x"}, "config: db_path: found 'mysql://x', expected a path of an SQLite file"),
        ({"db_path": None}, "config: db_path: found nothing"),
        ({"table_name": "a;b"}, "config: table_name: "),
        ({"buffer_size": 0}, "config: buffer_size: found 0, expected a whole number from 1 to 1000000"),
        ({"write_interval": -1}, "config: write_interval: found -1, expected seconds, above 0"),
        ({"orderbook_depth": "ten"}, "config: orderbook_depth: found 'ten', expected a whole number"),
        (
            {"max_reconnect_attempts": 1.5},
            "config: max_reconnect_attempts: found 1.5, expected a whole number",
        ),
        ({"reconnect_delay": 100.0}, "stream.backoff_max_s"),
        ({"channels": 7}, "config: channels: found 7, expected a list of channels"),
        ({"channels": ["bok"]}, "config: channels[1]: found 'bok', expected book.<depth>"),
        ({"endpoints": "x"}, "config: endpoints: found text, expected a section with rest, ws"),
        ({"endpoints": {"rest": "ftp://x"}}, "config: endpoints.rest: found 'ftp://x', expected a URL like"),
        ({"start_timeout": 0}, "config: start_timeout: found 0, expected seconds"),
        ({"settings": 3}, "config: settings: found 3, expected full keys"),
        ({"settings": {"stream.hartbeat_s": 1}}, "did you mean heartbeat_s?"),
        ({"symbols": ["BTC/USDT"]}, "did you mean symbol?"),
    ],
    ids=str,
)
def test_a_mistake_is_told_by_the_key_the_caller_knows(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        DataIngestorConfig.from_dict(values)
    assert problem in str(caught.value)
    if "settings" not in values and "stream." not in problem:
        assert "exchanges." not in str(caught.value)


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
