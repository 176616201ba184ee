"""Bring events into the order in which exchange and bot see them, by hftbacktest's rules.

Its `data/validation.py` has them: what the exchange processes must not go back in `exch_ts`, what the bot
processes not in `local_ts`; an event that stands at different places in the two is written once for each.
"""

import numpy as np

from collector.export.hftbacktest.layout import EXCHANGE, KIND, LOCAL, TRADE, Events


def shift_ns(data: Events) -> int:
    """Return by how much the local clock must be put forward so that nothing arrives before it happened."""
    return max(0, int((data["exch_ts"] - data["local_ts"]).max())) if len(data) else 0


def ordered(data: Events) -> Events:
    """Return the events in both orders; at one instant a trade comes before the books that it changed."""
    data = data[np.argsort(data["local_ts"], kind="stable")]
    by_exchange = np.lexsort((data["ev"] & KIND != TRADE, data["exch_ts"]))
    place = np.empty(len(data), dtype=np.int64)
    place[by_exchange] = np.arange(len(data))
    reached = np.maximum.accumulate(place) if len(data) else place
    is_late = place < reached  # something newer was received before it
    first = data.copy()
    first["ev"] |= np.where(is_late, EXCHANGE, EXCHANGE | LOCAL).astype(np.uint64)
    second = data[is_late]
    second["ev"] |= np.uint64(LOCAL)
    both = np.concatenate([first, second])
    keys = np.concatenate([place, reached[is_late]])
    own = np.concatenate([np.full(len(data), -1), np.flatnonzero(is_late)])
    return both[np.lexsort((own, keys))]
