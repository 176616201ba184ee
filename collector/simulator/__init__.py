"""Simulated exchanges: real sockets, a seeded market, the truth readable, faults on demand."""

from collector.simulator.exchange import Connection
from collector.simulator.simulator import Simulator
from collector.simulator.truth import BarState, BookState, Fault, Sent, TradeState

__all__ = ["BarState", "BookState", "Connection", "Fault", "Sent", "Simulator", "TradeState"]
