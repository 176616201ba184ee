"""Define what an exchange's numbers prove of a book: the rules, and what they say of a message."""

from enum import Enum, auto
from typing import Protocol, runtime_checkable

from collector.book.compiled import CompiledBook
from collector.book.order_book import OrderBook
from collector.events import Delta, Snapshot

Book = OrderBook | CompiledBook


class Verdict(Enum):
    """What an exchange's numbers say of a message that follows another."""

    CONTINUES = auto()
    REPEATS = auto()  # what is already known, once more
    RESTARTS = auto()  # a new beginning, right in itself: a snapshot not joined to what was, or new numbers
    BREAKS = auto()  # something between was not seen
    UNNUMBERED = auto()  # a whole book that follows, if it is another one


class Rule(Protocol):
    """The integrity rule of one channel of one exchange."""

    @property
    def verification(self) -> str:
        """Return the word for what proves the book, as it stands in coverage."""

    def judge_snapshot(self, last_sequence: int | None, snapshot: Snapshot) -> Verdict:
        """Judge a snapshot that arrives while the book is synced."""

    def judge_delta(self, last_sequence: int | None, delta: Delta) -> Verdict:
        """Judge a delta that arrives while the book is synced."""


@runtime_checkable
class ProvingRule(Rule, Protocol):
    """A rule that looks at the book itself once a message is applied: a checksum."""

    def prove(self, book: Book, message: Snapshot | Delta) -> str | None:
        """Return None when the book is right, otherwise what was expected and found."""


class WholeBooks:
    """The rule of a channel that sends the whole book each time: nothing can be missed but news.

    Without `ids_grow` the update ids prove nothing, and every book is taken.
    """

    def __init__(self, verification: str = "connection", *, ids_grow: bool = True) -> None:
        self.verification = verification
        self._ids_grow = ids_grow

    def judge_delta(self, last_sequence: int | None, delta: Delta) -> Verdict:
        """Refuse: such a channel has no deltas."""
        del last_sequence, delta
        return Verdict.BREAKS

    def judge_snapshot(self, last_sequence: int | None, snapshot: Snapshot) -> Verdict:
        """Judge by the update ids; where there are none, only the levels tell whether anything is new."""
        sequence = snapshot.sequence
        if not self._ids_grow:
            return Verdict.CONTINUES
        if sequence is None:
            return Verdict.UNNUMBERED
        if last_sequence is None or sequence > last_sequence:
            return Verdict.CONTINUES
        return Verdict.REPEATS if sequence == last_sequence else Verdict.RESTARTS
