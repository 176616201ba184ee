"""Let the channels of one market witness each other: its best prices against its books."""

from collections.abc import Callable, Sequence
from math import isnan
from weakref import WeakSet

from collector.book.verified import Did
from collector.events.messages import Delta, Snapshot
from collector.stream.book_stream import WITNESS, BookStream
from collector.stream.touches import Comparison, LastNotBeyond, SameNumber, Touches

TOLD_BY = "bbo"
# What the channels of a market share: the numbers of updates, or one that goes across them.
KINDS: dict[str, Callable[[], Touches]] = {"update": LastNotBeyond, "cross": SameNumber}


class MarketWitness:
    """The books of one market beside its best prices. Lives in the websocket thread."""

    def __init__(self, numbers: str) -> None:
        self._by_update = numbers == "update"
        self._make = KINDS[numbers]
        self._books: WeakSet[BookStream] = WeakSet()
        self._is_told = False  # best prices come in: before that, nothing is kept for them

    def watch(self, stream: BookStream) -> None:
        """Have a stream of the market looked at."""
        stream.witness = self
        if stream.key.channel != TOLD_BY:
            stream.touches = self._make()
            self._books.add(stream)

    def saw(self, stream: BookStream, message: Snapshot | Delta, top: Sequence[float]) -> None:
        """Take the state of a stream after a message."""
        if stream.touches is None:
            self._is_told = True
        elif not self._is_told:
            return
        number = stream.sequence if self._by_update else message.cross_sequence
        levels = len(top) // 4
        touch = top[0], top[levels], top[2 * levels], top[3 * levels]
        if number is None or any(map(isnan, touch)):
            return
        if stream.touches is not None:
            _tell(stream, stream.touches.of_book(number, touch))
            return
        for book in list(self._books):
            if book.touches is not None:
                _tell(book, book.touches.told(number, touch))

    def lost(self, stream: BookStream) -> None:
        """Hear that a stream's segment ended: what comes next does not follow."""
        if stream.touches is not None:
            stream.touches.forget_book()
            return
        self._is_told = False
        for book in list(self._books):
            if book.touches is not None:
                book.touches.forget_told()


def _tell(book: BookStream, comparisons: Sequence[Comparison]) -> None:
    if not comparisons:
        return
    wrong = next((one for one in comparisons if not one.agrees), None)
    book.count_witnessed(len(comparisons), sum(not one.agrees for one in comparisons))
    if wrong is not None:
        outcome = book.doubt(WITNESS, f"at {wrong.number}: best prices {wrong.book} here, {wrong.told} told")
        if outcome.did is Did.BROKE:
            book.on_doubt(book, outcome)
