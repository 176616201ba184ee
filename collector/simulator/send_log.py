"""What was really put on each socket, and what was not: enough to reckon a collector's true coverage."""

import json
import threading
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple, Self


class Logged(NamedTuple):
    """One line of the log; times are of this machine's clock, whatever an exchange's own shows.

    `event` is opened, closed, subscribed, unsubscribed, answer, heartbeat, fault, withheld, or the kind of a
    market message (snapshot, delta, trade, bar, ticker). `channel` and `sequence` are as in `truth.sent`.
    `events` counts the updates, trades or bars in the message. `delivered` says whether the connection was
    open when the message was put on it. `withheld` is a message that the market made and nobody was sent.
    `times_us` is the exchange's time of each update of a book without numbers (Kraken's).
    """

    at_ns: int
    event: str
    exchange: str | None = None
    connection: int | None = None
    symbol: str | None = None
    channel: str | None = None
    sequence: int | None = None
    events: int = 0
    delivered: bool = True
    detail: str = ""
    times_us: tuple[int, ...] = ()


class SendLog:
    """Keeps the newest lines in memory, or every line in a file of JSON lines."""

    def __init__(self, *, bound: int = 0, path: Path | None = None) -> None:
        self._lock = threading.Lock()
        # Guarded by _lock: all below.
        self._lines: deque[Logged] = deque(maxlen=bound)
        self._file = None if path is None else path.open("w", encoding="utf-8")
        self._dropped = 0

    @classmethod
    def to(cls, where: int | str | Path | None) -> Self | None:
        """Make a log of so many lines in memory, or into a file; None makes none."""
        if where is None:
            return None
        return cls(bound=where) if isinstance(where, int) else cls(path=Path(where))

    @property
    def dropped(self) -> int:
        """How many lines were let go, the oldest first, to keep within the bound."""
        with self._lock:
            return self._dropped

    def note(self, line: Logged) -> None:
        """Add a line."""
        with self._lock:
            if self._file is None:
                self._dropped += len(self._lines) == self._lines.maxlen
                self._lines.append(line)
            elif not self._file.closed:
                self._file.write(json.dumps(line._asdict(), separators=(",", ":")) + "\n")

    def lines(self) -> list[Logged]:
        """Copy the lines held in memory, the oldest first; those in a file are read with `read_log`."""
        with self._lock:
            return list(self._lines)

    def flush(self) -> None:
        """Hand what was written to the operating system."""
        with self._lock:
            if self._file is not None and not self._file.closed:
                self._file.flush()

    def close(self) -> None:
        """Close the file; what is in memory stays readable."""
        with self._lock:
            if self._file is not None:
                self._file.close()


def read_log(path: str | Path) -> list[Logged]:
    """Read a log from its file."""
    with Path(path).open(encoding="utf-8") as lines:
        return [_logged(json.loads(line)) for line in lines]


def _logged(fields: dict[str, Any]) -> Logged:
    return Logged(**fields | {"times_us": tuple(fields["times_us"])})
