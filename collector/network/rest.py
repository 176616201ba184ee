"""Ask REST of one exchange within its budgets, and heed what its answers say of them."""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

import ccxt.pro

from collector.errors import StreamError
from collector.exchanges import MarketKind, RestSnapshot
from collector.network.allowance import Need
from collector.network.answers import heed, heed_failure
from collector.network.budgets import BUDGETS, Budgets
from collector.network.failure_table import FailureClass
from collector.network.failures import unreadable
from collector.network.markets import Markets, Source, strict
from collector.network.tls import share_tls

TIMEOUT = "timeout"  # the cause of a request that was not answered in time

# Of the answer to the request of this task: several may be under way, and ccxt keeps the last one's only.
_answer_headers: ContextVar[Mapping[str, str]] = ContextVar("answer_headers")


class RestClient:
    """One REST client of an exchange, for requests of any kind of market. Lives in one loop.

    Requests that have nothing to do with each other may be asked for at the same time: the budget puts them
    in order, with those of all other clients of the process.
    """

    def __init__(
        self,
        source: Source,
        timeout_s: float,
        markets: Markets | None = None,
        budgets: Budgets = BUDGETS,
        api_key: str = "",  # sent where an exchange asks for one; nothing is signed
    ) -> None:
        self.budgets = source.budgets(budgets)
        self._exchange = source.exchange
        # Our budget knows the published weights; ccxt's own queue would only add to the waiting.
        config = {**source.config(timeout_s), "enableRateLimit": False}
        self._ccxt: Any = strict(ccxt.pro, source.exchange)(config)
        self._ccxt.on_rest_response = _keep_headers
        self._ccxt.apiKey = api_key
        source.address(self._ccxt)
        share_tls(self._ccxt)
        if markets is not None:
            markets.share_with(self._ccxt)

    async def ask(self, request: RestSnapshot, kind: MarketKind, need: Need) -> Any:
        """Wait for a turn, and return what the exchange answers. Raises StreamError as `answer` does."""
        async with self.budgets[kind].turn(request.weight, need):
            return await self.answer(request, kind)

    async def answer(self, request: RestSnapshot, kind: MarketKind) -> Any:
        """Return what the exchange answers to a request that has its turn.

        Raises StreamError; `permanent` when asking again cannot help.
        """
        budget, exchange = self.budgets[kind], self._exchange
        _answer_headers.set({})
        try:
            answer = await getattr(self._ccxt, request.ccxt_method)(dict(request.params))
        except Exception as error:
            found = error if isinstance(error, ccxt.BaseError) else unreadable(error)
            failure = heed_failure(budget, found, exchange, _answer_headers.get())
            # Access that is refused comes back: not permanent.
            raise StreamError(
                f"{failure.cause}: {failure.detail}",
                permanent=failure.kind is FailureClass.PERMANENT and not failure.is_of_access,
                retry_after_s=failure.retry_after_s,
                unanswered=failure.cause == TIMEOUT,
            ) from error
        heed(budget, exchange, _answer_headers.get())
        return answer

    async def close(self) -> None:
        """Close the client."""
        await self._ccxt.close()


def _keep_headers(*answer: Any) -> Any:
    """Keep the headers of an answer for the task that asked; ccxt wants the body back."""
    _code, _reason, _url, _method, headers, body, *_request = answer
    _answer_headers.set(headers)
    return body
