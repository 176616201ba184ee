"""What becomes of a silent stream: only an answer that differs, or none in time, is a doubt."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from collector.book import VerifiedBook, WholeBooks
from collector.errors import StreamError
from collector.events.batch import StreamKey
from collector.events.messages import Delta, Snapshot
from collector.exchanges.exchange import Exchange
from collector.exchanges.registry import EXCHANGES
from collector.live import resync
from collector.live.topic_subscriptions import TopicSubscriptions
from collector.streams.book_stream import BookStream
from collector.streams.stream import Topic

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "streams"))
from connection_rig import SubscriptionsRig, levels_around

BOOK, BEST = "btcusdt@depth", "btcusdt@bookTicker"
UNANSWERED = StreamError("timeout: nobody answers", unanswered=True)
REFUSED = StreamError("too_many_requests: 429")


class Rig(SubscriptionsRig):
    def best_prices(self) -> BookStream:
        book = VerifiedBook(WholeBooks(), 1)
        key = StreamKey(self.protocol.name, "BTC/USDT", "bbo")
        return BookStream(
            key, Topic(BEST, BEST, "BTCUSDT", "spot", 1), self.outlet.outlet, book, levels_per_row=1
        )

    def heard(self, message: Snapshot | Delta) -> None:
        self._said = message
        self.router.take("", self.context.clock.now_ns())

    def resubscribed(self) -> int:
        return sum(one["method"] == "UNSUBSCRIBE" for one in self.sent)


def snapshot(sequence: int | None, topic: str = BOOK, size: float = 1.0, count: int = 20) -> Snapshot:
    return Snapshot(topic, sequence, 1, *levels_around(1000.0, count, size))


def news(sequence: int) -> Delta:
    return Delta(BOOK, sequence, 1, [(999.0, 1.0)], [], first_sequence=sequence)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resync, "PATIENCE_S", 0.01)


Act = Callable[[Rig, TopicSubscriptions, BookStream], Awaitable[None]]


def with_book(work: Act) -> None:
    """Open a book of REST snapshots at 100, and let it be silent."""

    async def scene() -> None:
        rig = Rig()
        book = rig.bridged()
        subscriptions = rig.collect(book)
        rig.snapshots.answers = [snapshot(100)]
        await subscriptions.begin(lambda: None)
        await subscriptions.go_on()
        await rig.settled()
        rig.heard(news(101))
        rig.now_s += 11.0
        await work(rig, subscriptions, book)

    asyncio.run(scene())


def with_best_prices(exchange: str | Exchange, work: Act) -> None:
    """Open best prices, and let them be silent."""

    async def scene() -> None:
        rig = Rig(EXCHANGES[exchange] if isinstance(exchange, str) else exchange)
        best = rig.best_prices()
        subscriptions = rig.collect(best)
        rig.resyncs.asked([BEST], rig.now_s)
        rig.heard(snapshot(7, BEST, count=1))
        rig.now_s += 11.0
        await work(rig, subscriptions, best)

    asyncio.run(scene())


def test_a_quiet_book_is_counted_as_compared_and_its_segment_goes_on() -> None:
    async def work(rig: Rig, subscriptions: TopicSubscriptions, book: BookStream) -> None:
        rig.snapshots.answers = [snapshot(101)]
        await subscriptions.go_on()
        await rig.settled()
        assert (book.verified, rig.outlet.causes(), rig.resubscribed()) == (True, [], 0)
        (witnessed,) = rig.outlet.buffer.swap().witnessed.values()
        assert (witnessed.compared, witnessed.disagreed) == (1, 0)

    with_book(work)


def test_rest_that_is_ahead_of_the_stream_by_what_is_on_its_way_is_no_doubt() -> None:
    async def work(rig: Rig, subscriptions: TopicSubscriptions, book: BookStream) -> None:
        rig.snapshots.answers = [snapshot(102)]
        await subscriptions.go_on()
        await asyncio.sleep(0)
        rig.heard(news(102))
        await rig.settled()
        assert (book.verified, rig.outlet.causes(), rig.resubscribed()) == (True, [], 0)

    with_book(work)


def test_a_stream_that_speaks_again_but_is_behind_is_left_alone() -> None:
    async def work(rig: Rig, subscriptions: TopicSubscriptions, book: BookStream) -> None:
        rig.snapshots.answers = [snapshot(200)]
        await subscriptions.go_on()
        await asyncio.sleep(0)
        rig.now_s += 0.1
        rig.heard(news(102))
        await rig.settled()
        assert (book.verified, rig.outlet.causes(), rig.resubscribed()) == (True, [], 0)

    with_book(work)


def test_a_stalled_book_is_stale_and_its_topic_is_subscribed_anew() -> None:
    async def work(rig: Rig, subscriptions: TopicSubscriptions, book: BookStream) -> None:
        rig.snapshots.answers = [snapshot(105)]
        await subscriptions.go_on()
        await rig.settled()
        (ended,) = [one for one in rig.outlet.changes if not one.verified]
        assert (ended.cause, ended.detail) == ("stale", "silent at 101, and REST is at 105")
        assert rig.resubscribed() == 1
        rig.snapshots.answers = [snapshot(106)]
        await subscriptions.go_on()
        await rig.settled()
        assert (book.verified, book.sequence) == (True, 106)

    with_book(work)


def test_a_question_that_rest_refuses_is_no_doubt_and_is_asked_again() -> None:
    async def work(rig: Rig, subscriptions: TopicSubscriptions, book: BookStream) -> None:
        for wait_s in (1.0, 2.0):
            rig.snapshots.answers = [REFUSED]
            await subscriptions.go_on()
            await rig.settled()
            assert (book.verified, rig.outlet.causes()) == (True, [])
            asked = len(rig.snapshots.asked)
            await subscriptions.go_on()
            assert len(rig.snapshots.asked) == asked
            rig.now_s += 10.0 + wait_s

    with_book(work)


def test_a_question_that_rest_leaves_unanswered_is_a_doubt() -> None:
    async def work(rig: Rig, subscriptions: TopicSubscriptions, book: BookStream) -> None:
        rig.snapshots.answers = [UNANSWERED]
        await subscriptions.go_on()
        await rig.settled()
        assert (book.verified, rig.outlet.causes()) == (False, ["stale"])

    with_book(work)


def test_a_book_that_breaks_while_its_question_is_pondered_is_fetched_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work(rig: Rig, subscriptions: TopicSubscriptions, book: BookStream) -> None:
        monkeypatch.setattr(resync, "PATIENCE_S", 3600.0)
        rig.snapshots.answers = [snapshot(105), snapshot(110)]
        await subscriptions.go_on()
        for _ in range(3):
            await asyncio.sleep(0)
        rig.heard(news(109))
        assert not book.verified
        await subscriptions.go_on()
        await rig.settled()
        assert (book.verified, book.sequence) == (True, 110)
        assert rig.outlet.causes() == ["sequence_gap"]

    with_book(work)


@pytest.mark.parametrize("exchange", ["binance", "kraken"])
def test_best_prices_that_rest_has_as_well_are_quiet(exchange: str) -> None:
    async def work(rig: Rig, subscriptions: TopicSubscriptions, best: BookStream) -> None:
        rig.snapshots.answers = [snapshot(None, BEST, count=1)]
        await subscriptions.go_on()
        await rig.settled()
        await subscriptions.go_on()
        assert (best.verified, rig.outlet.causes(), rig.sent) == (True, [], [])
        assert rig.resyncs._topics[BEST].quiet_answers == 1

    with_best_prices(exchange, work)


@pytest.mark.parametrize("answer", [snapshot(None, BEST, 2.0, 1), UNANSWERED])
def test_best_prices_that_differ_from_rest_for_long_are_stale(answer: Snapshot | StreamError) -> None:
    async def work(rig: Rig, subscriptions: TopicSubscriptions, best: BookStream) -> None:
        rig.snapshots.answers = [answer]
        await subscriptions.go_on()
        await rig.settled()
        assert (best.verified, rig.outlet.causes(), rig.resubscribed()) == (False, ["stale"], 1)

    with_best_prices("binance", work)


def test_best_prices_that_differ_and_then_speak_are_left_alone() -> None:
    async def work(rig: Rig, subscriptions: TopicSubscriptions, best: BookStream) -> None:
        rig.snapshots.answers = [snapshot(None, BEST, 2.0, 1)]
        await subscriptions.go_on()
        await asyncio.sleep(0)
        rig.now_s += 0.1
        rig.heard(snapshot(8, BEST, 2.0, 1))
        await rig.settled()
        assert (best.verified, rig.outlet.causes(), rig.resubscribed()) == (True, [], 0)

    with_best_prices("binance", work)


def test_best_prices_that_nobody_can_be_asked_about_are_not_in_doubt() -> None:
    async def work(rig: Rig, subscriptions: TopicSubscriptions, best: BookStream) -> None:
        rig.snapshots.answers = [REFUSED]
        await subscriptions.go_on()
        await rig.settled()
        rig.snapshots.has_checks = False
        rig.now_s += 20.0
        await subscriptions.go_on()
        await rig.settled()
        assert (best.verified, rig.outlet.causes(), rig.sent) == (True, [], [])

    with_best_prices("binance", work)


@pytest.mark.parametrize("why", ["REST differs", "REST refuses", "REST is closed", "REST has none"])
def test_the_stream_itself_is_asked_where_rest_does_not_settle_it(why: str) -> None:
    """Its topic is Binance's here; that a subscription brings the state is what counts."""

    async def work(rig: Rig, subscriptions: TopicSubscriptions, best: BookStream) -> None:
        rig.snapshots.answers = [REFUSED if why == "REST refuses" else snapshot(None, BEST, 2.0, 1)]
        rig.snapshots.closed = why == "REST is closed"
        rig.snapshots.has_checks = why != "REST has none"
        await subscriptions.go_on()
        await rig.settled()
        await subscriptions.go_on()
        await rig.settled()
        assert len(rig.snapshots.asked) == (why in {"REST differs", "REST refuses"})
        assert best.verified
        assert best.in_question
        rig.now_s += 30.5  # the answer may take 30 s
        await subscriptions.go_on()
        assert not best.verified
        (ended,) = [one for one in rig.outlet.changes if not one.verified]
        assert ended.detail == "silent, and no snapshot when asked for one"

    with_best_prices(replace(EXCHANGES["binance"], sends_state=True), work)


def test_an_update_before_the_topic_is_left_is_no_answer() -> None:
    async def scene() -> None:
        rig = Rig(EXCHANGES["okx"])
        best = rig.best_prices()
        best.topic = Topic("bbo-tbt:BTC-USDT", BEST, "BTC-USDT", "spot", 1)
        subscriptions = rig.collect(best)
        rig.snapshots.has_checks = False
        rig.resyncs.asked([best.topic.name], rig.now_s)
        rig.heard(snapshot(7, BEST, count=1))
        rig.now_s += 11.0
        rig.answer = lambda _: None
        await subscriptions.go_on()
        await asyncio.sleep(0)
        assert [one["op"] for one in rig.sent] == ["unsubscribe"]
        assert not best.in_question
        subscriptions.lose_all("stop", "")

    asyncio.run(scene())
