"""Compare the books of one market with its best prices and its trades, and its bars with these."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isnan
from weakref import WeakKeyDictionary, WeakSet

from collector.book import WITNESS, Did
from collector.events import BBO
from collector.streams.book_stream import BookStream
from collector.streams.candle_stream import CandleStream
from collector.streams.comparisons import (
    Comparison,
    LastNotBeyond,
    SameNumber,
    Touch,
    Touches,
    TradesAtTheTouch,
)

# What the channels of a market share: the numbers of updates, or one that goes across them.
KINDS: dict[str, Callable[[], Touches]] = {"update": LastNotBeyond, "cross": SameNumber}
# Disagreements in a row that end a book. A number across channels is documented as an order in time only: a
# market order may show under one number in two states, of which each channel shows another.
MOST_IN_A_ROW = {"update": 1, "cross": 3}


class MarketWitness:
    """Compares the books of one market with its best prices and its trades. Lives in the websocket thread."""

    def __init__(self, numbers: str | None) -> None:
        self.by_update = numbers == "update"
        self._make = None if numbers is None else KINDS[numbers]
        self._most_in_a_row = MOST_IN_A_ROW.get(numbers or "", 1)
        self._books: WeakKeyDictionary[BookStream, _Book] = WeakKeyDictionary()
        self._bars: WeakSet[CandleStream] = WeakSet()
        # Whether best prices and trades come in: before that, nothing is kept for them.
        self.has_best_prices = self.has_trades = False

    def watch(self, stream: BookStream) -> None:
        """Compare a book, or the best prices, of the market from now on."""
        stream.is_watched = stream.key.channel == BBO or self.has_best_prices or self.has_trades
        if stream.key.channel == BBO:
            stream.witness = _BestPrices(self)
        else:
            stream.witness = self._books[stream] = _Book(self, None if self._make is None else self._make())

    def watch_bars(self, stream: CandleStream) -> None:
        """Tell a stream of bars of each trade."""
        self._bars.add(stream)

    def leave(self, stream: BookStream) -> None:
        """Compare a stream no more: it is not fed any longer."""
        self._books.pop(stream, None)
        stream.witness = None

    def best_prices_came(self, number: int | None, touch: Touch, received_at_ns: int) -> None:
        """Compare the books with the best bid and ask, each with its size."""
        for book, watched in list(self._books.items()):
            if watched.touches is not None and number is not None:
                self.compared(book, watched, watched.touches.of_best_prices(number, touch), received_at_ns)

    def best_prices_come(self) -> None:
        """Keep what books show from now on, to compare it with best prices."""
        if not self.has_best_prices:
            self.has_best_prices = True
            self._watch_all()

    def best_prices_lost(self) -> None:
        """Forget the best prices: some of them may be missing."""
        self.has_best_prices = False
        for watched in list(self._books.values()):
            if watched.touches is not None:
                watched.touches.forget_best_prices()

    def traded(self, received_at_ns: int, price: float, exchange_ms: int) -> None:
        """Take a trade at the market, which its bars must tell as well."""
        for bars in list(self._bars):
            bars.traded(received_at_ns, exchange_ms)
        if not self.has_trades:
            self.has_trades = True
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

    def compared(
        self, book: BookStream, watched: "_Book", comparisons: Sequence[Comparison], received_at_ns: int
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


@dataclass(slots=True)
class _Book:
    """What one book showed, for whoever compares it."""

    _market: MarketWitness
    touches: Touches | None
    trades: TradesAtTheTouch = field(default_factory=TradesAtTheTouch)
    disagreed_in_a_row: int = 0
    is_told: bool = False  # that something disagreed in this segment

    def saw(
        self, stream: BookStream, cross_sequence: int | None, top: Sequence[float], received_at_ns: int
    ) -> None:
        """Take the state of the book after a message, and its number across channels, where it has one."""
        levels = len(top) // 4
        bid, ask, market = top[0], top[2 * levels], self._market
        if bid != bid or ask != ask:  # noqa: PLR0124  (NaN: an empty side)
            return
        if market.has_trades:
            self.trades.of_book(received_at_ns, bid, ask)
        if market.has_best_prices and self.touches is not None:
            number = stream.sequence if market.by_update else cross_sequence
            if number is not None:
                touch = bid, top[levels], ask, top[3 * levels]
                market.compared(stream, self, self.touches.of_book(number, touch), received_at_ns)

    def lost(self, stream: BookStream) -> None:
        """Forget what the book said: its segment ended, and what comes next does not follow."""
        del stream
        self.trades.forget()
        self.disagreed_in_a_row, self.is_told = 0, False
        if self.touches is not None:
            self.touches.forget_book()

    def leave(self, stream: BookStream) -> None:
        """Compare the book no more."""
        self.lost(stream)
        self._market.leave(stream)


class _BestPrices:
    """Hands the best prices of a market on, to be compared with its books."""

    def __init__(self, market: MarketWitness) -> None:
        self._market = market

    def saw(
        self, stream: BookStream, cross_sequence: int | None, top: Sequence[float], received_at_ns: int
    ) -> None:
        """Take the best bid and ask, and their number across channels, where they have one."""
        market, levels = self._market, len(top) // 4
        market.best_prices_come()
        touch = top[0], top[levels], top[2 * levels], top[3 * levels]
        if not any(map(isnan, touch)):
            number = stream.sequence if market.by_update else cross_sequence
            market.best_prices_came(number, touch, received_at_ns)

    def lost(self, stream: BookStream) -> None:
        """Forget the best prices."""
        del stream
        self._market.best_prices_lost()

    def leave(self, stream: BookStream) -> None:
        """Compare the best prices no more."""
        self.lost(stream)
        self._market.leave(stream)


def _doubt(book: BookStream, detail: str) -> None:
    outcome = book.doubt(WITNESS, detail)
    if outcome.did is Did.BROKE:
        book.on_doubt(book, outcome)
