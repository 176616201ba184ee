"""Make hftbacktest's events: their record, their flags, their order, their file.

Record and flags are in its `hftbacktest/types.py` (2.4.4, https://github.com/nkaz001/hftbacktest), the rules
of the order in its `data/validation.py`: `exch_ts` must not go back for the exchange, `local_ts` not for the
bot. An event that the two see at different places is written once for each.
"""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Events = npt.NDArray[Any]

DEPTH, TRADE, DEPTH_CLEAR, DEPTH_SNAPSHOT = 1, 2, 3, 4
KIND = 0xFF
EXCHANGE, LOCAL = 1 << 31, 1 << 30  # who processes the event
BUY, SELL = 1 << 29, 1 << 28  # a bid, or a buyer who took; an ask, or a seller who took
EVENT = np.dtype(
    [
        ("ev", "<u8"),
        ("exch_ts", "<i8"),
        ("local_ts", "<i8"),
        ("px", "<f8"),
        ("qty", "<f8"),
        ("order_id", "<u8"),
        ("ival", "<i8"),
        ("fval", "<f8"),
    ]
)

_NEARLY_ALL = 0.9
_OFF_NS = 1_000_000_000
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # a zip file has nothing before


def events(
    kind: npt.ArrayLike, exchange_ns: npt.ArrayLike, local_ns: npt.ArrayLike, price: npt.ArrayLike, size: Any
) -> Events:
    """Return an array of events."""
    made = np.zeros(len(size), dtype=EVENT)
    made["ev"], made["exch_ts"], made["local_ts"] = kind, exchange_ns, local_ns
    made["px"], made["qty"] = price, size
    return made


def shift_ns(data: Events) -> int:
    """Return by how much the local clock must be put forward so that nothing arrives before it happened."""
    return max(0, int((data["exch_ts"] - data["local_ts"]).max())) if len(data) else 0


def far_ahead(data: Events) -> npt.NDArray[np.bool_]:
    """Return which events have an exchange's time that is off: ahead of nearly all others by a second.

    The exchange's clock may be ahead of ours; then all events are, and by the same, but for the distance.
    """
    ahead_ns = data["exch_ts"] - data["local_ts"]
    if not len(ahead_ns):
        return np.zeros(0, dtype=np.bool_)
    of_rows = ahead_ns[np.unique(data["local_ts"], return_index=True)[1]]  # a row may make many events
    usual_ns = np.quantile(of_rows, _NEARLY_ALL, method="lower")
    return np.asarray(ahead_ns > usual_ns + _OFF_NS)


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


def write_npz(path: Path, data: Events) -> None:
    """Write the file as numpy.savez_compressed does; the same events give the same bytes."""
    entry = zipfile.ZipInfo("data.npy", _EARLIEST)
    entry.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "w") as archive, archive.open(entry, "w", force_zip64=True) as file:
        np.lib.format.write_array(file, data, version=(1, 0), allow_pickle=False)
