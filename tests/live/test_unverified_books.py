"""Books that ccxt keeps, as streams: what is taken of them, and whom a refusal or a silence is about."""

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ccxt
import pytest

from collector.events.batch import StreamKey
from collector.exchanges.registry import UNVERIFIED
from collector.live.unverified.books import MOST_UNANSWERED, UnverifiedBooks
from collector.network.failure_table import FailureClass
from collector.network.failures import Failure
from collector.retry import Backoff
from collector.streams.book_stream import BookStream
from collector.streams.stream import Topic

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "streams"))
from connection_rig import SubscriptionsRig

BTC, ETH = "BTC/USDT", "ETH/USDT"


class Exchange:
    """ccxt's object: each watch ends as a test says, or never."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Any]] = {}
        self.watched: list[str] = []
        self.left: list[str] = []
        self.has = {"unWatchOrderBook": True}

    async def watch_order_book(self, symbol: str) -> object:
        self.watched.append(symbol)
        answers = self.answers.get(symbol)
        if not answers:
            await asyncio.Event().wait()
        answer = answers.pop(0)  # type: ignore[union-attr]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def un_watch_order_book(self, symbol: str) -> None:
        self.left.append(symbol)


class Rig:
    def __init__(self, *symbols: str, depths: tuple[int, ...] = (10,)) -> None:
        self.rig = SubscriptionsRig(UNVERIFIED)
        self.exchange = Exchange()
        self.given_up: list[str] = []
        self.ups = 0
        self.socket = SimpleNamespace(
            failure=None, exchange=self.exchange, give_up=self._give_up, until_up=self._until_up
        )
        self.streams = [self._stream(symbol, depth) for symbol in symbols or (BTC, ETH) for depth in depths]
        rig = self.rig
        self.books = UnverifiedBooks(
            self.streams,
            rig.context,
            rig.resyncs,
            self.socket,  # type: ignore[arg-type]
            Backoff(0.0, 0.0),
        )

    def _stream(self, symbol: str, depth: int) -> BookStream:
        one = self.rig.unnumbered(symbol)
        topic = Topic(f"{symbol} book.{depth}", f"{symbol} book.{depth}", symbol, "spot", depth)
        key = StreamKey("okx", symbol, f"book.{depth}")
        return BookStream(key, topic, self.rig.outlet.outlet, one._book, levels_per_row=1)

    def _give_up(self, failure: Failure) -> None:
        self.given_up.append(str(failure))
        self.socket.failure = failure

    async def _until_up(self) -> None:
        pass

    def up(self) -> None:
        self.ups += 1

    def book(self, symbol: str = BTC, nonce: Any = None, size: float = 1.0, **more: Any) -> dict[str, Any]:
        levels = {"bids": [[100.0, size, 3], [99.0, 1.0]], "asks": [["101", "2"]]}
        return {"symbol": symbol, "nonce": nonce, "timestamp": 5, **levels, **more}

    def take(self, **more: Any) -> None:
        self.rig.outlet.pass_time(0.001)
        self.books.take_book(self.book(**more), self.rig.outlet.now_ns)

    def sequences(self) -> list[int]:
        return self.rig.outlet.buffer.swap().integers.tolist()[2::6]


NO_INT = -(2**63)


def test_a_book_is_a_state_for_each_stream_of_its_market_cut_to_its_depth() -> None:
    rig = Rig(BTC, depths=(1,))
    rig.take()
    (stream,) = rig.streams
    assert stream.verified
    assert stream._book.book.bids.prices == [100.0]
    assert stream.top() == (100.0, 1.0, 101.0, 2.0)
    assert rig.sequences() == [NO_INT]
    rig.take(symbol="SOL/USDT")  # nobody's
    rig.take(bids=[], asks=[])  # nothing was told yet
    assert rig.sequences() == []
    rig.take(bids=[])
    assert rig.sequences() == [NO_INT]


def test_numbers_that_grow_are_kept_and_one_that_does_not_ends_them_for_the_market() -> None:
    rig = Rig()
    for nonce in (5, 8):
        rig.take(nonce=nonce)
    rig.take(symbol=ETH, nonce=3)
    assert rig.sequences() == [5, 8, 3]
    rig.take(nonce=8)
    assert rig.rig.outlet.causes() == ["numbering"]
    rig.take(nonce=9)
    rig.take(symbol=ETH, nonce=4)
    assert rig.sequences() == [NO_INT, NO_INT, 4]


@pytest.mark.parametrize("nonce", [None, "7", -1, 2**63, 1.5])
def test_what_is_no_number_is_none(nonce: Any) -> None:
    rig = Rig()
    rig.take(nonce=nonce)
    rig.take(nonce=2**63 - 1)
    assert rig.sequences() == [NO_INT, 2**63 - 1]


def test_a_book_that_cannot_be_read_makes_the_socket_anew() -> None:
    rig = Rig()
    rig.take(bids=[["x", "y"]])
    assert rig.given_up[0].startswith("internal_error: ValueError")


def scene(work: Any) -> None:
    async def run() -> None:
        await asyncio.wait_for(work(), 10.0)

    asyncio.run(run())


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_each_market_is_watched_once_and_no_longer_when_nothing_is_read_off_it() -> None:
    async def work() -> None:
        rig = Rig(depths=(1, 10))
        assert not rig.books.watching
        await rig.books.begin(rig.up)
        await turns()
        assert (sorted(rig.exchange.watched), rig.ups, rig.books.watching) == ([BTC, ETH], 1, True)
        rig.books.remove(rig.streams[0])
        await rig.books.go_on()
        assert rig.exchange.left == []  # another stream of the market is
        rig.books.remove(rig.streams[1])
        await rig.books.go_on()
        assert rig.exchange.left == [BTC]
        rig.books.add(rig.streams[0])
        await turns()
        assert rig.exchange.watched.count(BTC) == 2
        assert not rig.books.tells_apart(rig.streams[0])
        rig.books.lose_all("disconnect", "")
        assert not rig.books.watching

    scene(work)


def test_a_refusal_that_names_a_market_ends_that_one_alone() -> None:
    async def work() -> None:
        rig = Rig()
        rig.exchange.answers = {one: [ccxt.BadSymbol(f"okx {BTC} does not exist")] for one in (BTC, ETH)}
        await rig.books.begin(rig.up)
        while len(rig.books.streams) > 1:  # noqa: ASYNC110  (nobody tells of it)
            await asyncio.sleep(0.001)
        assert [one.key.symbol for one in rig.books.streams] == [ETH]
        assert BTC in rig.rig.context.refused.words[0]
        (again,) = rig.rig.context.refused.take_given_up([])
        rig.books.add(again)
        assert BTC in rig.rig.context.refused.words[0]
        rig.take()
        assert (again.verified, rig.rig.context.refused.words) == (True, [])
        rig.books.lose_all("stop", "")

    scene(work)


def test_a_market_whose_book_does_not_come_is_begun_anew_and_then_done_without() -> None:
    async def work() -> None:
        rig = Rig()
        await rig.books.begin(rig.up)
        for count in range(1, MOST_UNANSWERED + 1):
            rig.take(symbol=ETH)
            rig.rig.now_s += 31.0
            rig.take(symbol=ETH)
            await rig.books.go_on()
            assert len(rig.given_up) == min(count, MOST_UNANSWERED - 1)
            rig.socket.failure = None
        assert rig.given_up[0] == f"no_book: none of {BTC} in time"
        assert rig.rig.context.refused.words == [
            f"okx: {BTC} book.10 refused: no book came, {MOST_UNANSWERED} times"
        ]
        rig.books.lose_all("stop", "")

    scene(work)


def test_an_exchange_that_sends_no_book_at_all_does_not_serve_and_no_market_is_given_up() -> None:
    async def work() -> None:
        rig = Rig()
        for count in range(1, 3 * MOST_UNANSWERED):
            await rig.books.begin(rig.up)
            rig.rig.now_s += 31.0
            await rig.books.go_on()
            assert len(rig.given_up) == count
            assert not rig.books.serves
            rig.books.lose_all("disconnect", "")
            rig.socket.failure = None
        assert rig.rig.context.refused.words == []
        await rig.books.begin(rig.up)
        rig.take()
        assert rig.books.serves
        rig.books.lose_all("stop", "")

    scene(work)


def test_access_that_is_refused_is_of_the_connection_and_ends_no_market() -> None:
    async def work() -> None:
        rig = Rig()
        rig.exchange.answers = {BTC: [ccxt.RestrictedLocation("not from there")]}
        await rig.books.begin(rig.up)
        while not rig.given_up:  # noqa: ASYNC110  (nobody tells of it)
            await asyncio.sleep(0.001)
        assert rig.given_up[0].startswith("geo_blocked: ")
        assert len(rig.books.streams) == 2
        assert rig.rig.context.refused.words == []
        rig.books.lose_all("stop", "")

    scene(work)


def test_a_book_that_comes_counts_silences_and_failures_from_the_beginning() -> None:
    async def work() -> None:
        rig = Rig(BTC)
        await rig.books.begin(rig.up)
        rig.rig.now_s += 31.0
        await rig.books.go_on()
        rig.books._failed(BTC, Failure(FailureClass.TRANSIENT, "odd", suspicious=True))
        assert rig.books._suspicious == {BTC: 1}
        rig.take()
        assert rig.books._unanswered == rig.books._suspicious == {}
        rig.books.lose_all("stop", "")

    scene(work)


def test_a_market_of_which_rest_is_ahead_is_begun_anew() -> None:
    rig = Rig()
    rig.take()
    rig.books._restart_stale(BTC, "silent, and REST has another")
    assert rig.rig.outlet.causes() == ["stale"]
    assert rig.given_up == [f"stale: {BTC} silent, and REST has another"]


def test_nothing_opens_between_the_end_of_a_socket_and_the_next() -> None:
    rig = Rig(BTC)

    async def scene() -> None:
        await rig.books.begin(rig.up)
        rig.take()
        rig.books.lose_all("disconnect", "")
        rig.take()  # the last of the socket that is gone
        assert not rig.streams[0].verified
        await rig.books.begin(rig.up)
        rig.take()
        assert rig.streams[0].verified
        rig.books.lose_all("stop", "")

    asyncio.run(scene())
    assert rig.rig.outlet.causes() == ["disconnect", "stop"]
