"""Read off what REST answers how much more may be asked of it, and tell the budget."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import ccxt

from collector.errors import StreamError
from collector.exchanges import exchange_of
from collector.network.budget import Budget
from collector.network.failure_table import FailureClass
from collector.network.failures import LONGEST_RETRY_AFTER_S, Failure, classify, unreadable

THROTTLED = "throttled"  # the cause, where the exchange says in words of its own that it was asked too much


def heed(budget: Budget, exchange: str, headers: Mapping[str, str]) -> None:
    """Tell the budget what the headers of an answer say of it."""
    small = {name.lower(): value for name, value in headers.items()}
    budget.told(exchange_of(exchange).told(small, time.time() * 1000.0))


def heed_failure(
    budget: Budget,
    error: ccxt.BaseError,
    exchange: str,
    headers: Mapping[str, str] | None,
    pause_s: float | None = None,
) -> Failure:
    """Classify a failure, and pause where it means that too much was asked.

    `pause_s` is for how long where the answer does not say, else the budget's own. What is returned says for
    how long it is.
    """
    heed(budget, exchange, headers or {})
    failure = classify_answer(error, exchange, headers, time.time())
    if failure.kind is not FailureClass.RATE_LIMIT:
        return failure
    wanted_s = pause_s if failure.retry_after_s is None else failure.retry_after_s
    return replace(failure, retry_after_s=budget.refused(wanted_s, failure.cause))


def classify_answer(
    error: BaseException, exchange: str, headers: Mapping[str, str] | None, now_s: float
) -> Failure:
    """Classify the failure of a request to REST; a limit also by the words that are the exchange's own."""
    failure = classify(error, exchange, headers)
    if not isinstance(error, ccxt.BaseError):
        return failure
    for pattern in exchange_of(exchange).limit_words:
        found = re.search(pattern, str(error))
        if found is not None:
            until_s = found[1] if found.re.groups else None
            wait_s = None if until_s is None else min(max(float(until_s) - now_s, 0.0), LONGEST_RETRY_AFTER_S)
            return replace(
                failure,
                kind=FailureClass.RATE_LIMIT,
                cause=THROTTLED,
                suspicious=False,
                retry_after_s=failure.retry_after_s if wait_s is None else wait_s,
            )
    return failure


@contextmanager
def answered(task: str, client: Any, exchange: str) -> Iterator[None]:
    """Raise StreamError, told what the task is, for whatever a client of ccxt's raises in it."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  (ccxt's parsers raise whatever an odd answer leads to)
        found = error if isinstance(error, ccxt.BaseError) else unreadable(error)
        failure = classify_answer(found, exchange, client.last_response_headers, time.time())
        raise StreamError(
            f"could not {task}: {failure.cause}: {failure.detail}",
            permanent=failure.kind is FailureClass.PERMANENT,
            retry_after_s=failure.retry_after_s,
        ) from found
