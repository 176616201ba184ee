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
    by_local = np.argsort(data["local_ts"], kind="stable")
    own = np.empty(len(data), dtype=np.int64)
    own[by_local] = np.arange(len(data))
    place = np.empty(len(data), dtype=np.int64)  # at the exchange, of each in the order of the bot
    place[own[np.lexsort((own, data["ev"] & KIND != TRADE, data["exch_ts"]))]] = np.arange(len(data))
    reached = np.maximum.accumulate(place) if len(data) else place
    late = np.flatnonzero(place < reached)  # something newer was received before them
    flags = np.full(len(data), EXCHANGE | LOCAL, dtype=np.uint64)
    flags[late] = EXCHANGE
    flags = np.concatenate([flags, np.full(len(late), LOCAL, dtype=np.uint64)])
    which = np.concatenate([by_local, by_local[late]])
    order = np.lexsort(
        (np.concatenate([np.full(len(data), -1), late]), np.concatenate([place, reached[late]]))
    )
    found: Events = data[which[order]]  # the one copy: a day can be large
    found["ev"] |= flags[order]
    return found
