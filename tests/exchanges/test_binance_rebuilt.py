"""Books rebuilt from Binance's frames, held against what the frames themselves and their maker tell of them.

Every test runs on made frames, and once more on recorded ones where they are.
"""

import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import pytest

from collector.book.verified import Verdict
from collector.events.messages import Delta, Snapshot, TopOfBook
from collector.exchanges.binance.frames import read_frame, read_snapshot
from collector.exchanges.binance.rule import rule_of
from collector.exchanges.exchange import MarketKind

sys.path.insert(0, str(Path(__file__).parents[1] / "frames"))
sys.path.insert(0, str(Path(__file__).parent))
import made_startup
import recordings
from binance_feeds import Feed, Rebuilt, of, read, recorded
from binance_writing import LINEAR_WHOLE, SPOT_CHEAP
from made_binance import Made, made
from recordings import where_recorded

MADE: dict[str, Callable[[], Made]] = {
    "spot": partial(made, "spot", 1),
    "spot, snapshot at a message's end": partial(made, "spot", 2, in_the_middle=False),
    "spot, long before the snapshot": partial(made, "spot", 3, snapshot_in=40),
    "spot, many decimals and great sizes": partial(made, "spot", 4, decimals=SPOT_CHEAP),
    "linear": partial(made, "linear", 5),
    "linear, snapshot at a message's end": partial(made, "linear", 6, in_the_middle=False),
    "linear, whole sizes, not wrapped": partial(made, "linear", 7, decimals=LINEAR_WHOLE, wrapped=False),
}
RECORDED_SPOT = partial(recorded, "spot", recordings.BINANCE_SPOT, 6_470, 2, 6_170)
RECORDED_LINEAR = partial(recorded, "linear", recordings.BINANCE_LINEAR, 9_022, 5, 8_861, 1)
FEEDS = [
    *(pytest.param(partial(of, make), id=f"made {name}") for name, make in MADE.items()),
    *where_recorded(
        pytest.param(RECORDED_SPOT, id="recorded spot"),
        pytest.param(RECORDED_LINEAR, id="recorded linear", marks=pytest.mark.proof),  # the longest by far
    ),
]


@pytest.mark.parametrize("get_feed", FEEDS)
def test_the_top_of_a_rebuilt_book_is_the_one_told_at_every_comparable_id(
    get_feed: Callable[[], Feed],
) -> None:
    """The top as of a delta is the last `bookTicker` by id that is not beyond it, whenever it arrives.

    On USD-M it may arrive after the delta. Comparable: no `bookTicker` beyond it came first. Those where one
    did agree as well.
    """
    feed = get_feed()
    rebuilt, tops, states = Rebuilt(feed.kind), [], []
    for message in feed.messages():
        if isinstance(message, TopOfBook):
            tops.append(message)
        elif isinstance(message, Snapshot | Delta):
            rebuilt.take(message)
            if isinstance(message, Delta) and rebuilt.last == message.sequence:
                is_comparable = tops[-1].sequence <= message.sequence
                states.append((message.sequence, rebuilt.top, is_comparable))
    compared = Counter()
    for sequence, state, is_comparable in states:
        top = tops[bisect_right(tops, sequence, key=lambda each: each.sequence) - 1]
        is_equal = state == (top.bid_price, top.bid_size, top.ask_price, top.ask_size)
        compared["comparable" if is_comparable else "beyond came first", is_equal] += 1
    assert compared == {
        ("comparable", True): feed.comparable,
        ("beyond came first", True): feed.later - feed.comparable,
    }
    assert 0 < feed.comparable < feed.later
    assert ("delta", Verdict.BREAKS) not in rebuilt.verdicts
    assert rebuilt.verdicts["bridge", Verdict.CONTINUES] == 1


@pytest.mark.parametrize("name", MADE)
def test_the_rebuilt_book_is_the_makers_level_by_level(name: str) -> None:
    one = MADE[name]()
    rebuilt, compared = Rebuilt(one.kind), 0
    for message in of(MADE[name]).messages():
        if not isinstance(message, Snapshot | Delta):
            continue
        rebuilt.take(message)
        if rebuilt.last is not None:
            bids, asks = one.books[rebuilt.last]
            assert list(rebuilt.book.bids.sizes.items()) == numbers(reversed(bids))
            assert list(rebuilt.book.asks.sizes.items()) == numbers(asks)
            compared += 1
    assert compared > 200


def numbers(levels: Iterable[tuple[str, str]]) -> list[tuple[float, float]]:
    return [(float(price), float(size)) for price, size in levels]


@pytest.mark.parametrize("get_feed", FEEDS)
def test_a_stream_has_a_prefix_to_drop_one_join_and_no_gap(get_feed: Callable[[], Feed]) -> None:
    feed = get_feed()
    rebuilt = Rebuilt(feed.kind)
    for message in feed.messages():
        if isinstance(message, Snapshot | Delta):
            rebuilt.take(message)
    assert rebuilt.verdicts == {
        ("bridge", Verdict.REPEATS): feed.prefix,
        ("bridge", Verdict.CONTINUES): 1,
        ("delta", Verdict.CONTINUES): feed.deltas - feed.prefix - 1,
    }


@pytest.mark.parametrize("get_feed", FEEDS)
def test_one_delta_lost_is_a_gap_at_the_next_wherever_it_was(get_feed: Callable[[], Feed]) -> None:
    feed = get_feed()
    deltas = [message for message in feed.messages() if isinstance(message, Delta)]
    rule = rule_of(feed.kind, "book.10", {})
    assert len(deltas) == feed.deltas
    for before, lost, after in zip(deltas, deltas[1:], deltas[2:], strict=False):
        assert rule.judge_delta(before.sequence, lost) is Verdict.CONTINUES
        assert rule.judge_delta(before.sequence, after) is Verdict.BREAKS


def made_second_file() -> list[str]:
    """Take what a second file of a recording holds: it starts in the middle of the stream."""
    frames = MADE["spot"]().frames
    return frames[len(frames) // 2 :]


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param(made_second_file, id="made"),
        *where_recorded(
            pytest.param(
                lambda: [text for _, text in recordings.stamped(recordings.BINANCE_JOINED_LATE)],
                id="recorded",
            )
        ),
    ],
)
def test_a_stream_joined_in_the_middle_serves_no_book(frames: Callable[[], list[str]]) -> None:
    rebuilt = Rebuilt("spot")
    for message in read(frames):
        if isinstance(message, Delta):
            rebuilt.take(message)
    assert len(rebuilt.waiting) == sum('"depthUpdate"' in text for text in frames()) > 100
    assert not rebuilt.verdicts
    assert len(rebuilt.book.bids) == 0


def made_stale() -> tuple[list[str], str]:
    """Take the diffs first and the book that REST told meanwhile after all of them."""
    one = made("spot", 8, deltas=25, snapshot_in=9, in_the_middle=True, symbol="BTCUSDT", wrapped=False)
    (book,) = (text for text in one.frames if "lastUpdateId" in text)
    return [text for text in one.frames if '"depthUpdate"' in text], book


def recorded_stale() -> tuple[list[str], str]:
    return list(recordings.lines(recordings.BINANCE_STALE_DIFFS)), recordings.text(
        recordings.BINANCE_STALE_REST
    )


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param(made_stale, id="made"),
        *where_recorded(pytest.param(recorded_stale, id="recorded")),
    ],
)
def test_a_stale_prefix_is_dropped_before_the_snapshot_joins(
    frames: Callable[[], tuple[list[str], str]],
) -> None:
    diffs, book = frames()
    rebuilt = Rebuilt("spot")
    for text in diffs:
        rebuilt.take(read_frame(text)[0])
    rebuilt.take(read_snapshot(book, "btcusdt@depth"))
    assert rebuilt.verdicts == {
        ("bridge", Verdict.REPEATS): 9,
        ("bridge", Verdict.CONTINUES): 1,
        ("delta", Verdict.CONTINUES): 15,
    }
    assert rebuilt.last == read_frame(diffs[-1])[0].sequence
    assert rebuilt.top[0] < rebuilt.top[2]


def made_start(kind: MarketKind) -> tuple[made_startup.Heard, dict[str, int]]:
    return made_startup.start_of_a_client(kind, 20)


def recorded_start(kind: MarketKind) -> tuple[made_startup.Heard, dict[str, int]]:
    if kind == "spot":
        counts = {"Snapshot": 4, "Delta": 177, "TopOfBook": 84, "TradeMessage": 2, "CandleMessage": 2}
        return recordings.start_of_a_client(recordings.BINANCE_START), counts
    counts = {"Snapshot": 4, "Delta": 764, "TopOfBook": 613, "TradeMessage": 91, "CandleMessage": 67}
    return recordings.start_of_a_client(recordings.BINANCE_LINEAR_START), counts


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(made_start, id="made"),
        *where_recorded(pytest.param(recorded_start, id="recorded")),
    ],
)
@pytest.mark.parametrize("kind", ["spot", "linear"])
def test_the_start_of_a_client_joins_every_book(
    start: Callable[[MarketKind], tuple[made_startup.Heard, dict[str, int]]], kind: MarketKind
) -> None:
    heard, messages = start(kind)
    books: dict[str, Rebuilt] = {}
    seen = Counter()
    for market, text in heard:
        read_now = [read_snapshot(text, f"{market.lower()}@depth")] if market else read_frame(text)
        for message in read_now:
            seen[type(message).__name__] += 1
            if isinstance(message, Snapshot | Delta):
                books.setdefault(message.topic, Rebuilt(kind)).take(message)
    assert seen == messages
    assert len(books) == 4
    for book in books.values():
        assert book.verdicts["bridge", Verdict.CONTINUES] == 1
        assert not any(verdict is Verdict.BREAKS for _, verdict in book.verdicts)
        assert book.top[0] < book.top[2]
