"""Fetch the snapshots of one exchange's books over REST, within its budget."""

import asyncio
from typing import Any

import ccxt.pro
import msgspec

from collector.errors import FrameError, StreamError
from collector.events.messages import Snapshot
from collector.exchanges.exchange import MarketKind, Rest
from collector.network.failure_table import FailureClass
from collector.network.failures import classify
from collector.network.markets import Markets, Source, strict
from collector.network.pacing import Budget

USED_WEIGHT_HEADERS = ("x-mbx-used-weight-1m",)


class Snapshots:
    """One REST client and a budget for each kind of market. Lives in the websocket thread's loop."""

    def __init__(self, source: Source, markets: Markets, rest: Rest, timeout_s: float) -> None:
        self._rest = rest
        # Our budget knows the published weights; ccxt's own queue would only add to the waiting.
        config = {**source.config(timeout_s), "enableRateLimit": False}
        self._ccxt: Any = strict(getattr(ccxt.pro, source.exchange), source.exchange)(config)
        source.address(self._ccxt)
        markets.share_with(self._ccxt)
        self._budgets = {kind: Budget(weight) for kind, weight in rest.weight_a_minute.items()}
        self._one_at_a_time = asyncio.Lock()  # so that the headers read are those of the answer

    def has_time_for(self, market_id: str, kind: MarketKind, depth: int) -> bool:
        """Return whether a book could be fetched at once, with as much left for one that needs it."""
        weight = self._rest.request(market_id, kind, self._rest.depth(kind, depth)).weight
        return self._budgets[kind].wait_s(2 * weight) <= 0.0

    async def fetch(self, market_id: str, kind: MarketKind, depth: int, topic: str) -> Snapshot:
        """Return a book's snapshot. Raises StreamError; `permanent` when asking again cannot help."""
        request = self._rest.request(market_id, kind, self._rest.depth(kind, depth))
        budget = self._budgets[kind]
        await budget.spend(request.weight)
        async with self._one_at_a_time:
            try:
                answer = await getattr(self._ccxt, request.ccxt_method)(dict(request.params))
            except ccxt.BaseError as error:
                raise self._failed(error, budget) from error
            for name in USED_WEIGHT_HEADERS:
                used = self._header(name)
                if used is not None:
                    budget.used(used)
        try:
            return self._rest.read(msgspec.json.encode(answer).decode(), topic)
        except FrameError as error:
            raise StreamError(f"a snapshot that cannot be read: {error}") from error

    async def close(self) -> None:
        """Close the client."""
        await self._ccxt.close()

    def _failed(self, error: Exception, budget: Budget) -> StreamError:
        failure = classify(error, self._ccxt.id, self._ccxt.last_response_headers)
        pause_s = failure.retry_after_s
        if failure.kind is FailureClass.RATE_LIMIT:
            pause_s = budget.refused(failure.retry_after_s)
        permanent = failure.kind is FailureClass.PERMANENT and not failure.is_of_access  # access comes back
        return StreamError(f"{failure.cause}: {failure.detail}", permanent=permanent, retry_after_s=pause_s)

    def _header(self, name: str) -> float | None:
        headers = self._ccxt.last_response_headers or {}
        for key, value in headers.items():
            if key.lower() == name:
                try:
                    return float(value)
                except ValueError:
                    return None
        return None
