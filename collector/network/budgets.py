"""Keep one budget for each address at which REST is asked, for all parts of the process that ask there."""

import threading
import time
from collections.abc import Callable, Sequence
from weakref import WeakValueDictionary

from collector.exchanges import Endpoints, Environment, MarketKind, exchange_of, rest_address
from collector.network.budget import Budget


class Budgets:
    """The budgets of the addresses at which somebody asks now. For any thread."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()  # guards the table
        self._by_address: WeakValueDictionary[tuple[str, str], Budget] = WeakValueDictionary()

    def of(
        self, exchange: str, environment: Environment, endpoints: Endpoints, kinds: Sequence[MarketKind]
    ) -> dict[MarketKind, Budget]:
        """Return the budget of each kind of market, one for kinds at one address; none of an unknown limit.

        A budget lasts for as long as somebody keeps it.
        """
        limits, found = exchange_of(exchange).rest_limits, {}
        with self._lock:
            for kind in kinds:
                if kind in limits:
                    key = exchange, rest_address(exchange, environment, endpoints, kind)
                    budget = self._by_address.get(key) or Budget(limits[kind], self._monotonic_s)
                    found[kind] = self._by_address[key] = budget
        return found


BUDGETS = Budgets()  # an exchange counts all that comes from one address: that is all of this process
