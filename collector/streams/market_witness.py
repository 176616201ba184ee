"""Compare the books of one market with its best prices and its trades, and its bars with these."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isnan
from weakref import WeakKeyDictionary, WeakSet

from collector.book import WITNESS, Did
from collector.events import BBO
from collector.streams.book_stream import BookStream
from collector.streams.candle_stream import CandleStream
from collector.streams.comparisons import Comparison, LastNotBeyond, SameNumber, Touches, TradesAtTheTouch

# What the channels of a market share: the numbers of updates, or one that goes across them.
KINDS: dict[str, Callable[[], Touches]] = {"update": LastNotBeyond, "cross": SameNumber}
# Disagreements in a row that end a book. A number across channels is documented as an order in time only: a
# market order may show under one number in two states, of which each channel shows another.
MOST_IN_A_ROW = {"update": 1, "cross": 3}


@dataclass(slots=True)
class _Watched:
    """What is known of one book."""

    touches: Touches | None
    trades: TradesAtTheTouch = field(default_factory=TradesAtTheTouch)
    disagreed_in_a_row: int = 0
    is_told: bool = False  # that something disagreed in this segment


class MarketWitness:
    """Compares the books of one market with its best prices and its trades. Lives in the websocket thread."""

    def __init__(self, numbers: str | None) -> None:
        self._by_update = numbers == "update"
        self._make = None if numbers is None else KINDS[numbers]
        self._most_in_a_row = MOST_IN_A_ROW.get(numbers or "", 1)
        self._books: WeakKeyDictionary[BookStream, _Watched] = WeakKeyDictionary()
        self._bars: WeakSet[CandleStream] = WeakSet()
        # Whether best prices and trades come in: before that, nothing is kept for them.
        self._has_best_prices = self._has_trades = False

    def watch(self, stream: BookStream) -> None:
        """Compare a book, or the best prices, of the market from now on."""
        stream.witness = self
        stream.is_watched = stream.key.channel == BBO or self._has_best_prices or self._has_trades
        if stream.key.channel != BBO:
            self._books[stream] = _Watched(None if self._make is None else self._make())

    def watch_bars(self, stream: CandleStream) -> None:
        """Tell a stream of bars of each trade."""
        self._bars.add(stream)

    def leave(self, stream: BookStream) -> None:
        """Compare a stream no more: it is not fed any longer."""
        self.lost(stream)
        self._books.pop(stream, None)
        stream.witness = None

    def saw(
        self, stream: BookStream, cross_sequence: int | None, top: Sequence[float], received_at_ns: int
    ) -> None:
        """Take the state of a stream after a message, and its number across channels, where it has one."""
        is_book = stream.key.channel != BBO
        if not (is_book or self._has_best_prices):
            self._has_best_prices = True
            self._watch_all()
        levels = len(top) // 4
        touch = top[0], top[levels], top[2 * levels], top[3 * levels]
        if any(map(isnan, touch)):
            return
        number = stream.sequence if self._by_update else cross_sequence
        if is_book:
            watched = self._books[stream]
            if self._has_trades:
                watched.trades.of_book(received_at_ns, touch[0], touch[2])
            if self._has_best_prices and watched.touches is not None and number is not None:
                self._compared(stream, watched, watched.touches.of_book(number, touch), received_at_ns)
            return
        for book, watched in list(self._books.items()):
            if watched.touches is not None and number is not None:
                self._compared(book, watched, watched.touches.of_best_prices(number, touch), received_at_ns)

    def traded(self, received_at_ns: int, price: float, exchange_ms: int) -> None:
        """Take a trade at the market, which its bars must tell as well."""
        for bars in list(self._bars):
            bars.traded(received_at_ns, exchange_ms)
        if not self._has_trades:
            self._has_trades = True
            self._watch_all()
        for book, watched in list(self._books.items()):
            if book.verified:
                compared, contradicted = watched.trades.traded(received_at_ns, price)
                if compared:
                    book.count_witnessed(compared, int(contradicted))
                if contradicted:
                    _doubt(book, f"trades go on far from the best prices, the last at {price!r}")

    def _watch_all(self) -> None:
        for book in list(self._books):
            book.is_watched = True

    def lost(self, stream: BookStream) -> None:
        """Forget what a stream said: its segment ended, and what comes next does not follow."""
        #'s segment ended: what comes next does not follow."""
        if stream.key.channel != BBO:
            watched = self._books[stream]
            watched.trades.forget()
            watched.disagreed_in_a_row, watched.is_told = 0, False
            if watched.touches is not None:
                watched.touches.forget_book()
            return
        self._has_best_prices = False
        for watched in list(self._books.values()):
            if watched.touches is not None:
                watched.touches.forget_best_prices()

    def _compared(
        self, book: BookStream, watched: _Watched, comparisons: Sequence[Comparison], received_at_ns: int
    ) -> None:
        """Count comparisons; too many disagreements in a row end the book."""
        if not comparisons:
            return
        book.count_witnessed(len(comparisons), sum(not one.agrees for one in comparisons))
        for one in comparisons:
            if one.agrees:
                watched.disagreed_in_a_row = 0
                continue
            watched.disagreed_in_a_row += 1
            detail = f"at {one.number}: best prices {one.book} here, {one.best_prices} told"
            if watched.disagreed_in_a_row >= self._most_in_a_row:
                _doubt(book, detail)
                return
            if not watched.is_told:
                watched.is_told = True
                book.tell_disagreement(received_at_ns, detail)


def _doubt(book: BookStream, detail: str) -> None:
    outcome = book.doubt(WITNESS, detail)
    if outcome.did is Did.BROKE:
        book.on_doubt(book, outcome)
