"""Secrets come from the environment only and are printed nowhere."""

import json
import pickle
from collections.abc import Callable

import pytest

from collector.masking import mask_url, passwords_in, without
from collector.settings import Settings

Load = Callable[..., Settings]
Problems = Callable[..., list[str]]

KEY, SECRET, PASSWORD = "kk-Key-0123456789", "ss-Secret-0123456789", "pp-Word-0123456789"
PAIR = {"BYBIT_API_KEY": KEY, "BYBIT_API_SECRET": SECRET}


@pytest.mark.parametrize(
    ("environment", "prefix"),
    [("live", "BYBIT"), ("testnet", "BYBIT_TESTNET"), ("demo", "BYBIT_DEMO")],
)
def test_keys_are_those_of_the_environment_chosen(load: Load, environment: str, prefix: str) -> None:
    every = {
        f"{one}_API_{part}": f"{one}-{part}"
        for one in ("BYBIT", "BYBIT_TESTNET", "BYBIT_DEMO")
        for part in ("KEY", "SECRET")
    }
    settings = load(
        overrides={"exchanges.bybit.environment": environment, "symbols": "BTCUSDT"}, environ=every
    )
    credentials = settings.exchanges["bybit"].credentials
    assert credentials.api_key.get_secret_value() == f"{prefix}-KEY"
    assert credentials.api_secret.get_secret_value() == f"{prefix}-SECRET"


def test_keys_may_stand_in_dotenv_and_the_environment_wins(load: Load) -> None:
    dotenv = f"BYBIT_API_KEY=other\nBYBIT_API_SECRET={SECRET}\n"
    credentials = (
        load(dotenv=dotenv, environ={"SYMBOLS": "BTCUSDT", "BYBIT_API_KEY": KEY})
        .exchanges["bybit"]
        .credentials
    )
    assert credentials.api_key.get_secret_value() == KEY
    assert credentials.api_secret.get_secret_value() == SECRET


def test_none_are_needed(load: Load) -> None:
    assert load(environ={"SYMBOLS": "BTCUSDT"}).exchanges["bybit"].credentials is None
    assert load(environ={"SYMBOLS": "BTCUSDT", "BYBIT_API_KEY": " "}).exchanges["bybit"].credentials is None


@pytest.mark.parametrize(
    ("alone", "missing"),
    [("BYBIT_API_KEY", "BYBIT_API_SECRET"), ("BYBIT_API_SECRET", "BYBIT_API_KEY")],
)
def test_half_a_pair_is_a_mistake(problems: Problems, alone: str, missing: str) -> None:
    assert problems(environ={"SYMBOLS": "BTCUSDT", alone: SECRET}) == [
        (
            f"environment variable {alone}: exchanges.bybit: found {alone} alone, expected "
            f"{missing} as well, or "
            "neither"
        )
    ]


@pytest.mark.parametrize("name", ["api_key", "API_SECRET", "apiKey", "secret", "password", "token", "key"])
def test_a_secret_in_a_file_is_a_mistake_that_does_not_show_it(problems: Problems, name: str) -> None:
    file = f"exchanges:\n  bybit:\n    symbols: [BTCUSDT]\n    {name}: {SECRET}\n"
    assert problems(file) == [
        (
            f"live.yaml line 4: exchanges.bybit.{name}: found a secret (not shown), expected "
            "none here: set it by "
            "environment variables such as BYBIT_API_KEY and BYBIT_API_SECRET"
        )
    ]


@pytest.mark.parametrize(
    "file",
    [
        f"exchanges: {{bybit: {{symbols: [BTCUSDT], credentials: {{api_key: {SECRET}}}}}}}",
        f"api_secret: {SECRET}",
        f"'secret={SECRET}': 1",
        f"BYBIT_API_SECRET={SECRET}",
        f"BYBIT_API_SECRET={SECRET}\nBYBIT_API_KEY={KEY}",
        f"exchanges: {{bybit: {SECRET}}}",
        f"database: {{url: 'postgresql://me:{SECRET}@h/d'}}",
        f"database: {{url: 'mysql://me:{SECRET}@h/d'}}",
        f"database: {{url: 'postgresql://h/d?user=me&password={SECRET}'}}",
        f"database: {{urls: 'postgresql://me:{SECRET}@h/d'}}",
        f"exchanges: {{bybit: {{symbols: [A], endpoints: {{ws: 'ws://me:{SECRET}@h'}}}}}}",
        f"exchanges: {{bybit: {{symbols: [A], endpoints: {{ws: 'ws://me:{SECRET}@h:port'}}}}}}",
        f"a: [\n  secret: {SECRET}",
        f"api_secret: {SECRET}\napi_secret: {SECRET}",
        f"api_secret: !!int {SECRET}",
        f"api_secret: *{SECRET}",
    ],
)
def test_no_message_shows_a_secret_of_a_file(problems: Problems, file: str) -> None:
    assert SECRET not in "\n".join(problems(file))


@pytest.mark.parametrize("name", ["COLLECTOR_EXCHANGES__BYBIT__API_KEY", "COLLECTOR_API_SECRET"])
def test_a_secret_under_the_wrong_variable_is_a_mistake_that_does_not_show_it(
    problems: Problems, name: str
) -> None:
    (problem,) = problems(environ={name: SECRET, "SYMBOLS": "BTCUSDT"})
    assert "BYBIT_API_KEY" in problem
    assert SECRET not in problem


def test_a_secret_of_the_environment_is_masked_even_where_a_wrong_key_has_it(problems: Problems) -> None:
    environ = PAIR | {"SYMBOLS": "BTCUSDT", "COLLECTOR_LOGGING__LEVEL": SECRET}
    (problem,) = problems(environ=environ)
    assert problem.endswith("found '****', expected one of debug, info, warning, error")


def test_a_password_of_the_database_may_come_from_the_environment_and_is_masked_everywhere(
    load: Load,
) -> None:
    url = f"postgresql://me:{PASSWORD}@h/d"
    settings = load(environ=PAIR | {"SYMBOLS": "BTCUSDT", "COLLECTOR_DATABASE__URL": url})
    assert settings.database.url == url
    printed = [
        *(repr(settings), str(settings), repr(settings.database), str(settings.database)),
        *(str(settings.model_dump()), settings.model_dump_json(), json.dumps(settings.masked())),
        *(repr(settings.exchanges), str(settings.exchanges["bybit"].credentials)),
    ]
    for text in printed:
        assert not any(secret in text for secret in (KEY, SECRET, PASSWORD)), text
    assert settings.masked()["database"]["url"] == "postgresql://me:****@h/d"
    assert settings.masked()["exchanges"]["bybit"]["credentials"] == {"api_key": "****", "api_secret": "****"}


def test_masked_is_plain_and_has_every_key(load: Load) -> None:
    masked = load(environ={"SYMBOLS": "BTCUSDT"}).masked()
    assert masked["exchanges"]["bybit"]["symbols"] == ["BTCUSDT"]
    assert masked["writer"]["batch_rows"] == 1000
    assert pickle.loads(pickle.dumps(masked)) == masked


@pytest.mark.parametrize(
    ("url", "masked", "passwords"),
    [
        ("postgresql://me:p@h/d", "postgresql://me:****@h/d", ["p"]),
        ("postgresql://me:p@ss:w@h/d", "postgresql://me:****@h/d", ["p@ss:w"]),
        ("postgresql:/me:p@h", "postgresql:****@h", ["/me:p"]),
        ("postgresql://h:5432/d", "postgresql://h:5432/d", []),
        ("postgresql://h/d?password=p&x=1", "postgresql://h/d?password=****&x=1", ["p"]),
        ("sqlite:///a.db", "sqlite:///a.db", []),
        ("./a.db", "./a.db", []),
    ],
)
def test_what_of_a_url_is_masked(url: str, masked: str, passwords: list[str]) -> None:
    assert mask_url(url) == masked
    assert passwords_in(url) == passwords


def test_a_secret_is_masked_in_any_case_and_where_it_was_cut_off() -> None:
    secret = "AbCdEfGhIjKlMnOpQrStUv"
    assert without(f"x {secret.lower()} y", [secret]) == "x **** y"
    assert without(f"x {secret[:15]}... y", [secret]) == "x ****... y"
    assert without(f"x {secret}{secret}", [secret]) == "x ********"


def test_a_long_secret_under_a_wrong_key_is_masked(problems: Problems) -> None:
    secret = "q0" * 44
    environ = {"BYBIT_API_KEY": secret, "BYBIT_API_SECRET": SECRET, "COLLECTOR_LOGGING__LEVEL": secret}
    (problem,) = problems(environ=environ)
    assert "q0" not in problem


def test_short_words_are_not_taken_for_secrets() -> None:
    assert without("a live book", ["a", "", "live book"]) == "a ****"
    assert without("the door, opened", ["the", "door"]) == "the ****, opened"
