"""Put a market right again: what lasts ends, what waits for clients is forgotten; what was cut stays cut.

What is armed for the next message of a channel still comes: a restart that began owes its snapshot.
"""

from collector.simulator.exchanges import Exchange
from collector.simulator.world import World

_LATENCY_MS, _JITTER_MS, _SERVICE_MS = 20.0, 3.0, 3.0
_BATCH_S = 0.1


def calm(world: World) -> None:
    """End every fault that lasts; call it on the simulator's loop, with the market's lock held."""
    world.rest_faults.clear()
    world.clock_offsets_ns.clear()
    world.allowances.forget()
    world.tempos.forget()
    world.hub.stalled.clear()
    for feed in world.feeds.values():
        feed.delisted, feed.volume_factor = False, 1.0
        feed.stale_steps, feed.edge_levels = 0, None
    for each in world.exchanges:
        world.admission(each.name).forget()
        _bring_near(world, each)


def _bring_near(world: World, exchange: Exchange) -> None:
    exchange.message_capacity = None
    conditions = world.conditions[exchange.name]
    conditions.latency_ms, conditions.jitter_ms = _LATENCY_MS, _JITTER_MS
    conditions.service_ms = _SERVICE_MS
    if exchange.batches_diffs:
        world.hub.batch_s[exchange.name] = _BATCH_S


def tells_status(exchange: Exchange) -> bool:
    """Return whether an exchange announces that it is well."""
    try:
        exchange.status_text("online")
    except ValueError:
        return False
    return True
