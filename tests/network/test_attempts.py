"""When to try again, and when trying again is over."""

import socket

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from collector.network.attempts import LIMITED_WAIT_S, Attempts
from collector.network.failure_table import FailureClass
from collector.network.failures import MOST_SUSPICIOUS_TRIES, Failure, classify
from collector.retry import Backoff

NEVER_WAITS = Backoff(1e-9, 1e-9)
GEO_BLOCK = Failure(FailureClass.TRANSIENT, "http_451", suspicious=True)
RESET = Failure(FailureClass.TRANSIENT, "reset")


def no_such_host() -> Failure:
    return classify(socket.gaierror(socket.EAI_NONAME, "Name or service not known"))


def in_a_row(attempts: Attempts, failure: Failure, most: int = 100) -> int | None:
    """Fail so often in a row; tells after how many it was over."""
    return next((tries for tries in range(1, most + 1) if attempts.failed(failure, 0.0).is_over), None)


def test_a_geo_block_is_over_after_many_in_a_row_and_a_reset_never() -> None:
    assert in_a_row(Attempts(NEVER_WAITS), GEO_BLOCK) == MOST_SUSPICIOUS_TRIES
    assert in_a_row(Attempts(NEVER_WAITS), RESET) is None


@pytest.mark.parametrize("between", ["another failure", "service"])
def test_only_refusals_in_a_row_count(between: str) -> None:
    attempts = Attempts(NEVER_WAITS)
    assert in_a_row(attempts, GEO_BLOCK, MOST_SUSPICIOUS_TRIES - 1) is None
    if between == "service":
        attempts.served()
    else:
        attempts.failed(RESET, 0.0)
    assert in_a_row(attempts, GEO_BLOCK) == MOST_SUSPICIOUS_TRIES


def test_a_permanent_refusal_is_over_at_once() -> None:
    assert in_a_row(Attempts(NEVER_WAITS), Failure(FailureClass.PERMANENT, "authentication")) == 1


def test_a_misspelt_host_is_over_and_one_that_was_there_once_is_not() -> None:
    assert in_a_row(Attempts(NEVER_WAITS), no_such_host()) == MOST_SUSPICIOUS_TRIES
    assert in_a_row(Attempts(NEVER_WAITS, host_is_known=True), no_such_host()) is None
    known = Attempts(NEVER_WAITS)
    known.connected()
    assert in_a_row(known, no_such_host()) is None


def test_a_resolver_that_is_away_is_not_a_misspelt_host() -> None:
    away = classify(socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"))
    assert (away.cause, away.suspicious) == ("dns", False)
    assert (no_such_host().cause, no_such_host().suspicious) == ("no_such_host", True)
    key = ConnectionKey("nowhere.invalid", 443, True, True, None, None, None)
    beneath = aiohttp.ClientConnectorDNSError(key, socket.gaierror(socket.EAI_NONAME, "?"))
    assert classify(beneath).cause == "no_such_host"


def test_a_connection_that_stood_long_begins_its_backoff_anew() -> None:
    attempts = Attempts(NEVER_WAITS)
    for _ in range(5):
        attempts.failed(RESET, 1.0)
    assert attempts.in_a_row == 5
    attempts.failed(RESET, 31.0)
    assert attempts.in_a_row == 0


def test_a_refusal_for_asking_too_much_waits_as_long_as_it_says() -> None:
    attempts = Attempts(NEVER_WAITS)
    assert attempts.failed(Failure(FailureClass.RATE_LIMIT, "http_429", 17.0), 0.0).wait_s == 17.0
    assert attempts.failed(Failure(FailureClass.RATE_LIMIT, "close_1013"), 0.0).wait_s == LIMITED_WAIT_S
