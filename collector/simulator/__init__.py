"""Simulated exchanges: real sockets, a seeded market, the truth readable, faults on demand."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.simulator.market import (
        AggregateState,
        BarState,
        BookState,
        Fault,
        Outage,
        Sent,
        TradeState,
    )
    from collector.simulator.messages import Connection
    from collector.simulator.simulator import Simulator as Simulator  # for programs under `mypy --strict`
else:
    __getattr__, __dir__ = face(__name__, __file__)
