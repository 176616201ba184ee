"""Asking for the markets goes on for ever where the network is what is missing."""

import asyncio
import socket
from dataclasses import dataclass

import ccxt
import pytest

from collector.errors import StreamError
from collector.network import markets as loading
from collector.network.failures import MOST_SUSPICIOUS_TRIES, Failure
from collector.network.markets import Markets, Source
from collector.retry import Backoff

AT_ONCE = Backoff(0.0, 0.0)
TRIES = MOST_SUSPICIOUS_TRIES + 5


@dataclass(frozen=True)
class Bases:
    rest: str | None = None
    ws: str | None = None


@pytest.mark.parametrize(
    ("rest", "tries"), [(None, TRIES), ("http://nowhere.invalid", MOST_SUSPICIOUS_TRIES)]
)
def test_an_unknown_host_is_a_misspelt_one_only_where_somebody_wrote_it(
    monkeypatch: pytest.MonkeyPatch, rest: str | None, tries: int
) -> None:
    """The resolver says that there is no such host: so it does on a machine without a network."""

    def no_such_host(source: Source, timeout_s: float) -> Markets:
        del source, timeout_s
        nameless = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        raise StreamError("could not load the markets") from ccxt.NetworkError(nameless)

    async def ask() -> list[Failure]:
        stopped, failures = asyncio.Event(), []

        def failed(attempt: int, _error: StreamError, failure: Failure) -> None:
            failures.append(failure)
            if attempt >= TRIES:
                stopped.set()

        source = Source("bybit", "live", Bases(rest), ("linear", "spot"))
        assert await loading.load_until(stopped, source, 1.0, AT_ONCE, failed) is None
        return failures

    monkeypatch.setattr(loading, "load_markets", no_such_host)
    failures = asyncio.run(ask())
    assert {one.cause for one in failures} == {"no_such_host"}
    assert len(failures) == tries
