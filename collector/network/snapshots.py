"""Ask REST for the books of one exchange, within its budget, what is needed most first."""

import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

import ccxt.pro
import msgspec

from collector.errors import FrameError, StreamError
from collector.events import Snapshot
from collector.exchanges import Exchange, MarketKind, RestSnapshot
from collector.network.failure_table import FailureClass
from collector.network.failures import classify
from collector.network.markets import Markets, Source, strict
from collector.network.pacing import Budget
from collector.network.request_line import RequestLine, Turn

USED_WEIGHT_HEADERS = ("x-mbx-used-weight-1m",)
TIMEOUT = "timeout"  # the cause of a request that was not answered in time

# Of the answer to the request of this task: several may be under way, and ccxt keeps the last one's only.
_answer_headers: ContextVar[Mapping[str, str]] = ContextVar("answer_headers")


class Snapshots:
    """One REST client, with a line of requests for each kind of market. Lives in the websocket's loop."""

    def __init__(
        self,
        source: Source,
        markets: Markets,
        protocol: Exchange,
        timeout_s: float,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rest, self._check = protocol.rest, protocol.check
        # Our budget knows the published weights; ccxt's own queue would only add to the waiting.
        config = {**source.config(timeout_s), "enableRateLimit": False}
        self._ccxt: Any = strict(getattr(ccxt.pro, source.exchange), source.exchange)(config)
        self._ccxt.on_rest_response = _keep_headers
        source.address(self._ccxt)
        markets.share_with(self._ccxt)
        asked = self._rest or self._check
        weights = {} if asked is None else asked.weight_a_minute
        self._lines = {kind: RequestLine(Budget(weight, monotonic_s)) for kind, weight in weights.items()}

    @property
    def has_checks(self) -> bool:
        """Return whether the state of a silent stream can be asked for."""
        return self._check is not None

    @property
    def budget_used(self) -> float:
        """Return the share of the request budget that is used now, of the kind that has the least left."""
        return max((line.budget.used_share for line in self._lines.values()), default=0.0)

    def waiting(self) -> int:
        """Return how many requests wait or are under way."""
        return sum(map(len, self._lines.values()))

    def holds(self, book: object, kind: MarketKind) -> bool:
        """Return whether a request for a book waits or is under way."""
        return self._lines[kind].holds(book)

    def is_closed(self, kind: MarketKind) -> bool:
        """Return whether the exchange refused us and wants to be left alone for a while."""
        return self._lines[kind].budget.closed_for_s > 0.0

    def has_time_for(self, market_id: str, kind: MarketKind, depth: int) -> bool:
        """Return whether a book could be fetched at once, with as much left for one that needs it."""
        return self._lines[kind].has_time_for(self._request(market_id, kind, depth).weight)

    async def fetch(self, market_id: str, kind: MarketKind, depth: int, topic: str, turn: Turn) -> Snapshot:
        """Return a book's snapshot. Raises StreamError; `permanent` when asking again cannot help."""
        assert self._rest is not None  # noqa: S101  (only such books are opened by it)
        return await self._ask(self._request(market_id, kind, depth), self._rest.read, kind, topic, turn)

    async def ask(self, market_id: str, kind: MarketKind, channel: str, topic: str, turn: Turn) -> Snapshot:
        """Return the state of a stream, as REST has it. Raises StreamError as `fetch` does."""
        check = self._check
        request = None if check is None else check.request(market_id, kind, channel)
        if check is None or request is None:
            raise StreamError(f"REST has no state of {topic}", permanent=True)
        return await self._ask(request, check.read, kind, topic, turn)

    async def close(self) -> None:
        """Close the client."""
        await self._ccxt.close()

    def _request(self, market_id: str, kind: MarketKind, depth: int) -> RestSnapshot:
        assert self._rest is not None  # noqa: S101  (only such books are opened by it)
        return self._rest.request(market_id, kind, self._rest.depth(kind, depth))

    async def _ask(
        self,
        request: RestSnapshot,
        read: Callable[[str, str], Snapshot],
        kind: MarketKind,
        topic: str,
        turn: Turn,
    ) -> Snapshot:
        line = self._lines[kind]
        async with line.go(turn, request.weight):
            _answer_headers.set({})
            try:
                answer = await getattr(self._ccxt, request.ccxt_method)(dict(request.params))
            except ccxt.BaseError as error:
                raise self._failed(error, line.budget) from error
            for name in USED_WEIGHT_HEADERS:
                used = _header(name)
                if used is not None:
                    line.budget.used(used)
        try:
            return read(msgspec.json.encode(answer).decode(), topic)
        except FrameError as error:
            raise StreamError(f"a snapshot that cannot be read: {error}") from error

    def _failed(self, error: Exception, budget: Budget) -> StreamError:
        failure = classify(error, self._ccxt.id, _answer_headers.get())
        pause_s = failure.retry_after_s
        if failure.kind is FailureClass.RATE_LIMIT:
            pause_s = budget.refused(failure.retry_after_s)
        # Access that is refused comes back: not permanent.
        return StreamError(
            f"{failure.cause}: {failure.detail}",
            permanent=failure.kind is FailureClass.PERMANENT and not failure.is_of_access,
            retry_after_s=pause_s,
            unanswered=failure.cause == TIMEOUT,
        )


def _keep_headers(*answer: Any) -> Any:
    """Keep the headers of an answer for the task that asked; ccxt wants the body back."""
    _code, _reason, _url, _method, headers, body, *_request = answer
    _answer_headers.set(headers)
    return body


def _header(name: str) -> float | None:
    for key, value in _answer_headers.get().items():
        if key.lower() == name:
            try:
                return float(value)
            except ValueError:
                return None
    return None
