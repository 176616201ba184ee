"""Asking for the markets goes on for ever, slowly where the exchange refuses."""

import asyncio
import socket
from dataclasses import dataclass

import ccxt
import pytest

from collector.errors import StreamError
from collector.network import markets as loading
from collector.network.attempts import Attempts, Next
from collector.network.failures import MOST_SUSPICIOUS_TRIES, Failure
from collector.network.markets import Markets, Source
from collector.retry import Backoff

AT_ONCE = Backoff(0.0, 0.0)
REFUSED_WAIT_S = 0.001
TRIES = MOST_SUSPICIOUS_TRIES + 5


@dataclass(frozen=True)
class Bases:
    rest: str | None = None
    ws: str | None = None


def failures_of(
    error: Exception, monkeypatch: pytest.MonkeyPatch, rest: str | None
) -> list[tuple[Failure, Next]]:
    """Load as often as `TRIES`, and fail each time."""

    def fail(source: Source, timeout_s: float) -> Markets:
        del source, timeout_s
        raise error

    async def ask() -> list[tuple[Failure, Next]]:
        stopped, failures = asyncio.Event(), []

        def failed(attempt: int, _error: StreamError, failure: Failure, following: Next) -> None:
            failures.append((failure, following))
            if attempt >= TRIES:
                stopped.set()

        source = Source("bybit", "live", Bases(rest), ("linear", "spot"))
        attempts = Attempts(AT_ONCE, REFUSED_WAIT_S, host_is_known=rest is None)
        assert await loading.load_until(stopped, source, 1.0, attempts, failed) is None
        return failures

    monkeypatch.setattr(loading, "load_markets", fail)
    return asyncio.run(ask())


def no_such_host() -> StreamError:
    error = StreamError("could not load the markets")
    error.__cause__ = ccxt.NetworkError(socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
    return error


@pytest.mark.parametrize(
    ("rest", "quick"), [(None, TRIES), ("http://nowhere.invalid", MOST_SUSPICIOUS_TRIES - 1)]
)
def test_an_unknown_host_is_a_misspelt_one_only_where_somebody_wrote_it(
    monkeypatch: pytest.MonkeyPatch, rest: str | None, quick: int
) -> None:
    """The resolver says that there is no such host: so it does on a machine without a network."""
    failures = failures_of(no_such_host(), monkeypatch, rest)
    assert {failure.cause for failure, _ in failures} == {"no_such_host"}
    assert [following.is_refused for _, following in failures] == [False] * quick + [True] * (TRIES - quick)
    assert {following.wait_s for _, following in failures if following.is_refused} <= {REFUSED_WAIT_S}


@pytest.mark.parametrize("error", [KeyError("altname"), TypeError("ours"), RecursionError("deep")])
def test_what_nobody_expected_is_a_failure_like_any_other(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    failures = failures_of(error, monkeypatch, None)
    assert len(failures) == TRIES
    assert not any(following.is_refused for _, following in failures)


def test_a_pause_that_the_answer_asks_for_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    limited = StreamError("could not load the markets", retry_after_s=0.003)
    assert {following.wait_s for _, following in failures_of(limited, monkeypatch, None)} == {0.003}
