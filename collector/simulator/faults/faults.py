"""Faults on demand, each one call."""

from collector.simulator.faults.on_connections import ConnectionFaults
from collector.simulator.faults.on_contents import ContentFaults
from collector.simulator.faults.on_frames import FrameFaults
from collector.simulator.faults.on_markets import MarketFaults
from collector.simulator.faults.on_rest import RestFaults
from collector.simulator.faults.on_subscriptions import SubscriptionFaults

_GROUPS = (ConnectionFaults, SubscriptionFaults, FrameFaults, ContentFaults, MarketFaults, RestFaults)


class Faults(ConnectionFaults, SubscriptionFaults, FrameFaults, ContentFaults, MarketFaults, RestFaults):
    """All that can be made to go wrong. Each method may be called from any thread; the truth records it."""


def fault_names() -> list[str]:
    """List the faults that can be asked for, group by group."""
    return [name for group in _GROUPS for name in vars(group) if not name.startswith("_")]
