"""Check whether an exchange can be collected from: its clock, API keys, websockets. Each call blocks."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import ccxt

from collector.errors import StreamError
from collector.exchanges import ccxt_id_of, dialled, exchange_of
from collector.network.budgeted import within_budgets
from collector.network.budgets import BUDGETS, Budgets
from collector.network.failure_table import FailureClass
from collector.network.failures import classify, unreadable
from collector.network.markets import Source


@dataclass(frozen=True, slots=True)
class ClockAnswer:
    """The exchange's clock beside ours."""

    round_trip_s: float
    ahead_s: float  # by how much the exchange's clock is ahead of ours, as far as one answer can tell
    step_s: float = 0.0  # of its clock: an answer in whole seconds was true for a second

    @property
    def uncertain_s(self) -> float:
        """Return by how much `ahead_s` may be off: half the way, and half a step of the clock."""
        return (self.round_trip_s + self.step_s) / 2


def ask_the_time(source: Source, timeout_s: float, budgets: Budgets = BUDGETS) -> ClockAnswer:
    """Request the exchange's time by REST, within its budgets. Raises StreamError."""
    exchange = _exchange(source, timeout_s)
    sent = exchange.fetch = _Timed(exchange.fetch)  # the wait for a turn is no way of the answer
    with within_budgets(source, exchange, timeout_s, budgets, {}):
        theirs_ms = _request(exchange, source, exchange.fetch_time)
    step_s = exchange_of(source.exchange).clock_step_s
    middle_s = theirs_ms / 1e3 + step_s / 2  # its clock cuts what is below a step
    return ClockAnswer(sent.took_s, middle_s - (sent.wall_ns / 1e9 + sent.took_s / 2), step_s)


class _Timed:
    """Sends a request as given, and notes when, and how long the answer took."""

    def __init__(self, send: Callable[..., Any]) -> None:
        self._send = send
        self.wall_ns = 0
        self.took_s = 0.0

    def __call__(self, *request: Any) -> Any:
        self.wall_ns, began_s = time.time_ns(), time.monotonic()
        answer = self._send(*request)
        self.took_s = time.monotonic() - began_s
        return answer


def unchecked_because(source: Source) -> str | None:
    """Return why keys cannot be checked, or None: a signed request must go where the public ones go."""
    exchange = exchange_of(source.exchange)
    if exchange.credential_question is None:
        return f"which request would tell is not known of {source.exchange}"
    if source.endpoints.rest is not None and "private" not in exchange.addresses.ccxt_rest:
        return "the REST address is replaced, and keys go nowhere else"
    return None


def check_credentials(source: Source, api_key: str, api_secret: str, timeout_s: float) -> bool:
    """Make a signed request; return whether the key may only read, as far as the exchange tells.

    Raises StreamError, permanent where the exchange refuses the key.
    """
    question = exchange_of(source.exchange).credential_question
    assert question is not None  # noqa: S101  (`unchecked_because` says so)
    exchange = _exchange(source, timeout_s)
    exchange.apiKey, exchange.secret = api_key, api_secret
    return question.only_reads(_request(exchange, source, getattr(exchange, question.ccxt_method)))


def dial(source: Source, timeout_s: float) -> int:
    """Open and close a websocket at each address that would be used; return how many. Raises StreamError."""
    addresses = [
        url
        for url in dialled(source.exchange, source.environment, source.endpoints, source.kinds)
        if url.startswith("ws")
    ]
    asyncio.run(_dial(addresses, timeout_s))
    return len(addresses)


async def _dial(addresses: list[str], timeout_s: float) -> None:
    async with aiohttp.ClientSession() as session:
        for url in addresses:
            try:
                async with asyncio.timeout(timeout_s), session.ws_connect(url):
                    pass
            except TimeoutError:
                raise StreamError(f"{url}: no websocket within {timeout_s:g} s") from None
            except (aiohttp.ClientError, OSError) as error:
                raise StreamError(f"{url}: {error}") from error


def _exchange(source: Source, timeout_s: float) -> Any:
    exchange = getattr(ccxt, ccxt_id_of(source.exchange))(source.config(timeout_s))
    source.address(exchange)
    return exchange


def _request(exchange: Any, source: Source, question: Any) -> Any:
    try:
        return question()
    except Exception as error:  # noqa: BLE001  (ccxt's parsers raise whatever an odd answer leads to)
        found = error if isinstance(error, ccxt.BaseError) else unreadable(error)
        failure = classify(found, source.exchange, exchange.last_response_headers)
        text = f"{failure.cause}: {failure.detail}"
        raise StreamError(text, permanent=failure.kind is FailureClass.PERMANENT) from found
