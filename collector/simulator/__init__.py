"""Simulated exchanges: real sockets, a seeded market, the truth readable, faults on demand."""

from collector.simulator.exchanges.exchange import Connection
from collector.simulator.market.truth import BarState, BookState, Fault, Sent, TradeState
from collector.simulator.simulator import Simulator

__all__ = ["BarState", "BookState", "Connection", "Fault", "Sent", "Simulator", "TradeState"]
