"""A connection with sixty quiet topics: a book that breaks, and what is added or removed, wait for none."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "streams"))
from connection_rig import SubscriptionsRig, levels_around
from virtual_loop import run

from collector.book import WholeBooks
from collector.clock import Clock
from collector.errors import FrameError
from collector.events.messages import Ack, Snapshot
from collector.exchanges.exchange import Rate
from collector.exchanges.registry import EXCHANGES
from collector.live.connection import TICK_S
from collector.live.requests import Requests
from collector.network.pacing import Pacer, requests_at_most
from collector.streams.book_stream import BookStream

QUIET = 60
ROUND_TRIP_S = 0.1
TURN_S = 1.25 / 4  # Kraken's pace: four requests in a second and a quarter
PATIENCE_S = 200.0
SOON_S = 2.0 + 2 * ROUND_TRIP_S


class Rig(SubscriptionsRig):
    """Kraken's books behind a paced socket whose answers take their time; the market itself is at rest."""

    def __init__(self) -> None:
        super().__init__(EXCHANGES["kraken"])
        loop = asyncio.get_running_loop()
        self.loop_s = loop.time
        self.context = type(self.context)(
            self.context.address,
            self.protocol,
            Clock(lambda: 1_700_000_000_000_000_000, lambda: int(loop.time() * 1e9)),
            self.outlet.events,
            loop.time,
            self.liveness,
        )
        self._pacer = Pacer(requests_at_most(Rate(5, 1.0), 20.0), loop.time)
        self.requests = Requests(self._paced, timeout_s=30.0)
        self.snapshots = None  # type: ignore[assignment]
        self.at: dict[str, float] = {}
        self.books = [self.unnumbered(f"M{number}/USD", WholeBooks()) for number in range(QUIET)]
        self.subscriptions = self.collect(*self.books)

    async def _paced(self, payload: Mapping[str, Any]) -> None:
        await asyncio.sleep(self._pacer.reserve_s())
        self.sent.append(json.loads(json.dumps(payload)))
        asyncio.get_running_loop().call_later(ROUND_TRIP_S, self._answered, payload)

    def _answered(self, payload: Mapping[str, Any]) -> None:
        request_id, params = str(payload["req_id"] // 100), payload["params"]
        for market in params["symbol"]:
            topic = f"{params['channel']}.{params['depth']}:{market}"
            self.requests.answered(Ack(request_id, True, "", topic))
            if payload["method"] == "subscribe":
                self.say(Snapshot(topic, None, 1, *levels_around(self.at.get(topic, 1000.0))))

    def say(self, message: Snapshot) -> None:
        self._said = message
        self.router.take("", self.context.clock.now_ns())

    async def serve(self) -> None:
        await self.subscriptions.begin(lambda: None)
        while True:
            self.context.wake.clear()
            await self.subscriptions.go_on()
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self.context.wake.wait()

    async def seconds_until(self, condition: Callable[[], object]) -> float:
        began_s = self.loop_s()
        while not condition():
            assert self.loop_s() - began_s < PATIENCE_S
            await asyncio.sleep(0.01)
        return self.loop_s() - began_s

    def asked_about(self, method: str, book: BookStream) -> int:
        market = book.key.symbol
        return sum(one["method"] == method and one["params"]["symbol"] == [market] for one in self.sent)


def scene(work: Callable[[Rig], Awaitable[None]]) -> None:
    async def whole() -> None:
        rig = Rig()
        serving = asyncio.create_task(rig.serve())
        await rig.seconds_until(lambda: all(book.verified for book in rig.books))
        # All are silent for long enough to be asked about, and the first is.
        await rig.seconds_until(lambda: any(rig.asked_about("unsubscribe", book) for book in rig.books))
        try:
            await work(rig)
        finally:
            serving.cancel()
            rig.subscriptions.lose_all("stop", "")
            with suppress(asyncio.CancelledError):
                await serving

    run(whole())


def test_a_book_that_breaks_does_not_wait_for_the_questions_about_the_quiet_ones() -> None:
    async def work(rig: Rig) -> None:
        for number in (50, 51, 52):
            broken = rig.books[number]
            rig._said = FrameError("malformed", "cut off")
            rig.router.take(f'{{"symbol":"{broken.key.symbol}"', rig.context.clock.now_ns())
            assert not broken.verified
            assert await rig.seconds_until(lambda: broken.verified) <= SOON_S  # noqa: B023
        assert rig.outlet.causes() == ["malformed"] * 3

    scene(work)


def test_what_is_added_and_what_is_removed_does_not_wait_either() -> None:
    async def work(rig: Rig) -> None:
        added, removed = rig.unnumbered("NEW/USD"), rig.books[55]
        rig.subscriptions.add(added)
        rig.subscriptions.remove(removed)
        assert await rig.seconds_until(lambda: added.verified) <= SOON_S
        assert await rig.seconds_until(lambda: rig.subscriptions.tells_apart(removed)) <= SOON_S
        assert rig.asked_about("unsubscribe", removed) == 1

    scene(work)


def test_quiet_markets_are_asked_about_one_after_the_other_and_all_of_them() -> None:
    async def work(rig: Rig) -> None:
        assert await rig.seconds_until(
            lambda: all(rig.asked_about("subscribe", one) for one in rig.books)
        ) <= (QUIET * 2 * (TURN_S + ROUND_TRIP_S) + 2.0)
        assert rig.outlet.causes() == []
        left = [one["params"]["symbol"][0] for one in rig.sent if one["method"] == "unsubscribe"]
        assert left[:QUIET] == [one.key.symbol for one in rig.books]

    scene(work)


def test_a_topic_removed_in_the_middle_of_a_question_is_left() -> None:
    async def work(rig: Rig) -> None:
        asked = next(book for book in rig.books if rig.asked_about("unsubscribe", book))
        rig.subscriptions.remove(asked)
        await rig.seconds_until(lambda: rig.subscriptions.tells_apart(asked))
        last = [one["method"] for one in rig.sent if one["params"]["symbol"] == [asked.key.symbol]][-1]
        assert last == "unsubscribe"

    scene(work)
