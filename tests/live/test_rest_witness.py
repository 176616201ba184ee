"""Books held against REST now and then: one after the other, when the budget has time, and never in haste."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.book.verified import Did, Outcome
from collector.errors import StreamError
from collector.events.messages import Delta, Snapshot
from collector.live import rest_witness
from collector.live.rest_witness import RestWitness
from collector.streams.book_stream import BookStream

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "streams"))
from connection_rig import FakeSnapshots, SubscriptionsRig, levels_around


class Snapshots(FakeSnapshots):
    has_time = True

    def has_time_for(self, market_id: str, kind: str, depth: int) -> bool:
        assert (market_id[3:], kind, depth) == ("USDT", "spot", 20)
        return self.has_time


class Rig:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, *symbols: str) -> None:
        monkeypatch.setattr(rest_witness, "random", lambda: 0.5)
        self.rig = SubscriptionsRig()
        self.snapshots = Snapshots()
        self.witness = RestWitness(self.snapshots, 100.0, lambda: self.rig.now_s)  # type: ignore[arg-type]
        self.books = [self.rig.bridged(symbol) for symbol in symbols or ("BTC/USDT",)]
        self.doubted: list[tuple[BookStream, Outcome]] = []
        for book in self.books:
            self.rig.outlet.take(book, self.told(book, 10))
            book.on_doubt = lambda stream, outcome: self.doubted.append((stream, outcome))

    def told(self, book: BookStream, sequence: int, size: float = 1.0) -> Snapshot:
        return Snapshot(book.topic.name, sequence, 1, *levels_around(1000.0, size=size))

    def later(self, seconds: float = 51.0) -> None:
        self.rig.now_s += seconds
        self.witness.look(self.books)

    def witnessed(self) -> list[tuple[int, int]]:
        return [(one.compared, one.disagreed) for one in self.rig.outlet.buffer.swap().witnessed.values()]


def scene(work: Callable[[], object]) -> None:
    async def run() -> None:
        result = work()
        assert asyncio.iscoroutine(result)
        await result

    asyncio.run(run())


def test_a_book_that_is_right_is_counted_as_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        rig = Rig(monkeypatch)
        (book,) = rig.books
        rig.snapshots.answers = [rig.told(book, 10)]
        rig.witness.look(rig.books)
        assert rig.snapshots.asked == []  # its turn comes at a time drawn at random
        rig.later()
        await rig.rig.settled()
        rig.later(0.0)
        assert (rig.snapshots.asked, rig.witnessed(), rig.doubted) == (["BTCUSDT"], [(1, 0)], [])
        rig.later(60.0)
        assert len(rig.snapshots.asked) == 1
        rig.snapshots.answers = [rig.told(book, 10)]
        rig.later(41.0)
        await rig.rig.settled()
        assert len(rig.snapshots.asked) == 2

    scene(work)


def test_a_book_that_rest_contradicts_is_doubted(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        rig = Rig(monkeypatch)
        (book,) = rig.books
        rig.witness.look(rig.books)
        rig.snapshots.answers = [rig.told(book, 10, size=2.0)]
        rig.later()
        await rig.rig.settled()
        rig.later(0.0)
        assert rig.witnessed() == [(1, 1)]
        ((stream, outcome),) = rig.doubted
        assert (stream, outcome.did, outcome.reason) == (book, Did.BROKE, "witness")
        assert "1.0 here, 2.0 by REST" in outcome.detail
        assert not book.verified

    scene(work)


def test_the_stream_is_waited_for_until_it_stands_where_rest_stood(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        rig = Rig(monkeypatch)
        (book,) = rig.books
        rig.witness.look(rig.books)
        rig.snapshots.answers = [rig.told(book, 11)]
        rig.later()
        await rig.rig.settled()
        rig.later(0.0)
        rig.later(5.0)
        assert rig.witnessed() == []
        rig.rig.outlet.take(book, Delta(book.topic.name, 11, 1, [], [], first_sequence=11))
        rig.later(0.0)
        assert rig.witnessed() == [(1, 0)]
        rig.snapshots.answers = [rig.told(book, 99)]
        rig.later(100.0)
        await rig.rig.settled()
        rig.later(0.0)
        rig.later(5.1)  # it never came there
        assert rig.witnessed() == []
        assert rig.witness._book is None

    scene(work)


@pytest.mark.parametrize("hindrance", ["no answer", "no time", "not verified"])
def test_where_nothing_can_be_compared_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, hindrance: str
) -> None:
    async def work() -> None:
        rig = Rig(monkeypatch)
        (book,) = rig.books
        rig.witness.look(rig.books)
        rig.snapshots.answers = [StreamError("timeout")]
        rig.snapshots.has_time = hindrance != "no time"
        if hindrance == "not verified":
            book.lose("disconnect", "", None)
        rig.later()
        await rig.rig.settled()
        rig.later(0.0)
        assert rig.snapshots.asked == (["BTCUSDT"] if hindrance == "no answer" else [])
        assert (rig.witnessed(), rig.doubted, rig.witness._book) == ([], [], None)

    scene(work)


def test_one_book_is_asked_about_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        rig = Rig(monkeypatch, "BTC/USDT", "ETH/USDT")
        rig.witness.look(rig.books)
        rig.snapshots.answers = [rig.told(book, 10) for book in rig.books]
        rig.later()
        rig.later(0.0)
        await rig.rig.settled()
        assert rig.snapshots.asked == ["BTCUSDT"]
        rig.later(0.0)  # heard of the first
        rig.later(0.0)  # the second's turn
        await rig.rig.settled()
        rig.later(0.0)
        assert rig.snapshots.asked == ["BTCUSDT", "ETHUSDT"]
        assert rig.witnessed() == [(1, 0), (1, 0)]

    scene(work)


def test_a_comparison_under_way_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        rig = Rig(monkeypatch)
        rig.witness.stop()  # none is
        rig.witness.look(rig.books)
        rig.snapshots.answers = [rig.told(rig.books[0], 10)]
        rig.later()
        rig.witness.stop()
        await rig.rig.settled()
        rig.later(0.0)
        assert rig.witnessed() == []

    scene(work)


def test_an_answer_that_breaks_us_is_passed_on_once_and_in_nobodys_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The feed tells of it; the book is compared again when its turn comes, and so are the others."""

    async def work() -> None:
        rig = Rig(monkeypatch)
        (book,) = rig.books
        rig.witness.look(rig.books)
        rig.snapshots.answers = [KeyError("bids"), rig.told(book, 10)]
        rig.later()
        await rig.rig.settled()
        with pytest.raises(KeyError):
            rig.later(0.0)
        rig.later(101.0)
        await rig.rig.settled()
        rig.later(0.0)
        assert rig.witnessed() == [(1, 0)]

    scene(work)
