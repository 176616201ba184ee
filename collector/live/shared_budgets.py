"""Publish what happens to the request budgets of one exchange, whoever in the process uses them."""

import time
from collections.abc import Generator
from contextlib import contextmanager

from collector.events import EventBus, RequestsPaused, RequestsWait
from collector.network import BudgetClosed, BudgetNews, BudgetNow, Source


class SharedBudgets:
    """The budgets of the addresses at which REST is asked about one exchange, kept while it is collected."""

    def __init__(self, source: Source, events: EventBus) -> None:
        self._exchange = source.exchange
        self._events = events
        self._budgets = list(dict.fromkeys(source.budgets().values()))

    @contextmanager
    def told(self) -> Generator[None]:
        """Publish what happens to them meanwhile."""
        ends = [budget.listen(self._tell) for budget in self._budgets]
        try:
            yield
        finally:
            for end in ends:
                end()

    def now(self) -> list[BudgetNow]:
        """Return the state of each. For any thread."""
        return [budget.now() for budget in self._budgets]

    def _tell(self, news: BudgetNews) -> None:
        """Publish news in whatever thread they came about."""
        now_ns = time.time_ns()  # the feed's clock is owned by one thread
        if isinstance(news, BudgetClosed):
            until_ns = now_ns + round(news.for_s * 1e9)
            self._events.publish(RequestsPaused(self._exchange, now_ns, until_ns, news.cause))
        else:
            need = news.need.name.lower()
            self._events.publish(RequestsWait(self._exchange, now_ns, need, news.waited_s, news.waiting))
