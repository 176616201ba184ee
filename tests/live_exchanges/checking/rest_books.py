"""Hold a book against REST, which is independent of the stream."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import ccxt

from checking.finding import Finding
from checking.places import Place
from checking.recording import IS_THE_CHECKS
from collector.events.contracts import ContractSize
from collector.events.market import L2Update
from collector.network.markets import Markets

LEVELS = 10  # a side, that are compared
ASKED = 50  # levels, as cheap as the fewest everywhere
ENOUGH = 0.5  # of REST's best levels must have been seen in the stream around the time of the answer
TIMEOUT_S = 10.0

Level = tuple[float, float]


class Book(NamedTuple):
    """The best levels of a book, bids first."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


class State(NamedTuple):
    """A book as the stream had it."""

    at_ns: int
    sequence: int | None
    book: Book


@dataclass(frozen=True, slots=True)
class RestBook:
    """A book as REST had it, at some time between two."""

    asked_ns: int
    answered_ns: int
    sequence: int | None
    book: Book


class RestClient:
    """Asks one place for the book of one market."""

    def __init__(self, place: Place, markets: Markets, symbol: str) -> None:
        self._place = place
        self._symbol = symbol
        self._contract = place.facts.contract_size(markets.by_symbol[symbol])
        self._ccxt: Any = getattr(ccxt, place.exchange)(place.source.config(TIMEOUT_S))
        self._ccxt.enableLastJsonResponse = True
        setattr(self._ccxt, IS_THE_CHECKS, True)
        place.source.address(self._ccxt)
        markets.share_with(self._ccxt)

    def book(self) -> RestBook | Finding:
        """Fetch the book; a finding when that fails."""
        asked_ns = time.time_ns()
        try:
            found = self._ccxt.fetch_order_book(self._symbol, ASKED)
        except ccxt.BaseError as error:
            return Finding("REST book not to be had", f"{type(error).__name__}: {error}"[:300])
        answered_ns = time.time_ns()
        number = _NUMBERS[self._place.exchange](self._ccxt.last_json_response)
        book = Book(*(_in_base(found[side], self._contract) for side in ("bids", "asks")))
        return RestBook(asked_ns, answered_ns, None if number is None else int(number), book)

    def close(self) -> None:
        """Close the client."""
        self._ccxt.session.close()


def state_of(update: L2Update) -> State:
    """Return the best levels of an update."""
    sides = (update.bids[:LEVELS], update.asks[:LEVELS])
    return State(update.received_at_ns, update.sequence, Book(*(tuple(side) for side in sides)))


def all_compared(
    answers: Sequence[RestBook | Finding], states: Sequence[State], margin_ns: int
) -> list[Finding]:
    """Compare every answer; one that differs where no number tells may be chance, most of them are not."""
    found: list[Finding] = []
    unlike: list[Finding] = []
    for answer in answers:
        if isinstance(answer, Finding):
            found.append(answer)
            continue
        findings = list(compared(answer, states, margin_ns))
        is_certain = any(one.sequence == answer.sequence is not None for one in states)
        (found if is_certain else unlike).extend(findings)
    differing = sum(not one.is_note for one in unlike)
    is_chance = differing * 2 <= len(answers)
    return [*found, *(replace(one, is_note=one.is_note or is_chance) for one in unlike)]


def compared(rest: RestBook, states: Sequence[State], margin_ns: int) -> Iterator[Finding]:
    """Compare with the state of the same number, or else with all that were there around that time."""
    if not rest.book.bids or not rest.book.asks:
        yield Finding("REST book differs", "REST has no levels")
        return
    same = [one for one in states if rest.sequence is not None and one.sequence == rest.sequence]
    if same:
        yield from _at_the_same_number(rest, same[-1].book)
        return
    around = [one for one in states if rest.asked_ns - margin_ns <= one.at_ns <= rest.answered_ns + margin_ns]
    # The state at the beginning stands until the next message.
    before = [one for one in states if one.at_ns < rest.asked_ns - margin_ns]
    around = [*before[-1:], *around]
    if not around:
        yield Finding("REST book not compared", "no state of the stream around its time", is_note=True)
        return
    depth = min(len(around[-1].book.bids), LEVELS)
    wanted = _levels(rest.book, depth)
    seen = {level for one in around for level in _levels(one.book, LEVELS)}
    share = len(wanted & seen) / len(wanted)
    if share < ENOUGH:
        text = f"{share:.0%} of its best {len(wanted)} levels were in the stream around its time"
        yield Finding(
            "REST book differs", f"{text}, at least {ENOUGH:.0%} expected; REST: {_shown(rest.book)}"
        )


def _at_the_same_number(rest: RestBook, book: Book) -> Iterator[Finding]:
    for name, theirs, ours in zip(Book._fields, rest.book, book, strict=True):
        for number, (one, other) in enumerate(zip(theirs, ours, strict=False), 1):
            if one != other:
                words = f"{name[:-1]} {number} is {one} by REST, {other} in the stream"
                yield Finding("REST book differs", f"at update {rest.sequence}: {words}")
                return


def _levels(book: Book, depth: int) -> set[tuple[str, float, float]]:
    return {(name, *level) for name, side in zip(Book._fields, book, strict=True) for level in side[:depth]}


def _shown(book: Book) -> str:
    return f"bid {book.bids[0]}, ask {book.asks[0]}"


def _in_base(levels: Iterable[Sequence[float]], contract: ContractSize | None) -> tuple[Level, ...]:
    sizes = ((float(level[0]), float(level[1])) for level in levels)
    return tuple((price, size if contract is None else contract.in_base(size)) for price, size in sizes)


def _okx_number(answer: Mapping[str, Any]) -> Any:
    return answer["data"][0].get("seqId")


# The number of the update, in the answer of each; Bybit's is that of its deepest book, by its documentation.
_NUMBERS: Mapping[str, Any] = {
    "bybit": lambda answer: answer["result"].get("u"),
    "binance": lambda answer: answer.get("lastUpdateId"),
    "okx": _okx_number,
    "kraken": lambda _answer: None,
}
