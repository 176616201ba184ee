"""Where values come from, and which of them wins."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from pydantic import ValidationError

from collector.errors import SettingsError
from collector.settings import Settings, load_settings

Load = Callable[..., Settings]
Problems = Callable[..., list[str]]


def test_nothing_at_all_is_the_defaults(load: Load) -> None:
    assert load() == Settings()
    assert dict(load().exchanges) == {}


def test_command_line_before_environment_before_dotenv_before_file_before_default(load: Load) -> None:
    file = "database: {url: file.db}\n"
    dotenv = "COLLECTOR_DATABASE__URL=dotenv.db\n"
    environ = {"COLLECTOR_DATABASE__URL": "environment.db"}
    overrides = {"database.url": "command.db"}
    assert load().database.url == "./trading_bot_live.db"
    assert load(file).database.url == "file.db"
    assert load(file, dotenv=dotenv).database.url == "dotenv.db"
    assert load(file, dotenv=dotenv, environ=environ).database.url == "environment.db"
    assert load(file, dotenv=dotenv, environ=environ, overrides=overrides).database.url == "command.db"


def test_sources_add_up_key_by_key(load: Load) -> None:
    settings = load(
        "stream: {heartbeat_s: 5, stale_after_s: 7}",
        environ={"COLLECTOR_STREAM__STALE_AFTER_S": "9"},
    )
    assert (settings.stream.heartbeat_s, settings.stream.stale_after_s) == (5.0, 9.0)


def test_a_list_is_replaced_not_added_to(load: Load) -> None:
    settings = load(
        "exchanges: {bybit: {symbols: [BTCUSDT, ETHUSDT]}}",
        environ={"COLLECTOR_EXCHANGES__BYBIT__SYMBOLS": "SOL/USDT:USDT"},
    )
    assert settings.exchanges["bybit"].symbols == ("SOL/USDT:USDT",)


@pytest.mark.parametrize(
    ("variable", "text", "path", "value"),
    [
        ("COLLECTOR_WRITER__BATCH_ROWS", " 50 ", ("writer", "batch_rows"), 50),
        ("collector_writer__interval_s", "2", ("writer", "interval_s"), 2.0),
        ("COLLECTOR_DATABASE__AUTO_MIGRATE", "True", ("database", "auto_migrate"), True),
        ("COLLECTOR_DATABASE__AUTO_MIGRATE", "false", ("database", "auto_migrate"), False),
        ("COLLECTOR_LOGGING__LEVEL", "DEBUG", ("logging", "level"), "debug"),
        ("COLLECTOR_LOGGING__FILE", "", ("logging", "file"), None),
        ("COLLECTOR_LOGGING__FILE", "A.log", ("logging", "file"), "A.log"),
    ],
)
def test_a_variable_is_read_as_its_key_wants(
    load: Load, variable: str, text: str, path: tuple[str, str], value: object
) -> None:
    section, key = path
    found = getattr(getattr(load(environ={variable: text}), section), key)
    assert found == value
    assert type(found) is type(value)


def test_a_variable_alone_configures_an_exchange(load: Load) -> None:
    name = "COLLECTOR_EXCHANGES__BYBIT__SYMBOLS"
    exchange = load(environ={name: "BTC/USDT:USDT, ETH/USDT:USDT,"}).exchanges["bybit"]
    assert exchange.symbols == ("BTC/USDT:USDT", "ETH/USDT:USDT")
    assert exchange.channels == ("book.50",)


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        (
            "COLLECTOR_DATABSE__URL",
            "found a variable that sets no key; did you mean COLLECTOR_DATABASE__URL?",
        ),
        (
            "COLLECTOR_EXCHANGES__BYBIT__SYMBOL",
            "found a variable that sets no key; did you mean COLLECTOR_EXCHANGES__BYBIT__SYMBOLS?",
        ),
        (
            "COLLECTOR_Q",
            (
                "found a variable that sets no key, expected COLLECTOR_ and a key's path, like "
                "COLLECTOR_DATABASE__URL"
            ),
        ),
        (
            "COLLECTOR_",
            (
                "found a variable that sets no key, expected COLLECTOR_ and a key's path, like "
                "COLLECTOR_DATABASE__URL"
            ),
        ),
        (
            "COLLECTOR_WRITER",
            "writer: found text, expected a section with batch_rows, interval_s, retry_base_s, retry_max_s",
        ),
    ],
)
def test_a_variable_with_a_typo_is_a_mistake(problems: Problems, variable: str, message: str) -> None:
    assert problems(environ={variable: "5"}) == [f"environment variable {variable}: {message}"]


def test_a_variable_in_two_spellings_is_a_mistake(problems: Problems) -> None:
    environ = {"COLLECTOR_LOGGING__LEVEL": "info", "collector_logging__level": "debug"}
    assert problems(environ=environ) == [
        (
            "environment variable collector_logging__level: logging.level: found a second time (environment "
            "variable COLLECTOR_LOGGING__LEVEL), expected it once"
        )
    ]


def test_other_peoples_variables_are_left_alone(load: Load) -> None:
    assert load(environ={"PATH": "/bin", "DATABASE__URL": "x", "SYMBOLS": " "}) == Settings()


class TestPlainSymbols:
    def test_work_alone(self, load: Load) -> None:
        settings = load(environ={"SYMBOLS": "BTCUSDT,ETHUSDT"})
        assert {name: exchange.symbols for name, exchange in settings.exchanges.items()} == {
            "bybit": ("BTCUSDT", "ETHUSDT")
        }

    def test_mean_the_one_exchange_configured(self, load: Load) -> None:
        settings = load(
            "exchanges: {bybit: {channels: [book.200], symbols: [XRPUSDT]}}", dotenv="SYMBOLS=BTCUSDT"
        )
        bybit = settings.exchanges["bybit"]
        assert (bybit.symbols, bybit.channels) == (("BTCUSDT",), ("book.200",))

    def test_come_after_the_full_name_of_the_same_source(self, load: Load) -> None:
        environ = {"SYMBOLS": "BTCUSDT", "COLLECTOR_EXCHANGES__BYBIT__SYMBOLS": "ETHUSDT"}
        assert load(environ=environ).exchanges["bybit"].symbols == ("ETHUSDT",)

    def test_come_before_the_full_name_of_a_lesser_source(self, load: Load) -> None:
        settings = load(dotenv="COLLECTOR_EXCHANGES__BYBIT__SYMBOLS=ETHUSDT", environ={"SYMBOLS": "BTCUSDT"})
        assert settings.exchanges["bybit"].symbols == ("BTCUSDT",)

    def test_may_come_from_the_caller(self, load: Load) -> None:
        for symbols in ("BTCUSDT,ETHUSDT", ["BTCUSDT", "ETHUSDT"], ("BTCUSDT", "ETHUSDT")):
            bybit = load(overrides={"symbols": symbols}).exchanges["bybit"]
            assert bybit.symbols == ("BTCUSDT", "ETHUSDT")

    def test_cannot_mean_two_exchanges(self, problems: Problems) -> None:
        file = "exchanges: {bybit: {symbols: [A]}, kraken: {symbols: [B], channels: [book.10]}}"
        assert problems(file, environ={"SYMBOLS": "C"})[-1] == (
            "environment variable SYMBOLS: found SYMBOLS and 2 exchanges (bybit, kraken), "
            "expected one: choose it by EXCHANGE, or name it, like COLLECTOR_EXCHANGES__BYBIT__SYMBOLS"
        )

    def test_are_checked_like_others(self, problems: Problems) -> None:
        assert problems(environ={"SYMBOLS": "BTC/USD:BTC"}) == [
            (
                "environment variable SYMBOLS: exchanges.bybit.symbols[0]: found 'BTC/USD:BTC' (inverse), "
                "expected what this version collects: bybit linear and spot: bbo, book, ohlcv, trade"
            )
        ]


class TestCaller:
    def test_gives_values_text_or_whole_sections(self, load: Load) -> None:
        settings = load(
            overrides={
                "exchanges.bybit": {"symbols": ["BTCUSDT"], "endpoints": {"ws": "ws://127.0.0.1:1"}},
                "writer.batch_rows": "7",
                "writer.interval_s": 3,
                "logging.file": None,
            }
        )
        assert settings.exchanges["bybit"].symbols == ("BTCUSDT",)
        assert settings.exchanges["bybit"].endpoints.ws == "ws://127.0.0.1:1"
        assert (settings.writer.batch_rows, settings.writer.interval_s) == (7, 3.0)

    def test_may_be_named_in_messages(self) -> None:
        with pytest.raises(SettingsError) as caught:
            load_settings(environ={}, overrides={"writer.batch_row": 1}, overrides_name="config")
        assert caught.value.problems == [
            "config: writer.batch_row: found a key that writer does not have; did you mean batch_rows?"
        ]


class TestDotenv:
    def test_is_read_with_quotes_comments_and_export(self, load: Load) -> None:
        settings = load(dotenv='# a\nexport COLLECTOR_DATABASE__URL="a b.db" # c\n\nOTHER=1\nBARE\n')
        assert settings.database.url == "a b.db"

    def test_never_runs_or_expands_anything(self, load: Load) -> None:
        assert load(dotenv="A=x\nCOLLECTOR_DATABASE__URL=${A}$(ls).db\n").database.url == "${A}$(ls).db"

    def test_a_broken_line_is_told_without_its_content(self, problems: Problems) -> None:
        assert problems(dotenv="A=1\n\nwhat is 'this\n") == [
            ".env line 3: found a line that cannot be read, expected NAME=value"
        ]

    def test_may_be_missing_or_left_out(self, load: Load) -> None:
        load(dotenv="COLLECTOR_DATABASE__URL=dotenv.db\n")
        assert load_settings(environ={}).database.url == "dotenv.db"
        assert load_settings(environ={}, env_file=None).database.url == "./trading_bot_live.db"

    def test_one_that_was_named_must_be_there(self) -> None:
        with pytest.raises(SettingsError) as caught:
            load_settings(environ={}, env_file=Path("my.env"))
        assert caught.value.problems == ["my.env: no such file, expected lines of NAME=value"]

    def test_that_is_a_folder_is_a_mistake(self, problems: Problems) -> None:
        Path(".env").mkdir()
        assert problems() == [".env: found something that is not a file, expected lines of NAME=value"]


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLECTOR_DATABASE__URL", "here.db")
    assert load_settings().database.url == "here.db"


def test_nothing_can_be_changed_afterwards(load: Load) -> None:
    settings = load(environ={"SYMBOLS": "BTCUSDT"})
    with pytest.raises(FrozenInstanceError):
        settings.writer.interval_s = 1.0
    with pytest.raises(ValidationError):
        settings.writer = settings.writer
    with pytest.raises(TypeError):
        settings.exchanges["bybit"] = None


def test_an_empty_section_is_its_defaults(load: Load) -> None:
    assert load("writer:\nexchanges:\n") == Settings()
    assert load("") == Settings()
    assert load("# nothing\n") == Settings()


@pytest.mark.parametrize(
    ("environment", "endpoints", "source"),
    [
        ("live", {}, "live_trading"),
        ("testnet", {}, "testnet"),
        ("demo", {}, "demo"),
        ("live", {"ws": "ws://127.0.0.1:8900"}, "simulator"),
        ("live", {"rest": "http://localhost:8900"}, "simulator"),
        ("testnet", {"ws": "ws://[::1]:8900"}, "simulator"),
        ("live", {"ws": "wss://proxy.example"}, "live_trading"),
    ],
)
def test_the_data_source_follows_from_where_the_data_comes_from(
    load: Load, environment: str, endpoints: dict[str, str], source: str
) -> None:
    own = {"symbols": "BTCUSDT", "environment": environment, "endpoints": endpoints}
    assert load(overrides={"exchanges.bybit": own}).exchanges["bybit"].stored_data_source == source
    told = own | {"data_source": "demo"}
    assert load(overrides={"exchanges.bybit": told}).exchanges["bybit"].stored_data_source == "demo"
