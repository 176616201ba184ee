"""A nasty market: every fault that there is, at random times from a seed, the same for the same seed."""

import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from heapq import heappop, heappush
from typing import Any, NamedTuple

from collector.errors import UserError
from collector.simulator.faults import Faults
from collector.simulator.market import Truth
from collector.simulator.nasty_faults import Draw, Ill, ills

MEAN_WAIT_S = 2.0


class Planned(NamedTuple):
    """One fault of a schedule: when, in seconds after the start, and with which arguments."""

    at_s: float
    fault: str
    arguments: dict[str, Any]


def schedule(
    seed: int, markets: Mapping[str, Sequence[str]], *, mean_wait_s: float = MEAN_WAIT_S
) -> Iterator[Planned]:
    """Plan faults without end, in order; what lasts is put right again. Depends on its arguments alone."""
    draw = random.Random(f"{seed}:nasty")  # noqa: S311  (a repeatable schedule)
    choices = {exchange: ills(exchange) for exchange in markets}
    pending: list[tuple[float, int, Planned]] = []
    at_s, number = 0.0, 0
    while markets:
        at_s += draw.expovariate(1 / mean_wait_s)
        while pending and pending[0][0] <= at_s:
            yield heappop(pending)[2]
        exchange = draw.choice(sorted(markets))
        symbols = markets[exchange]
        # The first market of an exchange is never taken off it.
        subject = Draw(draw, exchange, draw.choice(symbols), list(symbols[1:]))
        for after_s, fault, arguments in _chosen(draw, choices[exchange])(subject):
            planned = Planned(round(at_s + after_s, 3), fault, arguments)
            number += 1
            heappush(pending, (planned.at_s, number, planned))


def _chosen(draw: random.Random, choices: Sequence[tuple[float, Ill]]) -> Ill:
    return draw.choices([ill for _, ill in choices], [weight for weight, _ in choices])[0]


class FaultRunner:
    """Carries out a schedule on a thread of its own."""

    def __init__(self, plan: Iterator[Planned], faults: Faults, truth: Truth) -> None:
        self._plan = plan
        self._faults = faults
        self._truth = truth
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="simulator-faults", daemon=True)

    def start(self) -> None:
        """Begin; the schedule's times count from now."""
        self._thread.start()

    def stop(self) -> None:
        """End before the next fault."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        started_s = time.monotonic()
        for planned in self._plan:
            if self._stopping.wait(max(0.0, started_s + planned.at_s - time.monotonic())):
                return
            try:
                getattr(self._faults, planned.fault)(**planned.arguments)
            except (UserError, ValueError) as error:  # a market that an earlier fault took off, say
                self._truth.note_fault(f"{planned.fault} not possible", detail=str(error))
