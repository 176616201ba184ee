"""Write instants as text, such that the order of the texts is that of time."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collector.events.settled import Integers, Value


def iso_texts(at_ns: "Integers") -> "list[Value]":
    """Write instants as `YYYY-MM-DDTHH:MM:SS.ffffffZ`."""
    microseconds = (at_ns // 1000).astype("datetime64[us]")
    texts: list[Value] = np.datetime_as_string(microseconds, unit="us", timezone="UTC").tolist()
    return texts


def iso_text(at_ns: int) -> str:
    """Write one instant as `YYYY-MM-DDTHH:MM:SS.ffffffZ`."""
    return str(iso_texts(np.array([at_ns], dtype=np.int64))[0])
