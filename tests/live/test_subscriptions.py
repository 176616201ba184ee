"""What one connection collects: who is doubted, who is fetched again, and when that is given up."""

import asyncio
import sys
from pathlib import Path

import pytest

from collector.errors import FrameError, StreamError
from collector.events.messages import Ack, Delta, Side, Snapshot, TradeMessage

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "streams"))
from connection_rig import SubscriptionsRig, levels_around

TOPIC = "btcusdt@depth"


def snapshot(sequence: int, price: float = 1000.0) -> Snapshot:
    return Snapshot(TOPIC, sequence, 1, *levels_around(price))


def removed(sequence: int, *bids: float) -> Delta:
    return Delta(TOPIC, sequence, 1, [(price, 0.0) for price in bids], [], first_sequence=sequence)


def test_an_unreadable_frame_ends_what_is_covered_also_behind_a_stream_that_sees_losses_itself() -> None:
    rig = SubscriptionsRig()
    numbered, unnumbered = rig.trades("BTC/USDT", numbered=True), rig.trades("ETH/USDT")
    rig.collect(numbered, unnumbered)
    for stream in (numbered, unnumbered):
        stream.subscribed(rig.outlet.now_ns, rig.liveness)
    before = [one.segment_id for one in rig.outlet.changes]
    rig.hear(FrameError("malformed", "cut off"), '{"s":"BTCUSDT","other":"ETHUSDT"}')
    (ended,) = [one for one in rig.outlet.changes if not one.verified]
    assert (ended.symbol, ended.cause, ended.detail) == ("ETH/USDT", "malformed", "cut off")
    assert ended.segment_id == before[1]
    assert numbered.verified


def test_an_unreadable_frame_breaks_only_the_book_that_it_names() -> None:
    rig = SubscriptionsRig()
    named, other = rig.unnumbered("BTC/USD"), rig.unnumbered("ETH/USD")
    rig.collect(named, other)
    for book in (named, other):
        levels = levels_around(1000.0)
        rig.hear(Snapshot(book.topic.name, None, 1, *levels))
    rig.hear(FrameError("malformed", "cut off"), '{"channel":"book","data":[{"symbol":"BTC/USD",')
    assert (named.verified, other.verified) == (False, True)
    assert rig.is_woken


async def opened(rig: SubscriptionsRig) -> tuple[object, object]:
    """Subscribe a book of REST snapshots and open it."""
    book = rig.bridged()
    subscriptions = rig.collect(book)
    rig.snapshots.answers = [snapshot(100)]
    await subscriptions.begin(lambda: None)
    await subscriptions.go_on()
    await rig.settled()
    assert book.verified
    return subscriptions, book


def test_a_book_near_its_edge_is_fetched_again_and_its_segment_goes_on() -> None:
    async def scene() -> None:
        rig = SubscriptionsRig()
        subscriptions, book = await opened(rig)
        rig.hear(removed(101, *(1000.0 - step for step in range(1, 18))))
        assert book.near_the_edge
        rig.now_s += 2.0
        rig.snapshots.answers = [snapshot(105, 990.0)]
        await subscriptions.go_on()
        assert not book.in_question
        await rig.settled()
        assert not book.near_the_edge
        assert rig.outlet.causes() == []

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("answer", "detail", "halts"),
    [
        (StreamError("timeout: nobody answers"), "timeout: nobody answers", []),
        (Snapshot(TOPIC, 5, 1, [], []), "empty: a snapshot without a level", []),
        (IndexError("list index"), "IndexError('list index')", ["internal_error"]),
    ],
)
def test_a_fetch_that_fails_in_any_way_is_told_and_done_again(
    answer: Snapshot | Exception, detail: str, halts: list[str]
) -> None:
    async def scene() -> None:
        rig = SubscriptionsRig()
        book = rig.bridged()
        subscriptions = rig.collect(book)
        await subscriptions.begin(lambda: None)
        rig.snapshots.answers = [answer]
        await subscriptions.go_on()
        await rig.settled()
        assert [(one.symbol, one.detail) for one in rig.failed] == [("BTC/USDT", detail)]
        assert [one.code for one in rig.halts] == halts
        assert len(subscriptions._book_requests._by_rest) == 0
        rig.snapshots.answers = [snapshot(100)]
        await subscriptions.go_on()
        assert len(rig.snapshots.asked) == 1  # not before a wait
        rig.now_s += 1.5
        await subscriptions.go_on()
        await rig.settled()
        assert book.verified

    asyncio.run(scene())


def test_a_snapshot_that_does_not_reach_the_stream_is_fetched_again_and_is_no_failure() -> None:
    async def scene() -> None:
        rig = SubscriptionsRig()
        book = rig.bridged()
        subscriptions = rig.collect(book)
        await subscriptions.begin(lambda: None)
        rig.hear(removed(50, 1.0))
        rig.snapshots.answers = [snapshot(40), snapshot(60)]
        await subscriptions.go_on()
        await rig.settled()
        assert (book.verified, rig.failed) == (False, [])
        rig.now_s += 1.5
        await subscriptions.go_on()
        await rig.settled()
        assert book.verified

    asyncio.run(scene())


def test_a_book_that_rest_refuses_for_good_is_no_longer_collected() -> None:
    async def scene() -> None:
        rig = SubscriptionsRig()
        book, other = rig.bridged(), rig.trades("ETH/USDT")
        subscriptions = rig.collect(book, other)
        await subscriptions.begin(lambda: None)
        rig.snapshots.answers = [StreamError("no such market", permanent=True)]
        await subscriptions.go_on()
        await rig.settled()
        assert subscriptions.streams == [other]
        assert rig.context.refused.words == ["binance: BTC/USDT book.20 refused: no such market"]
        assert [(one.code, one.symbol) for one in rig.halts] == [("subscription_refused", "BTC/USDT")]

    asyncio.run(scene())


def test_a_book_removed_while_its_snapshot_is_under_way_takes_nothing() -> None:
    async def scene(answer: Snapshot | Exception) -> None:
        rig = SubscriptionsRig()
        book = rig.bridged()
        subscriptions = rig.collect(book)
        await subscriptions.begin(lambda: None)
        rig.snapshots.answers = [answer]
        await subscriptions.go_on()
        subscriptions.remove(book)
        await rig.settled()
        assert (book.verified, rig.failed, rig.context.refused.words) == (False, [], [])

    asyncio.run(scene(snapshot(100)))
    asyncio.run(scene(StreamError("no such market", permanent=True)))


def test_a_request_refused_as_a_whole_is_tried_topic_by_topic() -> None:
    async def scene() -> None:
        rig = SubscriptionsRig()
        good, bad = rig.trades("BTC/USDT"), rig.trades("NOPE/USDT")
        subscriptions = rig.collect(good, bad)
        words = "2 Invalid request: invalid stream"
        rig.answer = lambda number: Ack(number, "nopeusdt@trade" not in rig.sent[-1]["params"], words)
        await subscriptions.begin(lambda: None)
        asked = ["btcusdt@trade", "nopeusdt@trade"]
        assert [one["params"] for one in rig.sent] == [asked, asked[:1], asked[1:]]
        assert subscriptions.streams == [good]
        assert good.verified
        assert rig.context.refused.words == [f"binance: NOPE/USDT trade refused: {words}"]

    asyncio.run(scene())


def test_a_subscription_that_is_not_answered_is_an_error() -> None:
    async def scene() -> None:
        rig = SubscriptionsRig()
        rig.requests._timeout_s = 0.01
        rig.answer = lambda _: None
        with pytest.raises(StreamError, match=r"no answer to .*btcusdt@trade.* within 0.01 s"):
            await rig.collect(rig.trades()).begin(lambda: None)

    asyncio.run(scene())


def test_what_is_added_is_subscribed_and_what_is_removed_is_left() -> None:
    async def scene() -> None:
        rig = SubscriptionsRig()
        first, second = rig.trades("BTC/USDT"), rig.trades("ETH/USDT")
        subscriptions = rig.collect(first)
        await subscriptions.begin(lambda: None)
        assert not subscriptions.tells_apart(first)
        assert subscriptions.tells_apart(second)
        subscriptions.add(second)
        assert rig.is_woken
        subscriptions.remove(first)
        assert rig.is_woken
        await subscriptions.go_on()
        await rig.settled()
        assert [(one["method"], one["params"]) for one in rig.sent[1:]] == [
            ("UNSUBSCRIBE", ["btcusdt@trade"]),
            ("SUBSCRIBE", ["ethusdt@trade"]),
        ]
        assert subscriptions.tells_apart(first)
        rig.hear(TradeMessage(first.topic.name, "1", 1, 1.0, 1.0, Side.BUY))
        assert rig.unknown.received == 1  # nobody's any more
        assert rig.outlet.causes() == ["unsubscribed"]

    asyncio.run(scene())
