"""Take parcels to the spool while the database keeps the writer waiting, one a step."""

from collections.abc import Callable

from collector.writer.delivery import Did
from collector.writer.line import Line
from collector.writer.shelf import Shelf


class Relief:
    """The spool's step."""

    def __init__(self, line: Line, shelf: Shelf, on_arrival: Callable[[], None] = lambda: None) -> None:
        self._line = line
        self._shelf = shelf
        self._on_arrival = on_arrival

    def step(self, *, swap: bool = True) -> Did:
        """Put the next parcel into the spool; first of all what the writer holds and is not durable."""
        parcel = self._line.take_aside(swap=swap)
        if parcel is None:
            return Did.IDLE
        if not self._shelf.put(parcel):
            return Did.REFUSED
        self._line.put(parcel)
        self._on_arrival()
        return Did.MOVED
