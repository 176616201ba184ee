"""Who can reach the server, and the token that they then need: from the environment only, shown nowhere."""

import json
from collections.abc import Callable

import pytest

from collector.settings import Settings

Load = Callable[..., Settings]
Problems = Callable[..., list[str]]

TOKEN = "tt-Token-0123456789"
VARIABLE = "COLLECTOR_SERVE__TOKEN"


def test_a_token_comes_from_the_environment_or_dotenv(load: Load) -> None:
    for found in (load(environ={VARIABLE: TOKEN}), load(dotenv=f"{VARIABLE}={TOKEN}\n")):
        assert found.serve.token.get_secret_value() == TOKEN
        assert TOKEN in found.secrets()
        assert TOKEN not in json.dumps(found.masked()) + repr(found)
    assert load(environ={VARIABLE: " "}).serve.token is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5"])
def test_where_others_can_reach_it_there_must_be_a_token(load: Load, problems: Problems, host: str) -> None:
    file = f'serve: {{host: "{host}"}}'
    (found,) = problems(file)
    assert f"serve.host: found '{host}', where others can reach it, but no token" in found
    assert load(file, environ={VARIABLE: TOKEN}).serve.host == host
    assert load(f'serve: {{host: "{host}", enabled: false}}').serve.host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "localhost"])
def test_this_machine_needs_none(load: Load, host: str) -> None:
    assert load(f'serve: {{host: "{host}"}}').serve.host == host


@pytest.mark.parametrize("token", ["short-0123", "with spaces in it 0123456789", "umlaut-äöü-0123456789"])
def test_a_token_that_could_be_guessed_or_not_be_sent_is_refused(problems: Problems, token: str) -> None:
    (found,) = problems(environ={VARIABLE: token})
    assert "serve.token: found a token (not shown)" in found
    assert token not in found


def test_a_token_in_a_file_is_refused_and_not_shown(problems: Problems) -> None:
    (found,) = problems(f"serve: {{token: {TOKEN}}}")
    assert "expected none here: set it by the environment variable COLLECTOR_SERVE__TOKEN" in found
    assert TOKEN not in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{host: example.com}", "found 'example.com', expected an address, like 127.0.0.1, ::1 or 0.0.0.0"),
        ("{port: 65536}", "found 65536, expected a port from 1 to 65535, or 0: any that is free"),
        ("{hosts: ['a:80']}", "found 'a:80', expected a host's name, like metrics.example"),
        ("{enabled: 1}", "found 1, expected true or false, or null"),
    ],
)
def test_a_mistake_is_told(problems: Problems, text: str, message: str) -> None:
    (found,) = problems(f"serve: {text}")
    assert message in found


def test_a_variable_sets_what_may_be_null(load: Load) -> None:
    found = load(environ={"COLLECTOR_SERVE__ENABLED": "False", "COLLECTOR_RETENTION__DAYS": "30"})
    assert (found.serve.enabled, found.retention.days) == (False, 30.0)
    assert load(environ={"COLLECTOR_SERVE__ENABLED": "null"}).serve.enabled is None
