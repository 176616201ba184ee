"""Simulated exchanges: real sockets, a seeded market, the truth readable, faults on demand."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collector.simulator.exchanges.messages import Connection
    from collector.simulator.market.truth import BarState, BookState, Fault, Sent, TradeState
    from collector.simulator.simulator import Simulator

__all__ = ["BarState", "BookState", "Connection", "Fault", "Sent", "Simulator", "TradeState"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    import importlib  # noqa: PLC0415

    places = dict.fromkeys(__all__, "market.truth") | {
        "Connection": "exchanges.messages",
        "Simulator": "simulator",
    }
    if name not in places:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{places[name]}"), name)
