"""Books, trades and bars of whole connections to Bybit: made ones, and recorded ones where they are."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from collector.book.verified import Did, VerifiedBook
from collector.events.messages import CandleMessage, Delta, Snapshot, TradeMessage
from collector.exchanges.bybit.frames import read_frame
from collector.exchanges.bybit.rule import Continuity, rule_of
from collector.streams.plausible import candle_problem, trade_problem

sys.path.insert(0, str(Path(__file__).parents[1] / "frames"))
import recordings
from made_bybit import Made, deep_book, option_books, spot_session
from recordings import where_recorded

pytestmark = pytest.mark.usefixtures("either_book")

SPOT = partial(spot_session, 1)
DEEP = partial(deep_book, 2)
SHALLOW = partial(deep_book, 3, deltas=80, depth=50)
TOP_ONLY = partial(deep_book, 4, deltas=80, depth=1)
Frames = Callable[[], list[str]]


@pytest.mark.parametrize(
    ("frames", "books", "messages"),
    [
        pytest.param(lambda: SPOT().frames, 2, 122, id="made, two books on one connection"),
        pytest.param(lambda: DEEP().frames, 1, 50, id="made, 500 deep"),
        pytest.param(lambda: SHALLOW().frames, 1, 81, id="made, 50 deep"),
        pytest.param(lambda: TOP_ONLY().frames, 1, 81, id="made, the top only"),
        *where_recorded(
            pytest.param(
                lambda: [text for _, text in recordings.stamped(recordings.BYBIT_SPOT)],
                2,
                550,
                id="recorded, two books on one connection",
            ),
            pytest.param(
                lambda: list(recordings.lines(recordings.BYBIT_DEEP)), 1, 50, id="recorded, 500 deep"
            ),
            pytest.param(
                lambda: list(recordings.lines(recordings.BYBIT_SHORT)), 1, 9, id="recorded, 50 deep"
            ),
        ),
    ],
)
def test_books_run_to_their_end_without_a_gap(frames: Frames, books: int, messages: int) -> None:
    found: dict[str, VerifiedBook] = {}
    outcomes = []
    for message in book_messages(frames()):
        depth = int(message.topic.split(".")[1])
        book = found.setdefault(message.topic, VerifiedBook(rule_of("linear", f"book.{depth}", {}), depth))
        outcomes.append(take(book, message))
        assert len(book.book.bids) <= depth
    assert len(found) == books
    assert len(outcomes) == messages
    assert outcomes.count(Did.OPENED) == books
    assert outcomes.count(Did.CONTINUED) == messages - books


@pytest.mark.parametrize("make", [SPOT, DEEP, SHALLOW, TOP_ONLY], ids=["200", "500", "50", "1"])
def test_the_book_is_the_makers_level_by_level(make: Callable[[], Made]) -> None:
    made = make()
    found: dict[str, VerifiedBook] = {}
    for message in book_messages(made.frames):
        depth = int(message.topic.split(".")[1])
        book = found.setdefault(message.topic, VerifiedBook(rule_of("linear", f"book.{depth}", {}), depth))
        take(book, message)
        bids, asks = made.books[message.topic, message.sequence]
        assert list(book.book.bids.sizes.items()) == numbers(bids[::-1])
        assert list(book.book.asks.sizes.items()) == numbers(asks)


@pytest.mark.parametrize("lost", range(1, 80, 7))
def test_where_one_delta_was_lost_the_book_breaks_at_the_next(lost: int) -> None:
    messages = book_messages(SHALLOW().frames)
    book = VerifiedBook(Continuity(), 50)
    outcomes = [take(book, each) for place, each in enumerate(messages) if place != lost]
    assert outcomes[:lost] == [Did.OPENED, *[Did.CONTINUED] * (lost - 1)]
    assert outcomes[lost] is Did.BROKE
    assert set(outcomes[lost + 1 :]) <= {Did.REJECTED}  # until there is a snapshot


def test_a_service_that_began_anew_opens_the_book_again() -> None:
    before, after = (
        book_messages(SHALLOW().frames),
        book_messages(deep_book(5, depth=50, first_number=1).frames),
    )
    book = VerifiedBook(Continuity(), 50)
    outcomes = [take(book, each) for each in [*before, *after]]
    assert after[0].sequence == 1
    assert outcomes[len(before)] is Did.REOPENED
    assert outcomes[len(before) + 1 :] == [Did.CONTINUED] * (len(after) - 1)


def test_a_snapshot_sent_again_brings_nothing_new() -> None:
    first, *_ = messages = book_messages(TOP_ONLY().frames)
    book = VerifiedBook(rule_of("linear", "book.1", {}), 1)
    assert [take(book, each) for each in (first, first, messages[1])] == [
        Did.OPENED,
        Did.MERGED,
        Did.CONTINUED,
    ]


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param(option_books, id="made"),
        *where_recorded(
            pytest.param(lambda: list(recordings.lines(recordings.BYBIT_OPTION_SAMPLES)), id="recorded")
        ),
    ],
)
def test_an_option_has_a_book_of_its_own_form_and_may_have_none(frames: Frames) -> None:
    """An `id` comes first, there is no `seq`, and an option that nobody quotes has `u` 0 and no level."""
    empty, snapshot, delta = book_messages(frames())
    assert (type(empty), empty.sequence, empty.bids, empty.asks) == (Snapshot, 0, [], [])
    assert VerifiedBook(Continuity(), 25).apply_snapshot(empty).reason == "empty"
    book = VerifiedBook(Continuity(), 25)
    assert [take(book, snapshot), take(book, delta)] == [Did.OPENED, Did.CONTINUED]
    assert (snapshot.cross_sequence, len(book.book.bids), len(book.book.asks)) == (None, 1, 1)


def made_connection() -> tuple[list[tuple[int, str]], tuple[int, int, int]]:
    made = SPOT()
    return made.texts, (made.trades, made.bars, made.confirmed)


def recorded_connection() -> tuple[list[tuple[int, str]], tuple[int, int, int]]:
    return recordings.stamped(recordings.BYBIT_SPOT), (20, 25, 2)


@pytest.mark.parametrize(
    "connection",
    [
        pytest.param(made_connection, id="made"),
        *where_recorded(pytest.param(recorded_connection, id="recorded")),
    ],
)
def test_the_trades_and_bars_of_a_connection_all_make_sense(
    connection: Callable[[], tuple[list[tuple[int, str]], tuple[int, int, int]]],
) -> None:
    texts, counts = connection()
    trades = bars = confirmed = 0
    for received_at_ns, text in texts:
        for message in read_frame(text):
            if isinstance(message, TradeMessage):
                trades += 1
                assert trade_problem(message, received_at_ns, 5e3) is None
            elif isinstance(message, CandleMessage):
                bars += 1
                confirmed += message.confirmed
                assert candle_problem(message, received_at_ns, 5e3) is None
    assert (trades, bars, confirmed) == counts
    assert all(counts)


def book_messages(frames: list[str]) -> list[Snapshot | Delta]:
    messages = [message for text in frames for message in read_frame(text)]
    return [message for message in messages if isinstance(message, Snapshot | Delta)]


def take(book: VerifiedBook, message: Snapshot | Delta) -> Did:
    apply = book.apply_snapshot if isinstance(message, Snapshot) else book.apply_delta
    return apply(message).did


def numbers(levels: list[tuple[str, str]]) -> list[tuple[float, float]]:
    return [(float(price), float(size)) for price, size in levels]
