"""What one connection does when the exchange refuses to subscribe, or to unsubscribe."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from collector.errors import StreamError
from collector.events.messages import Ack, Snapshot
from collector.events.notices import RequestRefused
from collector.exchanges.registry import EXCHANGES
from collector.live.put_off import MOST_UNKNOWN_TRIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from collector.live.topic_subscriptions import TopicSubscriptions
    from collector.streams.book_stream import BookStream
    from collector.streams.stream import Stream

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "streams"))
from connection_rig import SLOW_WAIT_S, SubscriptionsRig, levels_around

BUSY = "-1008 Server is currently overloaded with other requests."
NO_SYMBOL = "2 Invalid request: invalid stream"
RATE = "Exceeded msg rate"


class Rig(SubscriptionsRig):
    """A connection whose next requests are refused in words; those after them are accepted."""

    def __init__(self, exchange: str = "binance") -> None:
        super().__init__(EXCHANGES[exchange])
        self.words: list[str | None] = []
        self.published: list[RequestRefused] = []
        self.before_answer: Callable[[], None] = lambda: None
        self.outlet.events.attach(RequestRefused, self.published.append)
        self.answer = self._next_answer

    def _next_answer(self, request_id: str) -> Ack:
        self.before_answer()
        words = self.words.pop(0) if self.words else None
        return Ack(request_id, words is None, words or "")

    @property
    def asked(self) -> list[tuple[str, list[str]]]:
        """Return what was sent: the method, and the streams or markets."""
        return [
            (str(one["method"]).upper(), one["params"] if isinstance(one["params"], list) else markets(one))
            for one in self.sent
        ]


def markets(request: object) -> list[str]:
    return list(request["params"]["symbol"])  # type: ignore[index]


async def worked(rig: Rig, subscriptions: TopicSubscriptions) -> None:
    """Let the connection do all that is due at this moment."""
    for _ in range(3):
        await subscriptions.go_on()
        await rig.settled()


async def begun(rig: Rig, *streams: Stream) -> TopicSubscriptions:
    subscriptions = rig.collect(*streams)
    await subscriptions.begin(lambda: None)
    return subscriptions


def test_a_passing_refusal_of_many_is_asked_again_for_all_at_once_and_later() -> None:
    async def scene() -> None:
        rig = Rig()
        both = rig.trades("BTC/USDT"), rig.trades("ETH/USDT")
        rig.words = [BUSY, BUSY]
        subscriptions = await begun(rig, *both)
        everything = ("SUBSCRIBE", ["btcusdt@trade", "ethusdt@trade"])
        await worked(rig, subscriptions)
        assert rig.asked == [everything]
        for seconds in (1.0, 2.0):
            rig.now_s += seconds
            await worked(rig, subscriptions)
        assert rig.asked == [everything] * 3
        assert all(one.verified for one in both)
        assert (rig.halts, rig.context.refused.words) == ([], [])
        assert [one.again_in_s for one in rig.published] == [1.0, 2.0]
        assert rig.published[0].topics == ("btcusdt@trade", "ethusdt@trade")

    asyncio.run(scene())


def test_a_refusal_that_lasts_is_told_once_and_tries_go_on() -> None:
    async def scene() -> None:
        rig = Rig()
        rig.words = [BUSY] * 14
        both = rig.trades("BTC/USDT"), rig.trades("ETH/USDT")
        subscriptions = await begun(rig, *both)
        for _ in range(13):
            rig.now_s += 60.0
            await worked(rig, subscriptions)
        assert [(one.code, one.symbol) for one in rig.halts] == [("subscription_refused", None)]
        assert rig.halts[0].reason == f"btcusdt@trade, ethusdt@trade: {BUSY}; tries go on"
        assert rig.context.refused.words == [
            f"binance: {symbol} trade refused: {BUSY}; tries go on" for symbol in ("BTC/USDT", "ETH/USDT")
        ]
        rig.now_s += 60.0
        await worked(rig, subscriptions)
        assert all(one.verified for one in both)
        assert rig.context.refused.words == []

    asyncio.run(scene())


def test_unknown_words_are_tried_topic_by_topic_some_times_and_then_slowly() -> None:
    async def scene() -> None:
        rig = Rig()
        stream = rig.trades()
        rig.words = ["The moon is full"] * (MOST_UNKNOWN_TRIES + 2)
        subscriptions = await begun(rig, stream)
        for _ in range(MOST_UNKNOWN_TRIES):
            rig.now_s += 60.0
            await worked(rig, subscriptions)
        assert [(one.code, one.symbol) for one in rig.halts] == [("subscription_refused", "BTC/USDT")]
        before = len(rig.sent)
        rig.now_s += SLOW_WAIT_S - 1.0
        await worked(rig, subscriptions)
        assert len(rig.sent) == before
        for _ in range(2):
            rig.now_s += SLOW_WAIT_S
            await worked(rig, subscriptions)
        assert stream.verified
        assert len(rig.halts) == 1

    asyncio.run(scene())


@pytest.mark.parametrize("words", ["The moon is full", NO_SYMBOL, "already subscribed"])
def test_what_may_be_the_fault_of_one_of_many_is_asked_topic_by_topic(words: str) -> None:
    async def scene() -> None:
        rig = Rig()
        both = rig.trades("BTC/USDT"), rig.trades("ETH/USDT")
        rig.words = [words]
        await begun(rig, *both)
        assert [streams for _, streams in rig.asked[1:]] == [["btcusdt@trade"], ["ethusdt@trade"]]
        assert all(one.verified for one in both)

    asyncio.run(scene())


def test_what_is_subscribed_already_is_as_good_as_accepted() -> None:
    async def scene() -> None:
        rig = Rig("kraken")
        book = rig.unnumbered("BTC/USD")
        rig.words = ["Already subscribed"]
        subscriptions = await begun(rig, book)
        assert (rig.halts, rig.published) == ([], [])
        rig.now_s += 1.0  # no snapshot comes, so that the topic is left and asked for again
        await worked(rig, subscriptions)
        assert [method for method, _ in rig.asked] == ["SUBSCRIBE", "UNSUBSCRIBE", "SUBSCRIBE"]
        rig.hear(Snapshot("book.10:BTC/USD", None, 1, *levels_around(1000.0)))
        assert book.verified

    asyncio.run(scene())


async def verified_book(rig: Rig) -> tuple[TopicSubscriptions, BookStream]:
    book = rig.unnumbered("BTC/USD")
    subscriptions = await begun(rig, book)
    rig.outlet.now_ns = rig.context.clock.now_ns()
    rig.hear(Snapshot("book.10:BTC/USD", None, 1, *levels_around(1000.0)))
    assert book.verified
    return subscriptions, book


def break_book(rig: Rig) -> None:
    bids, asks = levels_around(1000.0)
    rig.hear(Snapshot("book.10:BTC/USD", None, 1, asks, bids))  # crossed


def test_a_resync_that_is_refused_for_now_is_done_again() -> None:
    async def scene() -> None:
        rig = Rig("kraken")
        subscriptions, book = await verified_book(rig)
        break_book(rig)
        rig.words = [None, RATE]
        await worked(rig, subscriptions)
        assert [method for method, _ in rig.asked] == ["SUBSCRIBE", "UNSUBSCRIBE", "SUBSCRIBE"]
        assert subscriptions.streams == [book]
        rig.now_s += 1.0
        await worked(rig, subscriptions)
        assert [method for method, _ in rig.asked[3:]] == ["SUBSCRIBE"]  # it was left already
        rig.hear(Snapshot("book.10:BTC/USD", None, 1, *levels_around(1000.0)))
        assert (book.verified, rig.halts) == (True, [])

    asyncio.run(scene())


def test_a_quiet_book_that_cannot_be_asked_about_is_covered_until_it_was_left() -> None:
    async def scene() -> None:
        rig = Rig("kraken")
        rig.snapshots = None  # type: ignore[assignment]
        subscriptions, book = await verified_book(rig)
        rig.now_s += 11.0
        rig.words = [RATE]
        await worked(rig, subscriptions)
        assert [method for method, _ in rig.asked] == ["SUBSCRIBE", "UNSUBSCRIBE"]
        assert (book.verified, book.in_question, rig.outlet.causes()) == (True, False, [])
        assert [(one.words, one.again_in_s) for one in rig.published] == [(RATE, None)]
        assert rig.put_off.unsubscribes_refused == 1
        rig.now_s += 100.0
        rig.words = [None, RATE]
        await worked(rig, subscriptions)  # now left, and not subscribed: what happens there is not seen
        assert (book.verified, rig.outlet.causes()) == (False, ["refused"])
        rig.now_s += 1.0
        await worked(rig, subscriptions)
        rig.hear(Snapshot("book.10:BTC/USD", None, 1, *levels_around(1000.0)))
        assert book.verified

    asyncio.run(scene())


def test_leaving_what_is_not_subscribed_does_no_harm() -> None:
    async def scene() -> None:
        rig = Rig("kraken")
        subscriptions, book = await verified_book(rig)
        break_book(rig)
        rig.words = ["Subscription Not Found"]
        await worked(rig, subscriptions)
        assert [method for method, _ in rig.asked] == ["SUBSCRIBE", "UNSUBSCRIBE", "SUBSCRIBE"]
        assert rig.put_off.unsubscribes_refused == 1
        assert (rig.halts, subscriptions.streams) == ([], [book])

    asyncio.run(scene())


def test_what_is_refused_for_good_is_told_once_and_can_be_asked_for_again() -> None:
    async def scene() -> None:
        rig = Rig()
        stream, other = rig.trades("BTC/USDT"), rig.trades("ETH/USDT")
        subscriptions = await begun(rig, other)
        for _ in range(2):
            rig.words = [NO_SYMBOL]
            subscriptions.add(stream)
            await worked(rig, subscriptions)
            assert subscriptions.streams == [other]
            assert rig.context.refused.take_given_up([]) == [stream]
        assert [(one.code, one.symbol) for one in rig.halts] == [("subscription_refused", "BTC/USDT")]
        subscriptions.add(stream)
        await worked(rig, subscriptions)
        assert (stream.verified, rig.context.refused.words) == (True, [])

    asyncio.run(scene())


def test_a_new_socket_asks_at_once_for_what_was_put_off() -> None:
    async def scene() -> None:
        rig = Rig()
        stream = rig.trades()
        rig.words = [BUSY]
        subscriptions = await begun(rig, stream)
        subscriptions.lose_all("disconnect", "reset")
        await subscriptions.begin(lambda: None)
        assert stream.verified
        rig.now_s += 100.0
        await worked(rig, subscriptions)
        assert len(rig.sent) == 2

    asyncio.run(scene())


def test_what_was_put_off_and_removed_is_asked_for_no_more() -> None:
    async def scene() -> None:
        rig = Rig()
        stream = rig.trades()
        rig.words = [BUSY]
        subscriptions = await begun(rig, stream)
        subscriptions.remove(stream)
        rig.now_s += 100.0
        await worked(rig, subscriptions)
        assert [method for method, _ in rig.asked] == ["SUBSCRIBE", "UNSUBSCRIBE"]

    asyncio.run(scene())


def test_what_was_put_off_and_comes_anew_is_asked_for_once() -> None:
    async def scene() -> None:
        rig = Rig()
        old, new = rig.trades(), rig.trades()
        rig.words = [BUSY]
        subscriptions = await begun(rig, old)
        subscriptions.remove(old)
        subscriptions.add(new)
        rig.now_s += 100.0
        await worked(rig, subscriptions)
        asked = ["btcusdt@trade"]
        assert rig.asked == [("SUBSCRIBE", asked), ("UNSUBSCRIBE", asked), ("SUBSCRIBE", asked)]
        assert new.verified

    asyncio.run(scene())


def test_a_second_interval_of_bars_is_refused_for_good_though_it_says_already_subscribed() -> None:
    async def scene() -> None:
        rig = Rig("kraken")
        book = rig.unnumbered("BTC/USD")
        rig.words = ["Already subscribed to one ohlc interval on this symbol"]
        subscriptions = await begun(rig, book)
        assert subscriptions.streams == []
        assert [one.code for one in rig.halts] == ["subscription_refused"]

    asyncio.run(scene())


def test_a_book_that_rest_refuses_again_is_not_told_again() -> None:
    async def scene() -> None:
        rig = Rig()
        book = rig.bridged()
        subscriptions = await begun(rig)
        for answer in (StreamError("no such market", permanent=True),) * 2:
            rig.snapshots.answers = [answer]
            subscriptions.add(book)
            await worked(rig, subscriptions)
            assert len(rig.context.refused.words) == 1
        assert len(rig.halts) == 1
        rig.snapshots.answers = [Snapshot("btcusdt@depth", 100, 1, *levels_around(1000.0))]
        subscriptions.add(book)
        await worked(rig, subscriptions)
        assert (book.verified, rig.context.refused.words) == (True, [])

    asyncio.run(scene())
