"""Kraken's books of whole sessions, checksum by checksum: made ones, and recorded ones where they are."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from collector.book.order_book import OrderBook
from collector.book.verified import Did, Outcome, VerifiedBook
from collector.events.messages import Delta, Snapshot
from collector.exchanges.kraken.frames import read_frame
from collector.exchanges.kraken.rule import Checksum

sys.path.insert(0, str(Path(__file__).parents[1] / "frames"))
import recordings
from kraken_instruments import read_instruments
from made_kraken import Made, exponent, instruments, made
from recordings import where_recorded

MADE: dict[str, partial[Made]] = {
    "10 deep": partial(made, 1, 10, (1, 8), symbol="BTC/USD", middle=785_006),
    "25 deep, small prices": partial(made, 2, 25, (4, 8)),
    "25 deep, thinner than that": partial(made, 3, 25, (4, 8), levels=14),
    "100 deep, no decimals": partial(made, 4, 100, (0, 5), symbol="BTC/JPY", middle=11_000_000),
    "500 deep, tiny prices": partial(made, 5, 500, (9, 5), symbol="PEPE/USD", middle=12_345, updates=24),
    "1000 deep": partial(made, 6, 1000, (2, 8), symbol="ETH/USD", middle=268_380, updates=16),
    "25 deep, exponents": partial(made, 7, 25, (9, 8), symbol="PEPE/USD", middle=12_345, number=exponent),
    "10 deep, zeros left out": partial(
        made, 8, 10, (1, 8), symbol="BTC/USD", middle=785_006, number=exponent
    ),
}
Frames = Callable[[], list[str]]


def recorded_session() -> list[str]:
    return recordings.kraken_embedded(recordings.KRAKEN_MINA_25)


SESSIONS = [
    *(
        pytest.param(
            lambda make=make: make().frames,
            make.args[1],
            make.args[2],
            2 + make.keywords.get("updates", 60),
            id=f"made {name}",
        )
        for name, make in MADE.items()
    ),
    *where_recorded(
        pytest.param(
            lambda: recordings.kraken_payloads(recordings.KRAKEN_BTC_25),
            25,
            (1, 8),
            43,
            id="recorded 25 deep",
        ),
        pytest.param(recorded_session, 25, (4, 8), 19, id="recorded 25 deep, small prices"),
        pytest.param(
            lambda: list(recordings.lines(recordings.KRAKEN_BTC_10)), 10, (1, 8), 4, id="recorded 10 deep"
        ),
    ),
]


@pytest.mark.parametrize(("frames", "depth", "precision", "count"), SESSIONS)
def test_every_checksum_is_right(frames: Frames, depth: int, precision: tuple[int, int], count: int) -> None:
    rule, book, proven = Checksum(depth, *precision), OrderBook(), 0
    for each in books(frames()):
        if isinstance(each, Snapshot):
            book.replace(each.bids, each.asks)
        else:
            book.update(each.bids, each.asks)
        book.bids.cut_below(depth)
        book.asks.cut_above(depth)
        assert rule.prove(book, each) is None
        proven += 1
    assert proven == count


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_the_book_is_the_makers_level_by_level(make: Callable[[], Made]) -> None:
    one = make()
    book = VerifiedBook(Checksum(one.depth, *one.precision), one.depth)
    for each, (bids, asks) in zip(books(one.frames), one.books, strict=True):
        take(book, each)
        assert list(book.book.bids.sizes.items()) == numbers(bids[::-1])
        assert list(book.book.asks.sizes.items()) == numbers(asks)


@pytest.mark.parametrize(
    ("frames", "depth", "precision", "least"),
    [
        pytest.param(lambda: MADE["10 deep"]().frames, 10, (1, 8), 50, id="made 10 deep"),
        pytest.param(lambda: MADE["25 deep, small prices"]().frames, 25, (4, 8), 40, id="made 25 deep"),
        *where_recorded(
            pytest.param(
                lambda: recordings.kraken_payloads(recordings.KRAKEN_BTC_25), 25, (1, 8), 11, id="recorded"
            )
        ),
    ],
)
def test_wherever_an_update_was_lost_no_wrong_best_ten_is_believed(
    frames: Frames, depth: int, precision: tuple[int, int], least: int
) -> None:
    messages, found = books(frames()), 0
    for lost in range(1, len(messages) - 1):
        whole, holed = (VerifiedBook(Checksum(depth, *precision), depth) for _ in range(2))
        told = False
        for place, each in enumerate(messages):
            take(whole, each)
            if place != lost and not told:
                told = take(holed, each).did is Did.BROKE
                assert told or holed.book.top(10) == whole.book.top(10)
        # Not told only where the next messages set the same levels, or it was below the best ten.
        assert told or holed.book.top(10) == whole.book.top(10)
        found += told
    assert found >= least


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        *(
            pytest.param(lambda make=make: books(make().frames)[0], make.args[1], id=f"made {name}")
            for name, make in MADE.items()
            if "exponents" not in name and "zeros" not in name
        ),
        *where_recorded(
            *(
                pytest.param(
                    lambda path=path: books([line for line in recordings.lines(path) if line])[0],
                    depth,
                    id=f"recorded {path.split('/')[-1]}",
                )
                for path, depth in recordings.KRAKEN_SNAPSHOTS.items()
            )
        ),
    ],
)
def test_single_snapshots_are_right_whatever_the_known_decimals(
    text: Callable[[], Snapshot], depth: int
) -> None:
    book = VerifiedBook(Checksum(depth, 0, 0), depth)
    assert book.apply_snapshot(text()).did is Did.OPENED


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param(lambda: MADE["25 deep, small prices"]().frames, id="made"),
        *where_recorded(pytest.param(recorded_session, id="recorded")),
    ],
)
def test_a_subscription_made_again_brings_the_book_that_was_known(frames: Frames) -> None:
    messages = books(frames())
    second = next(place for place, each in enumerate(messages) if place and isinstance(each, Snapshot))
    before, snapshot = messages[second - 1], messages[second]
    assert (snapshot.exchange_ms, snapshot.checksum) == (before.exchange_ms, before.checksum)
    book = VerifiedBook(Checksum(25, 4, 8), 25)
    outcomes, changed = [], []
    for each in messages:
        known = book.book.bids.sizes, book.book.asks.sizes
        outcomes.append(take(book, each).did)
        changed.append((book.book.bids.sizes, book.book.asks.sizes) != known)
    # Nothing was missed: the snapshot is not newer than the deltas before it, and opens no new segment.
    assert outcomes[second] is Did.MERGED
    news = [Did.CONTINUED if is_new else Did.MERGED for is_new in changed[1:]]
    assert outcomes == [Did.OPENED, *news]
    assert news.count(Did.CONTINUED) > len(news) // 2


def test_a_subscription_made_again_after_something_was_missed_opens_the_book_anew() -> None:
    one = MADE["25 deep, small prices"]()
    messages = books(one.frames)
    book = VerifiedBook(Checksum(25, 4, 8), 25)
    heard = [*messages[: one.second_snapshot - 3], *messages[one.second_snapshot :]]
    outcomes = [take(book, each).did for each in heard]
    assert outcomes.index(Did.REOPENED) == one.second_snapshot - 3
    assert Did.BROKE not in outcomes


@pytest.mark.parametrize(
    ("session", "known", "pairs"),
    [
        pytest.param(
            lambda: MADE["25 deep, small prices"]().frames,
            lambda: instruments({"BTC/USD": (1, 8), "MINA/GBP": (3, 8)}),
            2,
            id="made",
        ),
        *where_recorded(
            pytest.param(
                recorded_session, lambda: recordings.text(recordings.KRAKEN_INSTRUMENTS), 683, id="recorded"
            )
        ),
    ],
)
def test_the_decimals_of_a_pair_may_change_and_the_checksum_does_not_mind(
    session: Frames, known: Callable[[], str], pairs: int
) -> None:
    precisions = read_instruments(known())
    assert len(precisions) == pairs
    assert precisions["BTC/USD"] == (1, 8)
    assert precisions["MINA/GBP"] == (3, 8)
    messages = books(session())
    assert all(len(price.partition(".")[2]) == 4 for price, _ in messages[0].bid_texts)  # four since
    book = VerifiedBook(Checksum(25, *precisions["MINA/GBP"]), 25)
    assert not [each for each in messages if take(book, each).did is Did.BROKE]


def books(frames: list[str]) -> list[Snapshot | Delta]:
    messages = [each for text in frames for each in read_frame(text)]
    return [each for each in messages if isinstance(each, Snapshot | Delta)]


def take(book: VerifiedBook, what: Snapshot | Delta) -> Outcome:
    return book.apply_snapshot(what) if isinstance(what, Snapshot) else book.apply_delta(what)


def numbers(levels: list[tuple[str, str]]) -> list[tuple[float, float]]:
    return [(float(price), float(size)) for price, size in levels]
