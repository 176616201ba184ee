"""A request to REST that waits for its turn counts from when it goes out, not from when it was wanted."""

import asyncio
import sys
from pathlib import Path

import pytest

from collector.events.messages import Delta, Snapshot
from collector.live import resync
from collector.network.request_line import Turn

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "streams"))
from connection_rig import FakeSnapshots, SubscriptionsRig, levels_around

TOPIC = "btcusdt@depth"
IN_LINE_S = 31.0  # longer than a snapshot may take, and than a stream may be silent


class HeldSnapshots(FakeSnapshots):
    """REST whose requests wait for their turn until a test lets them go."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go = asyncio.Event()
        self.waiting: list[Turn] = []

    async def fetch(self, market_id: str, kind: str, depth: int, topic: str, turn: Turn) -> Snapshot:
        self.waiting.append(turn)
        await self.may_go.wait()
        return await super().fetch(market_id, kind, depth, topic, turn)


class Rig(SubscriptionsRig):
    """One book, opened at 100, whose next request is held."""

    def __init__(self) -> None:
        super().__init__()
        self.snapshots = HeldSnapshots()
        self.book = self.bridged()
        self.subscriptions = self.collect(self.book)

    async def open(self) -> None:
        self.snapshots.answers = [Snapshot(TOPIC, 100, 1, *levels_around(1000.0))]
        self.snapshots.may_go.set()
        await self.subscriptions.begin(lambda: None)
        await self.subscriptions.go_on()
        await self.settled()
        assert self.book.verified
        self.snapshots.may_go.clear()
        self.snapshots.waiting.clear()

    def heard(self, sequence: int, *removed: float) -> None:
        """Hear an update that takes these bids away."""
        bids = [(price, 0.0) for price in removed] or [(999.0, float(sequence))]
        self._said = Delta(TOPIC, sequence, 1, bids, [], first_sequence=sequence)
        self.router.take("", self.context.clock.now_ns())

    async def look(self, answer: Snapshot) -> int:
        """Ask for what is due; return how many requests there were so far."""
        self.snapshots.answers = [answer]
        await self.subscriptions.go_on()
        await asyncio.sleep(0)
        return len(self.snapshots.waiting)

    async def go_out(self) -> None:
        self.snapshots.may_go.set()
        await self.settled()


def test_a_book_that_stays_near_its_edge_is_fetched_again_a_second_after_the_last_request_went_out() -> None:
    async def scene() -> None:
        rig = Rig()
        await rig.open()
        rig.heard(101, *(1000.0 - step for step in range(1, 18)))
        rig.now_s += 2.0
        bids, asks = levels_around(983.0)[0], levels_around(1000.0)[1]
        assert await rig.look(Snapshot(TOPIC, 101, 1, bids, asks)) == 1
        rig.now_s += IN_LINE_S
        await rig.go_out()
        assert rig.resyncs._topics[TOPIC].asked_s == rig.now_s
        assert not rig.book.near_the_edge
        rig.heard(102, *(983.0 - step for step in range(1, 18)))
        assert rig.book.near_the_edge
        answer = Snapshot(TOPIC, 102, 1, levels_around(966.0)[0], asks)
        assert await rig.look(answer) == 1
        rig.now_s += 1.5
        assert await rig.look(answer) == 2
        await rig.settled()

    asyncio.run(scene())


def test_a_stream_is_silent_since_its_last_message_before_the_question_went_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It spoke while the question waited, and then no more, though its market moved on."""
    monkeypatch.setattr(resync, "PATIENCE_S", 0.0)

    async def scene() -> None:
        rig = Rig()
        await rig.open()
        rig.now_s += 11.0
        assert await rig.look(Snapshot(TOPIC, 105, 1, *levels_around(1000.0))) == 1
        rig.now_s += IN_LINE_S
        rig.heard(101)
        (request,) = rig.subscriptions._book_requests._requests.values()
        await rig.go_out()
        assert request.silent_since_ns == rig.book.last_update_at_ns
        assert rig.outlet.causes() == ["stale"]
        assert not rig.book.verified

    asyncio.run(scene())
