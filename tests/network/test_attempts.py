"""When to try again: soon, later and later, or slowly where the exchange refuses; but always."""

import socket

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from collector.network.attempts import LIMITED_WAIT_S, Attempts
from collector.network.failure_table import FailureClass
from collector.network.failures import MOST_SUSPICIOUS_TRIES, Failure, classify
from collector.retry import Backoff, Rest

NEVER_WAITS = Backoff(1e-9, 1e-9)
REFUSED_WAIT_S = 600.0
GEO_BLOCK = Failure(FailureClass.TRANSIENT, "http_451", suspicious=True)
RESET = Failure(FailureClass.TRANSIENT, "reset")


def no_such_host() -> Failure:
    return classify(socket.gaierror(socket.EAI_NONAME, "Name or service not known"))


def made(*, host_is_known: bool = False) -> Attempts:
    return Attempts(NEVER_WAITS, REFUSED_WAIT_S, host_is_known=host_is_known)


def in_a_row(attempts: Attempts, failure: Failure, most: int = 100) -> int | None:
    """Fail so often in a row; return after how many it is taken for a refusal."""
    return next((tries for tries in range(1, most + 1) if attempts.failed(failure).is_refused), None)


def test_a_geo_block_is_a_refusal_after_many_in_a_row_and_a_reset_never() -> None:
    assert in_a_row(made(), GEO_BLOCK) == MOST_SUSPICIOUS_TRIES
    assert in_a_row(made(), RESET) is None


@pytest.mark.parametrize("between", ["another failure", "service"])
def test_only_refusals_in_a_row_count(between: str) -> None:
    attempts = made()
    assert in_a_row(attempts, GEO_BLOCK, MOST_SUSPICIOUS_TRIES - 1) is None
    if between == "service":
        attempts.failed(GEO_BLOCK, served_s=31.0)
        assert in_a_row(attempts, GEO_BLOCK) == MOST_SUSPICIOUS_TRIES - 1
    else:
        attempts.failed(RESET)
        assert in_a_row(attempts, GEO_BLOCK) == MOST_SUSPICIOUS_TRIES


def test_a_refusal_is_slow_from_the_first_is_news_once_and_never_the_end() -> None:
    attempts, refusal = made(), Failure(FailureClass.PERMANENT, "authentication")
    assert attempts.failed(refusal) == (REFUSED_WAIT_S, True, True)
    for _ in range(1000):
        assert attempts.failed(refusal) == (REFUSED_WAIT_S, True, False)
    following = attempts.failed(RESET)
    assert not following.is_refused
    assert following.wait_s < 1.0
    assert attempts.failed(refusal).is_news


def test_a_refusal_that_says_for_how_long_is_believed_where_that_is_longer() -> None:
    banned = Failure(FailureClass.PERMANENT, "http_401", retry_after_s=7200.0)
    assert made().failed(banned).wait_s == 7200.0


def test_a_misspelt_host_is_a_refusal_and_one_that_was_there_once_is_not() -> None:
    assert in_a_row(made(), no_such_host()) == MOST_SUSPICIOUS_TRIES
    assert in_a_row(made(host_is_known=True), no_such_host()) is None
    known = made()
    known.connected()
    assert in_a_row(known, no_such_host()) is None


def test_a_resolver_that_is_away_is_not_a_misspelt_host() -> None:
    away = classify(socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"))
    assert (away.cause, away.suspicious) == ("dns", False)
    assert (no_such_host().cause, no_such_host().suspicious) == ("no_such_host", True)
    key = ConnectionKey("nowhere.invalid", 443, True, True, None, None, None)
    beneath = aiohttp.ClientConnectorDNSError(key, socket.gaierror(socket.EAI_NONAME, "?"))
    assert classify(beneath).cause == "no_such_host"


def test_service_that_lasted_begins_the_backoff_anew_and_an_open_socket_does_not() -> None:
    attempts = made()
    for _ in range(5):
        attempts.failed(RESET, served_s=1.0)
    assert attempts.in_a_row == 5
    attempts.failed(RESET, served_s=0.0)  # open for a day, and nothing was ever confirmed
    assert attempts.in_a_row == 6
    attempts.failed(RESET, served_s=31.0)
    assert attempts.in_a_row == 0


def test_a_refusal_for_asking_too_much_waits_as_long_as_it_says() -> None:
    attempts = made()
    assert attempts.failed(Failure(FailureClass.RATE_LIMIT, "http_429", 17.0)).wait_s == 17.0
    assert attempts.failed(Failure(FailureClass.RATE_LIMIT, "close_1013")).wait_s == LIMITED_WAIT_S


def test_after_so_many_in_a_row_and_as_many_again_a_rest_is_taken() -> None:
    attempts = Attempts(NEVER_WAITS, REFUSED_WAIT_S, rest=Rest(3, 60.0))
    waits = [round(attempts.failed(RESET).wait_s) for _ in range(7)]
    assert waits == [0, 0, 60, 0, 0, 60, 0]
    assert not attempts.are_over
    attempts.failed(RESET, served_s=31.0)
    assert [round(attempts.failed(RESET).wait_s) for _ in range(3)] == [0, 0, 60]
    assert Attempts(NEVER_WAITS, REFUSED_WAIT_S, rest=Rest(1, 5.0)).failed(
        Failure(FailureClass.PERMANENT, "authentication")
    ) == (REFUSED_WAIT_S, True, True)


def test_a_rest_for_good_is_the_end_and_without_one_there_is_none() -> None:
    attempts = Attempts(NEVER_WAITS, REFUSED_WAIT_S, rest=Rest(3, None))
    over = []
    for _ in range(3):
        attempts.failed(RESET)
        over.append(attempts.are_over)
    assert over == [False, False, True]
    for_ever = made()
    assert not any(for_ever.failed(RESET) and for_ever.are_over for _ in range(1000))
