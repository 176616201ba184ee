"""A config of several exchanges, and what is wrong with a config, in the words of the one who wrote it."""

import sys
from pathlib import Path
from typing import Any

import pytest

from collector import DataIngestorConfig, SettingsError, create_data_ingestor, load_settings
from collector.settings import Settings
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from bot_rig import BTC, wait_until

BYBIT = {"symbol": BTC}


def mistakes(values: Any) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        DataIngestorConfig.from_dict(values)
    return raised.value.problems


def test_what_stands_beside_holds_for_each_that_says_nothing_else() -> None:
    config = DataIngestorConfig.from_dict(
        {
            "exchanges": {
                "bybit": {"symbol": "BTCUSDT", "channels": ["trade", "ohlcv.1m"]},
                "kraken": {"symbol": ["BTC/USD", "ETH/USD"], "endpoints": {"rest": "http://127.0.0.1:1"}},
            },
            "channels": ["trade"],
            "orderbook_depth": 25,
            "settings": {"exchanges.bybit.sample.mode": "on_top_change"},
        }
    )
    settings = config.to_settings()
    bybit, kraken = settings.exchanges["bybit"], settings.exchanges["kraken"]
    assert (bybit.symbols, bybit.channels) == (("BTCUSDT",), ("book.50", "trade", "ohlcv.1m"))
    assert (kraken.symbols, kraken.channels) == (("BTC/USD", "ETH/USD"), ("book.25", "trade"))
    assert kraken.endpoints.rest == "http://127.0.0.1:1"
    assert bybit.endpoints.rest is None
    assert settings.storage.levels == 25
    assert bybit.sample.mode == "on_top_change"


@pytest.mark.parametrize(
    ("values", "problems"),
    [
        ({"exchanges": {}}, ["exchanges: found an empty", "exchanges: found a mapping"]),
        ({"exchanges": 5}, ["exchanges: found 5, expected exchanges, each with its keys, like {'bybit'"]),
        ({"exchanges": {"bybit": 5}}, ["exchanges.bybit: found 5, expected its keys, like {'symbol'"]),
        ({"exchanges": {"kraken": {}}}, ["exchanges.kraken.symbol: found nothing, expected a market"]),
        ({"exchanges": {"bybitt": BYBIT}}, ["exchanges: found 'bybitt', expected one of bybit"]),
        (
            {"exchanges": {"bybit": {**BYBIT, "chanels": []}}},
            ["exchanges.bybit: 'chanels': found a key that an exchange does not have; did you"],
        ),
        (
            {"exchanges": {"bybit": {"symbol": 5}, "kraken": {"symbol": "BTC/USD", "channels": ["x"]}}},
            [
                "exchanges.bybit.symbol: found 5, expected",
                "exchanges.kraken.channels[0]: found 'x', expected",
            ],
        ),
        (
            {"exchange": "kraken", "exchanges": {"bybit": BYBIT}},
            ["exchange: found 'kraken' and exchanges as well, expected one of the two"],
        ),
        ({"exchanges": {"bybit": BYBIT}, "buffer_size": 0}, ["buffer_size: found 0, expected"]),
        (None, ["found nothing, expected a dict, like {'symbol': 'BTCUSDT'}"]),
        ([1], ["found a list, expected a dict"]),
        ({"exchange": ["bybit"]}, ["exchange: found a list, expected one of bybit"]),
        ({"settings": {5: 1}}, ["settings: found a mapping, expected full keys, like {'stream.heartbeat_s'"]),
        ({"write_interval": "soon"}, ["write_interval: found 'soon', expected seconds"]),
        ({"serve_port": "x"}, ["serve_port: found 'x', expected a port"]),
        (
            {"symbol": "SOLUSDT", "settings": {"exchanges.bybit.symbols": ["ETHUSDT"]}},
            ["symbol: found 'SOLUSDT', and a list under exchanges.bybit.symbols in settings"],
        ),
        (
            {"db_path": "a.db", "settings": {"database.url": "b.db"}},
            ["db_path: found 'a.db', and 'b.db' under database.url in settings, expected one of the two"],
        ),
    ],
)
def test_each_mistake_is_told_where_it_stands(values: Any, problems: list[str]) -> None:
    found = mistakes(values)
    assert all(any(one.startswith(f"config: {two}") for two in problems) for one in found), found
    assert found


def test_the_same_said_twice_is_no_mistake() -> None:
    settings = {"exchanges.bybit.symbols": ["ETHUSDT"], "storage.levels": 5}
    config = DataIngestorConfig(symbol="ETHUSDT", orderbook_depth=50, settings=settings)
    assert config.to_settings().exchanges["bybit"].symbols == ("ETHUSDT",)
    assert config.to_settings().storage.levels == 5  # the depth also says which book is subscribed


def test_numbers_written_as_text_become_numbers() -> None:
    words = {"write_interval": "1.5", "buffer_size": "50", "orderbook_depth": "20", "serve_port": "0"}
    config = DataIngestorConfig.from_dict({**words, "start_timeout": "3"})
    assert (config.write_interval, config.buffer_size, config.orderbook_depth) == (1.5, 50, 20)
    assert (config.serve_port, config.start_timeout) == (0, 3.0)
    assert config.to_settings().writer.interval_s == 1.5


def test_two_exchanges_of_a_dict_collect(tmp_path: Path) -> None:
    seen: set[str] = set()
    with Simulator(updates_per_s=250.0) as simulator:
        markets = {"bybit": BTC, "kraken": "BTC/USD"}
        ingestor = create_data_ingestor(
            {
                "exchanges": {
                    name: {"symbol": symbol, "endpoints": simulator.endpoints(name)}
                    for name, symbol in markets.items()
                },
                "db_path": str(tmp_path / "two.db"),
            }
        )
        ingestor.add_update_callback(lambda update: seen.add(update.exchange))
        assert ingestor.start(wait_for="all"), ingestor.start_failure
        wait_until(lambda: seen == set(markets), "updates of both")
        assert ingestor.stop()


def test_full_settings_are_read_by_a_public_function() -> None:
    assert isinstance(load_settings(environ={}, env_file=None), Settings)
