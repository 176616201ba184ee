"""Make ids that sort by time and need no database to be unique."""

import secrets
import threading
import time
import uuid

_RANDOM_BITS = 21  # 42 bits of milliseconds last until the year 2109 within a signed 64-bit integer


class SegmentIds:
    """A source of int64 ids: milliseconds since the epoch, then random bits; always growing."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def next(self) -> int:
        """Return an id larger than every one before."""
        drawn = (time.time_ns() // 1_000_000) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
        with self._lock:
            self._last = max(self._last + 1, drawn)
            return self._last


def new_id() -> str:
    """Return a UUID of version 7: unique for ever, sorted by the millisecond it was made in."""
    milliseconds = time.time_ns() // 1_000_000
    bits = milliseconds << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=bits))
