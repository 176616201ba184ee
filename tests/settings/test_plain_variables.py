"""The plain variables: SYMBOLS, EXCHANGE, keys, <EXCHANGE>_TESTNET; and what is collected without any."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from collector.errors import SettingsError
from collector.settings import Loaded, Settings
from collector.settings.load import load_with_notes

Load = Callable[..., Settings]
Problems = Callable[..., list[str]]

LINEAR, SPOT = ("BTC/USDT:USDT", "ETH/USDT:USDT"), ("BTC/USDT", "ETH/USDT")
BINANCE_KEYS = {"BINANCE_API_KEY": "binance-key", "BINANCE_API_SECRET": "binance-secret"}
KRAKEN_KEYS = {"KRAKEN_API_KEY": "kraken-key", "KRAKEN_API_SECRET": "kraken-secret"}


def bare(**environ: str) -> Loaded:
    return load_with_notes(environ=environ, default_setup=True)


def collected(settings: Settings) -> dict[str, tuple[Any, ...]]:
    return {name: (one.symbols, one.channels) for name, one in settings.exchanges.items()}


BARE: dict[str, tuple[Mapping[str, str], str, tuple[str, ...], str, str]] = {
    "nothing": ({}, "bybit", LINEAR, "book.50", ""),
    "an exchange": ({"EXCHANGE": "Binance"}, "binance", SPOT, "book.50", "EXCHANGE is set"),
    "kraken": ({"EXCHANGE": "kraken"}, "kraken", ("BTC/USD", "ETH/USD"), "book.100", "EXCHANGE is set"),
    "keys": (BINANCE_KEYS, "binance", SPOT, "book.50", "BINANCE_API_KEY is set"),
    "keys of two": (
        BINANCE_KEYS | KRAKEN_KEYS,
        *("bybit", LINEAR, "book.50"),
        "BINANCE_API_KEY and KRAKEN_API_KEY are set, which choose none: EXCHANGE=<name> does",
    ),
    "keys and an exchange": (
        KRAKEN_KEYS | {"EXCHANGE": "binance"},
        "binance",
        SPOT,
        "book.50",
        "EXCHANGE is set",
    ),
    "a kind": ({"COLLECTOR_EXCHANGES__BYBIT__MARKET": "spot"}, "bybit", SPOT, "book.50", ""),
    "a channel": ({"COLLECTOR_EXCHANGES__BYBIT__CHANNELS": "book.1"}, "bybit", LINEAR, "book.1", ""),
    "no testnet of ours": ({"BINANCE_TESTNET": "true"}, "bybit", LINEAR, "book.50", ""),
}


@pytest.mark.parametrize("case", BARE)
def test_a_bare_start_collects_the_default_markets_of_the_exchange_meant(case: str) -> None:
    environ, exchange, symbols, channel, why = BARE[case]
    loaded = bare(**environ)
    assert collected(loaded.settings) == {exchange: (symbols, (channel,))}
    assert loaded.notes.is_default_setup
    assert loaded.notes.why == why


def test_whoever_names_a_market_or_writes_a_file_gets_no_other(load: Load, problems: Problems) -> None:
    loaded = bare(SYMBOLS="SOLUSDT")
    assert collected(loaded.settings) == {"bybit": (("SOLUSDT",), ("book.50",))}
    assert not loaded.notes.is_default_setup
    assert collected(load(environ={"EXCHANGE": "kraken"})) == {}  # a library has no default set-up
    assert problems("exchanges: {bybit: {channels: [trade]}}")[0].endswith(
        'found no symbols, expected at least one, like ["BTC/USDT:USDT"]'
    )


PLAIN_SYMBOLS: dict[str, tuple[Mapping[str, str], str]] = {
    "alone": ({}, "bybit"),
    "with an exchange": ({"EXCHANGE": "binance"}, "binance"),
    "with keys": (BINANCE_KEYS, "binance"),
    "with keys of two": (BINANCE_KEYS | KRAKEN_KEYS, "bybit"),
    "with an exchange begun": ({"COLLECTOR_EXCHANGES__KRAKEN__MARKET": "spot", **BINANCE_KEYS}, "kraken"),
}


@pytest.mark.parametrize("case", PLAIN_SYMBOLS)
def test_plain_symbols_are_those_of_the_exchange_meant(load: Load, case: str) -> None:
    environ, exchange = PLAIN_SYMBOLS[case]
    settings = load(environ={"SYMBOLS": "BTCUSDT", **environ})
    assert {name: one.symbols for name, one in settings.exchanges.items()} == {exchange: ("BTCUSDT",)}


TWO = "exchanges: {bybit: {symbols: [BTCUSDT]}, kraken: {symbols: [BTC/USD]}}"


def test_an_exchange_restricts_what_a_file_configures(load: Load, problems: Problems) -> None:
    assert collected(load(TWO)) == {
        "bybit": (("BTCUSDT",), ("book.50",)),
        "kraken": (("BTC/USD",), ("book.100",)),
    }
    assert list(load(TWO, environ={"EXCHANGE": "kraken"}).exchanges) == ["kraken"]
    assert list(load(TWO, environ={"EXCHANGE": "kraken"}, overrides={"exchange": "bybit"}).exchanges) == [
        "bybit"
    ]
    settings = load(TWO, environ={"EXCHANGE": "kraken", "SYMBOLS": "ETH/USD"})
    assert collected(settings) == {"kraken": (("ETH/USD",), ("book.100",))}
    assert problems(TWO, dotenv="EXCHANGE=binance\n") == [
        (
            ".env line 1: exchange: found 'binance', which is not configured: name its markets with "
            "--symbols, by SYMBOLS, or exchanges.binance.symbols in a file for --config"
        )
    ]


def test_the_caller_gives_channels_to_every_exchange_there_is(load: Load) -> None:
    settings = load(TWO, overrides={"channels": "book.10,trade", "exchange": "kraken"})
    assert collected(settings) == {"kraken": (("BTC/USD",), ("book.10", "trade"))}


def test_what_is_begun_of_an_exchange_that_is_not_meant_is_in_nobodys_way() -> None:
    begun = {"COLLECTOR_EXCHANGES__BYBIT__ENDPOINTS__WS": "ws://127.0.0.1:1"}
    assert list(bare(EXCHANGE="binance", **begun).settings.exchanges) == ["binance"]
    assert list(bare(EXCHANGE="binance", SYMBOLS="BTCUSDT", **begun).settings.exchanges) == ["binance"]


MISTAKES: dict[str, tuple[dict[str, str], str]] = {
    "no exchange": (
        {"EXCHANGE": "binanec"},
        (
            "environment variable EXCHANGE: exchange: found 'binanec', expected one of bybit, binance, "
            "kraken, okx, "
            "or another of ccxt.pro's; did you mean binance?"
        ),
    ),
    "no exchange, and symbols": (
        {"EXCHANGE": "binanec", "SYMBOLS": "BTCUSDT"},
        (
            "environment variable EXCHANGE: exchange: found 'binanec', expected one of bybit, binance, "
            "kraken, okx, or another of ccxt.pro's; did you mean binance?"
        ),
    ),
    "no default markets": (
        {"EXCHANGE": "okxus"},
        (
            "environment variable EXCHANGE: exchange: found 'okxus' and no market, expected some: with "
            "--symbols, "
            "or by SYMBOLS"
        ),
    ),
    "no word for a testnet": (
        {"BYBIT_TESTNET": "yes"},
        "environment variable BYBIT_TESTNET: found BYBIT_TESTNET=yes, expected true or false",
    ),
    "no word for a testnet of another": (
        {"KRAKEN_TESTNET": "1"},
        "environment variable KRAKEN_TESTNET: found KRAKEN_TESTNET=1, expected true or false",
    ),
    "no testnet there": (
        {"EXCHANGE": "kraken", "KRAKEN_TESTNET": "true"},
        (
            "environment variable KRAKEN_TESTNET: found KRAKEN_TESTNET=true, but kraken has no testnet "
            "environment, expected live"
        ),
    ),
    "two environments": (
        {"BYBIT_TESTNET": "true", "COLLECTOR_EXCHANGES__BYBIT__ENVIRONMENT": "demo"},
        (
            "environment variable BYBIT_TESTNET: found BYBIT_TESTNET=true, but "
            "exchanges.bybit.environment is "
            "'demo' (environment variable COLLECTOR_EXCHANGES__BYBIT__ENVIRONMENT), expected both to say the "
            "same, or one of them"
        ),
    ),
    "a testnet and none": (
        {"BYBIT_TESTNET": "FALSE", "COLLECTOR_EXCHANGES__BYBIT__ENVIRONMENT": "testnet"},
        (
            "environment variable BYBIT_TESTNET: found BYBIT_TESTNET=FALSE, but "
            "exchanges.bybit.environment is "
            "'testnet' (environment variable COLLECTOR_EXCHANGES__BYBIT__ENVIRONMENT), expected both "
            "to say the "
            "same, or one of them"
        ),
    ),
    "a kind that is none": (
        {"COLLECTOR_EXCHANGES__BYBIT__MARKET": "perp"},
        (
            "environment variable COLLECTOR_EXCHANGES__BYBIT__MARKET: exchanges.bybit.market: found 'perp', "
            "expected one of spot, linear, or null"
        ),
    ),
    "a kind that it has not": (
        {"EXCHANGE": "kraken", "COLLECTOR_EXCHANGES__KRAKEN__MARKET": "linear"},
        (
            "environment variable COLLECTOR_EXCHANGES__KRAKEN__MARKET: exchanges.kraken.market: found "
            "'linear', "
            "but kraken has no such markets, expected spot"
        ),
    ),
    "half a pair of keys": (
        {"BINANCE_API_KEY": "binance-key"},
        (
            "environment variable BINANCE_API_KEY: exchanges.binance: found BINANCE_API_KEY alone, expected "
            "BINANCE_API_SECRET as well, or neither"
        ),
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_plain_variable_has_one_message(mistake: str) -> None:
    environ, message = MISTAKES[mistake]
    with pytest.raises(SettingsError) as caught:
        bare(**environ)
    assert caught.value.problems == [message]


@pytest.mark.parametrize(
    ("environ", "key"),
    [
        (BINANCE_KEYS, "binance-key"),
        (
            BINANCE_KEYS | {"BINANCE_TESTNET_API_KEY": "test-key", "BINANCE_TESTNET_API_SECRET": "x"},
            "test-key",
        ),
    ],
)
def test_a_testnet_by_its_variable_takes_its_own_keys_or_else_the_plain_ones(
    environ: dict[str, str], key: str
) -> None:
    loaded = bare(EXCHANGE="binance", BINANCE_TESTNET="True", **environ)
    binance = loaded.settings.exchanges["binance"]
    assert (binance.environment, binance.stored_data_source) == ("testnet", "testnet")
    assert binance.credentials is not None
    assert binance.credentials.api_key.get_secret_value() == key
    named = {"COLLECTOR_EXCHANGES__BINANCE__ENVIRONMENT": "testnet", "EXCHANGE": "binance"}
    assert bare(**named, **BINANCE_KEYS).settings.exchanges["binance"].credentials is None


def test_a_testnet_that_nobody_collects_from_is_told_to_have_no_effect() -> None:
    loaded = bare(BINANCE_TESTNET="true", BYBIT_TESTNET="false")
    assert loaded.notes.without_effect == ("BINANCE_TESTNET has no effect: binance is not collected",)
    assert loaded.settings.exchanges["bybit"].environment == "live"


@pytest.mark.parametrize(
    ("exchange", "symbols", "market", "repeated"),
    [
        ("bybit", ("BTCUSDT", "BTC/USDT:USDT"), "null", "BTC/USDT:USDT"),
        ("bybit", ("BTCUSDT", "BTC/USDT"), "spot", "BTC/USDT"),
        ("binance", ("BTC/USDT", "btcusdt"), "null", "btcusdt"),
        ("bybit", ("BTCUSDT", "BTC/USDT"), "null", None),
        ("bybit", ("BTC/USDT", "BTC/USDT:USDT"), "spot", None),
        ("binance", ("BTCUSDT", "BTC/USDT:USDT"), "null", None),
    ],
)
def test_two_names_of_one_market_are_a_mistake(
    exchange: str, symbols: tuple[str, ...], market: str, repeated: str | None
) -> None:
    environ = {
        "EXCHANGE": exchange,
        "SYMBOLS": ",".join(symbols),
        f"COLLECTOR_EXCHANGES__{exchange.upper()}__MARKET": market,
    }
    if repeated is None:
        assert bare(**environ).settings.exchanges[exchange].symbols == symbols
        return
    with pytest.raises(SettingsError) as caught:
        bare(**environ)
    assert f"found {repeated!r} a second time (as {symbols[0]!r})" in str(caught.value)


def test_what_depends_on_the_kind_is_checked_for_the_kind_that_a_name_means(
    load: Load, problems: Problems
) -> None:
    text = "exchanges: {{binance: {{market: {market}, symbols: [BTCUSDT], channels: [book.5000]}}}}"
    assert load(text.format(market="spot")).exchanges["binance"].channels == ("book.5000",)
    assert problems(text.format(market="linear"))[0].endswith(
        "found 'book.5000', a depth that binance does not offer for linear, expected any from 1 to 1000"
    )


def test_a_market_may_be_sampled_by_another_of_its_names(load: Load) -> None:
    sample = "sample: {symbols: {BTC/USDT:USDT: {mode: on_top_change}}}"
    bybit = load(f"exchanges: {{bybit: {{symbols: [BTCUSDT], {sample}}}}}").exchanges["bybit"]
    assert bybit.sample.symbols["BTC/USDT:USDT"].mode == "on_top_change"
