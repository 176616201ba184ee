"""Compare the best bid and ask of a book with another channel, and with trades. Pure."""

from collections import deque
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple, Protocol

SLOT_NS = 1_000_000_000
FAR = 0.005  # of the price, beyond every best price about a second around the trade
SLOTS = 5  # with such trades and no other, one after the other
TRADES = 10
MOST_SLOTS = 8


@dataclass(slots=True)
class _Slot:
    bid: float = inf  # the lowest best bid, the highest best ask
    ask: float = 0.0
    low: float = inf  # the lowest and the highest trade
    high: float = 0.0
    trades: int = 0


@dataclass(slots=True)
class TradesAtTheTouch:
    """Compares one book with the trades of its market, second by second of receipt."""

    _slots: dict[int, _Slot] = field(default_factory=dict)
    _touch: tuple[float, float] | None = None
    _newest: _Slot = field(default_factory=_Slot)  # that the book was in last, so that it is seldom looked up
    _newest_number: int | None = None
    _number: int = 0  # of the newest trade's second
    _far_slots: int = 0
    _far_trades: int = 0

    def of_book(self, at_ns: int, bid: float, ask: float) -> None:
        """Take the best prices from now on."""
        number = at_ns // SLOT_NS
        if number != self._newest_number:
            self._newest, self._newest_number = self._slot(number), number
        slot = self._newest
        if bid < slot.bid:  # noqa: PLR1730  (min and max take several times as long)
            slot.bid = bid
        if ask > slot.ask:  # noqa: PLR1730
            slot.ask = ask
        self._touch = bid, ask

    def traded(self, at_ns: int, price: float) -> tuple[int, bool]:
        """Take a trade; returns how many earlier ones were compared now, and if they contradict the book."""
        number = at_ns // SLOT_NS
        compared, contradicted = 0, False
        if number != self._number:
            self._number = number
            compared, contradicted = self._settle(number - 1)
        slot = self._slot(number)
        slot.low, slot.high = min(slot.low, price), max(slot.high, price)
        slot.trades += 1
        return compared, contradicted

    def forget(self) -> None:
        """Forget everything: the book begins anew."""
        self._slots.clear()
        self._touch = self._newest_number = None
        self._far_slots = self._far_trades = 0

    def _slot(self, number: int) -> _Slot:
        slot = self._slots.get(number)
        if slot is None:
            slot = self._slots[number] = _Slot()
            if self._touch is not None:  # the last state still holds when the second begins
                slot.bid, slot.ask = self._touch
            if len(self._slots) > MOST_SLOTS:
                del self._slots[min(self._slots)]
                self._newest_number = None
        return slot

    def _settle(self, before: int) -> tuple[int, bool]:
        """Compare the seconds that are over, with the one after them."""
        compared = 0
        for number in sorted(one for one in self._slots if one < before):
            slot = self._slots[number]
            around = [self._slots[one] for one in (number - 1, number, number + 1) if one in self._slots]
            bid, ask = min(one.bid for one in around), max(one.ask for one in around)
            if slot.trades and ask:
                compared += slot.trades
                far = slot.high < bid * (1.0 - FAR) or slot.low > ask * (1.0 + FAR)
                self._far_slots = self._far_slots + 1 if far else 0
                self._far_trades = self._far_trades + slot.trades if far else 0
        for number in [one for one in self._slots if one < before - 1]:
            del self._slots[number]
            self._newest_number = None
        for number in [one for one in self._slots if one == before - 1]:
            self._slots[number].trades = 0  # compared; kept for the second after it
        return compared, self._far_slots >= SLOTS and self._far_trades >= TRADES


Touch = tuple[float, float, float, float]  # bid price, bid size, ask price, ask size
MOST_KEPT = 1024  # states that wait to be compared: seconds of a busy market


class Comparison(NamedTuple):
    """One state of a book beside the best prices of another channel."""

    number: int
    book: Touch
    best_prices: Touch

    @property
    def agrees(self) -> bool:
        """Return whether both are the same."""
        return self.book == self.best_prices


class Touches(Protocol):
    """Compares one book with one channel of best prices."""

    def of_book(self, number: int, touch: Touch) -> list[Comparison]:
        """Take the book's state at an update; returns what could be compared now."""

    def of_best_prices(self, number: int, touch: Touch) -> list[Comparison]:
        """Take the best prices at an update; returns what could be compared now."""

    def forget_book(self) -> None:
        """Forget the book's states: it begins anew."""

    def forget_best_prices(self) -> None:
        """Forget the best prices: some of them may be missing."""


class LastNotBeyond:
    """For channels in which every change of the best prices has its update's number (Binance).

    The best prices at an update are the last ones with a number not beyond its own. They are known once one
    beyond it came: the two channels run apart by some messages, either may be ahead.
    """

    def __init__(self) -> None:
        self._best_prices: deque[tuple[int, Touch]] = deque(maxlen=MOST_KEPT)
        self._waiting: deque[tuple[int, Touch]] = deque(maxlen=MOST_KEPT)

    def of_book(self, number: int, touch: Touch) -> list[Comparison]:
        """Take the book's state at an update."""
        self._waiting.append((number, touch))
        return self._compare()

    def of_best_prices(self, number: int, touch: Touch) -> list[Comparison]:
        """Take the best prices from an update on."""
        if self._best_prices and number <= self._best_prices[-1][0]:
            self._best_prices.clear()  # numbers that began again
        self._best_prices.append((number, touch))
        return self._compare() if self._waiting else []

    def forget_book(self) -> None:
        """Forget the book's states."""
        self._waiting.clear()

    def forget_best_prices(self) -> None:
        """Forget the best prices."""
        self._best_prices.clear()

    def _compare(self) -> list[Comparison]:
        best_prices, waiting = self._best_prices, self._waiting
        found: list[Comparison] = []
        while waiting and best_prices and best_prices[-1][0] >= waiting[0][0]:
            number, touch = waiting.popleft()
            while len(best_prices) > 1 and best_prices[1][0] <= number:
                best_prices.popleft()
            if best_prices[0][0] <= number:
                found.append(Comparison(number, touch, best_prices[0][1]))
        return found


class SameNumber:
    """For channels that each join changes in their own way: only the same number compares (Bybit)."""

    def __init__(self, most_kept: int = 64) -> None:
        self._most_kept = most_kept
        self._books: dict[int, Touch] = {}
        self._best_prices: dict[int, Touch] = {}

    def of_book(self, number: int, touch: Touch) -> list[Comparison]:
        """Take the book's state."""
        _keep(self._books, number, touch, self._most_kept)
        return [Comparison(number, touch, self._best_prices[number])] if number in self._best_prices else []

    def of_best_prices(self, number: int, touch: Touch) -> list[Comparison]:
        """Take the best prices."""
        _keep(self._best_prices, number, touch, self._most_kept)
        return [Comparison(number, self._books[number], touch)] if number in self._books else []

    def forget_book(self) -> None:
        """Forget the book's states."""
        self._books.clear()

    def forget_best_prices(self) -> None:
        """Forget the best prices."""
        self._best_prices.clear()


def _keep(states: dict[int, Touch], number: int, touch: Touch, most: int) -> None:
    states[number] = touch
    if len(states) > most:
        del states[next(iter(states))]
