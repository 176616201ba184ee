"""Books beside best prices: what is compared with what, on numbers and on whole streams."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from collector.book.bridged import BridgedBook
from collector.book.verified import Did
from collector.errors import FrameError
from collector.events.messages import Delta, TopOfBook
from collector.exchanges.binance.frames import read_frame, read_snapshot
from collector.exchanges.binance.rule import rule_of
from collector.exchanges.exchange import MarketKind
from collector.streams.comparisons import LastNotBeyond, SameNumber, Touch

sys.path.insert(0, str(Path(__file__).parents[1] / "frames"))
import recordings
from made_binance import made

A: Touch = (1.0, 1.0, 2.0, 1.0)
B: Touch = (1.0, 5.0, 2.0, 1.0)


def numbers(found: list) -> list[tuple[int, bool]]:  # type: ignore[type-arg]
    return [(one.number, one.agrees) for one in found]


def test_the_book_is_compared_once_something_beyond_it_is_told() -> None:
    touches = LastNotBeyond()
    assert touches.of_best_prices(10, A) == []
    assert touches.of_book(12, A) == []  # 11 or 12 may still be told
    assert numbers(touches.of_best_prices(13, B)) == [(12, True)]
    assert numbers(touches.of_book(14, B)) == []
    assert numbers(touches.of_best_prices(14, B)) == [(14, True)]


def test_the_best_prices_may_run_ahead() -> None:
    touches = LastNotBeyond()
    for number, touch in ((10, A), (12, B), (15, A)):
        touches.of_best_prices(number, touch)
    assert numbers(touches.of_book(11, A)) == [(11, True)]
    assert numbers(touches.of_book(14, A)) == [(14, False)]
    assert numbers(touches.of_book(15, A)) == [(15, True)]


def test_what_was_told_before_anything_is_known_is_not_compared() -> None:
    touches = LastNotBeyond()
    touches.of_book(5, A)
    assert touches.of_best_prices(10, B) == []
    touches.forget_best_prices()
    touches.of_book(11, A)
    assert touches.of_best_prices(12, B) == []


def test_a_book_that_begins_anew_has_nothing_waiting() -> None:
    touches = LastNotBeyond()
    touches.of_best_prices(10, A)
    touches.of_book(11, B)
    touches.forget_book()
    assert touches.of_best_prices(12, A) == []


def test_under_a_number_across_channels_only_the_same_compares() -> None:
    touches = SameNumber(most_kept=2)
    assert touches.of_book(5, A) == []
    assert touches.of_best_prices(6, B) == []
    assert numbers(touches.of_best_prices(5, A)) == [(5, True)]
    assert numbers(touches.of_book(6, A)) == [(6, False)]
    touches.of_book(7, A)
    touches.of_book(8, A)
    assert touches.of_best_prices(6, A) == []  # let go
    touches.forget_book()
    assert touches.of_best_prices(8, A) == []


MADE = {
    "spot": partial(made, "spot", 31, deltas=600),
    "linear": partial(made, "linear", 32, deltas=600),
    "linear, long before the snapshot": partial(
        made, "linear", 33, deltas=600, snapshot_in=30, in_the_middle=False
    ),
}
# Of a recording a part, in every run; all of it in the long form.
RECORDED = [("spot", recordings.BINANCE_SPOT, 6_170), ("linear", recordings.BINANCE_LINEAR, 8_861)]


@pytest.mark.parametrize(
    ("frames", "kind", "compared"),
    [
        *(
            pytest.param(lambda make=make: make().texts, make.args[0], 560, id=f"made {name}")
            for name, make in MADE.items()
        ),
        *recordings.in_two_lengths(RECORDED, lambda count: count // 20),
    ],
)
@pytest.mark.parametrize("lie", [False, True])
def test_nothing_disagrees_but_a_lie(
    frames: Callable[[], list[tuple[int, str]]], kind: MarketKind, compared: int, lie: bool
) -> None:
    rule = rule_of(kind, "book.1000", {})
    book, touches = BridgedBook(rule, 1000), LastNotBeyond()
    found, states, lies = [], 0, 0
    book.fetching = 1
    for _, text in frames():
        if '"lastUpdateId"' in text[:20]:
            outcome = book.apply_snapshot(read_snapshot(text, "x"))
            book.fetching = 0
        else:
            try:
                (message,) = read_frame(text)
            except FrameError:
                continue
            if isinstance(message, TopOfBook):
                touch = (message.bid_price, message.bid_size, message.ask_price, message.ask_size)
                found += touches.of_best_prices(message.sequence or 0, touch)
                continue
            if not isinstance(message, Delta):
                continue
            outcome = book.apply_delta(message)
        if outcome.did in {Did.OPENED, Did.CONTINUED}:
            bid, bid_size, ask, ask_size = book.book.top(1)
            states += 1
            if lie and states % 50 == 0:
                bid_size, lies = bid_size + 1.0, lies + 1
            found += touches.of_book(book.last_sequence or 0, (bid, bid_size, ask, ask_size))
    wrong = [one for one in found if not one.agrees]
    assert len(found) >= compared
    assert lies - 1 <= len(wrong) <= lies  # the last may still wait for something beyond it
    assert bool(wrong) is lie
