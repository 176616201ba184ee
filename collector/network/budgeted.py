"""Have ccxt's blocking clients send their requests within the budgets of the addresses that they go to."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import ccxt

from collector.exchanges import MarketKind
from collector.network.allowance import Need
from collector.network.answers import heed, heed_failure
from collector.network.attempts import LIMITED_WAIT_S
from collector.network.budget import Budget
from collector.network.budgets import Budgets


class Place(Protocol):
    """Where an exchange is asked."""

    @property
    def exchange(self) -> str:
        """The exchange's name."""

    def budgets(self, among: Budgets) -> dict[MarketKind, Budget]:
        """Return the budget of each kind of market."""

    def rest_address(self, kind: MarketKind) -> str:
        """Return the address at which REST is asked for a kind of market."""


@contextmanager
def within_budgets(
    source: Place,
    client: Any,
    timeout_s: float,
    budgets: Budgets,
    weights: Mapping[MarketKind, float],  # of a request, by the kind of market of its address; else 1
) -> Iterator[None]:
    """Have a client of ccxt's ask in its turns, and close it in the end."""
    client.fetch = Budgeted(source, client, timeout_s, budgets, weights, Need.MARKETS)
    try:
        yield
    finally:
        client.session.close()
        del client.fetch  # its reference to the client would be a circle


class Budgeted:
    """The function by which a client of ccxt's sends each request, within the budget of its address."""

    def __init__(
        self,
        source: Place,
        client: Any,
        timeout_s: float,
        budgets: Budgets,
        weights: Mapping[MarketKind, float],
        need: Need,
    ) -> None:
        self._source = source
        self._client = client
        self._send = client.fetch
        self._patience_s = timeout_s
        self._budgets = source.budgets(budgets)
        self._weights = weights
        self._need = need

    def __call__(self, url: str, *request: Any) -> Any:
        """Send a request in its turn. Raises as ccxt does, also while the exchange wants to be left alone."""
        kind = next((one for one in self._budgets if url.startswith(self._source.rest_address(one))), None)
        if kind is None:
            return self._send(url, *request)
        budget, name = self._budgets[kind], self._source.exchange
        if budget.closed_for_s > self._patience_s:
            raise left_alone(name, budget.closed_for_s)
        with budget.turn_here(self._weights.get(kind, 1.0), self._need):
            try:
                answer = self._send(url, *request)
            except ccxt.BaseError as error:
                heed_failure(budget, error, name, self._client.last_response_headers, LIMITED_WAIT_S)
                raise
            heed(budget, name, self._client.last_response_headers or {})
            return answer


def left_alone(exchange: str, wait_s: float) -> ccxt.BaseError:
    """Return the error for a request that was not sent, since the exchange refused one before it."""
    error = ccxt.RateLimitExceeded(f"{exchange} refused a request: none is sent for {wait_s:.0f} s")
    error.headers = {"Retry-After": f"{wait_s:.1f}"}
    return error
