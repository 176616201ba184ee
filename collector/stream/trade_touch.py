"""Hold trades against the best prices around them. Pure.

A trade may lie outside them for a good reason: one order takes many levels, and the book tells its end only.
Of 25,049 recorded trades 381 do, by 0.03 percent at most. So a trade far outside counts, and only many of
them, on and on, contradict the book.
"""

from dataclasses import dataclass, field
from math import inf

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
    """One book beside the trades of its market, second by second of receipt."""

    _slots: dict[int, _Slot] = field(default_factory=dict)
    _touch: tuple[float, float] | None = None
    _number: int = 0  # of the newest trade's second
    _far_slots: int = 0
    _far_trades: int = 0

    def of_book(self, at_ns: int, bid: float, ask: float) -> None:
        """Take the best prices from now on."""
        slot = self._slot(at_ns // SLOT_NS)
        slot.bid, slot.ask = min(slot.bid, bid), max(slot.ask, ask)
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
        """Let go of all: the book begins anew."""
        self._slots.clear()
        self._touch = None
        self._far_slots = self._far_trades = 0

    def _slot(self, number: int) -> _Slot:
        slot = self._slots.get(number)
        if slot is None:
            slot = self._slots[number] = _Slot()
            if self._touch is not None:  # what stood before stands when the second begins
                slot.bid, slot.ask = self._touch
            if len(self._slots) > MOST_SLOTS:
                del self._slots[min(self._slots)]
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
        for number in [one for one in self._slots if one == before - 1]:
            self._slots[number].trades = 0  # compared; kept for the second after it
        return compared, self._far_slots >= SLOTS and self._far_trades >= TRADES
