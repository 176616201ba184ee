"""Compare the books of one market with its best prices and its trades."""

from collections.abc import Callable, Sequence
from math import isnan
from weakref import WeakKeyDictionary

from collector.book.verified import Did
from collector.events.channel import BBO
from collector.events.messages import Delta, Snapshot
from collector.streams.book_stream import WITNESS, BookStream
from collector.streams.comparisons import Comparison, LastNotBeyond, SameNumber, Touches, TradesAtTheTouch

# What the channels of a market share: the numbers of updates, or one that goes across them.
KINDS: dict[str, Callable[[], Touches]] = {"update": LastNotBeyond, "cross": SameNumber}


class MarketWitness:
    """Compares the books of one market with its best prices and its trades. Lives in the websocket thread."""

    def __init__(self, numbers: str | None) -> None:
        self._by_update = numbers == "update"
        self._make = None if numbers is None else KINDS[numbers]
        self._books: WeakKeyDictionary[BookStream, tuple[Touches | None, TradesAtTheTouch]] = (
            WeakKeyDictionary()
        )
        # Whether best prices and trades come in: before that, nothing is kept for them.
        self._has_best_prices = self._has_trades = False

    def watch(self, stream: BookStream) -> None:
        """Compare a book, or the best prices, of the market from now on."""
        stream.witness = self
        stream.is_watched = stream.key.channel == BBO or self._has_best_prices or self._has_trades
        if stream.key.channel != BBO:
            self._books[stream] = None if self._make is None else self._make(), TradesAtTheTouch()

    def leave(self, stream: BookStream) -> None:
        """Compare a stream no more: it is not fed any longer."""
        self.lost(stream)
        self._books.pop(stream, None)
        stream.witness = None

    def saw(
        self, stream: BookStream, message: Snapshot | Delta, top: Sequence[float], received_at_ns: int
    ) -> None:
        """Take the state of a stream after a message."""
        is_book = stream.key.channel != BBO
        if not (is_book or self._has_best_prices):
            self._has_best_prices = True
            self._watch_all()
        levels = len(top) // 4
        touch = top[0], top[levels], top[2 * levels], top[3 * levels]
        if any(map(isnan, touch)):
            return
        number = stream.sequence if self._by_update else message.cross_sequence
        if is_book:
            touches, trades = self._books[stream]
            if self._has_trades:
                trades.of_book(received_at_ns, touch[0], touch[2])
            if self._has_best_prices and touches is not None and number is not None:
                _count(stream, touches.of_book(number, touch))
            return
        for book, (touches, _) in list(self._books.items()):
            if touches is not None and number is not None:
                _count(book, touches.of_best_prices(number, touch))

    def traded(self, received_at_ns: int, price: float) -> None:
        """Take a trade at the market."""
        if not self._has_trades:
            self._has_trades = True
            self._watch_all()
        for book, (_, trades) in list(self._books.items()):
            if book.verified:
                compared, contradicted = trades.traded(received_at_ns, price)
                if compared:
                    book.count_witnessed(compared, int(contradicted))
                if contradicted:
                    _doubt(book, f"trades go on far from the best prices, the last at {price!r}")

    def _watch_all(self) -> None:
        for book in list(self._books):
            book.is_watched = True

    def lost(self, stream: BookStream) -> None:
        """Forget what a stream said: its segment ended, and what comes next does not follow."""
        if stream.key.channel != BBO:
            touches, trades = self._books[stream]
            trades.forget()
            if touches is not None:
                touches.forget_book()
            return
        self._has_best_prices = False
        for touches, _ in list(self._books.values()):
            if touches is not None:
                touches.forget_best_prices()


def _count(book: BookStream, comparisons: Sequence[Comparison]) -> None:
    if not comparisons:
        return
    book.count_witnessed(len(comparisons), sum(not one.agrees for one in comparisons))
    wrong = next((one for one in comparisons if not one.agrees), None)
    if wrong is not None:
        _doubt(book, f"at {wrong.number}: best prices {wrong.book} here, {wrong.best_prices} told")


def _doubt(book: BookStream, detail: str) -> None:
    outcome = book.doubt(WITNESS, detail)
    if outcome.did is Did.BROKE:
        book.on_doubt(book, outcome)
