"""Know hftbacktest's event: its flags and its record.

They stand in its `hftbacktest/types.py` (2.4.4, https://github.com/nkaz001/hftbacktest).
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

_EARLIEST = (1980, 1, 1, 0, 0, 0)  # a zip file has nothing before


def events(
    kind: npt.ArrayLike, exchange_ns: npt.ArrayLike, local_ns: npt.ArrayLike, price: npt.ArrayLike, size: Any
) -> Events:
    """Return an array of events."""
    made = np.zeros(len(size), dtype=EVENT)
    made["ev"], made["exch_ts"], made["local_ts"] = kind, exchange_ns, local_ns
    made["px"], made["qty"] = price, size
    return made


def write_npz(path: Path, data: Events) -> None:
    """Write the file as numpy.savez_compressed does; the same events give the same bytes."""
    entry = zipfile.ZipInfo("data.npy", _EARLIEST)
    entry.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "w") as archive, archive.open(entry, "w", force_zip64=True) as file:
        np.lib.format.write_array(file, data, version=(1, 0), allow_pickle=False)
