"""The requests that share one budget: who goes first, who waits, and who has left."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "live"))
from virtual_loop import run

from collector.exchanges.exchange import Rate, RequestLimits
from collector.network.allowance import WEIGHT_SHARE, Need
from collector.network.budget import Budget
from collector.network.request_line import RequestLine, Turn

A_SECOND = 50.0  # what the budget refills: half of 6000 a minute
REQUEST_S = 0.1


class Rig:
    def __init__(self) -> None:
        self.loop_s = asyncio.get_running_loop().time
        self.line = RequestLine(Budget(RequestLimits((Rate(6000, 60.0),)), self.loop_s))
        self.sent: list[tuple[str, float]] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.most = 0
        self._now = 0

    def ask(self, book: str, need: Need, weight: float = 50.0) -> Turn:
        turn = Turn(book, need, lambda: self.sent.append((book, self.loop_s())))
        self.tasks.append(asyncio.create_task(self._go(turn, weight)))
        return turn

    async def _go(self, turn: Turn, weight: float) -> None:
        async with self.line.go(turn, weight):
            self._now += 1
            self.most = max(self.most, self._now)
            try:
                await asyncio.sleep(REQUEST_S)
            finally:
                self._now -= 1

    def empty(self) -> None:
        """Spend what is in the bucket."""
        self.leave(0.0)

    def leave(self, weight: float) -> None:
        """Leave so much in the bucket."""
        ((bucket, _),) = self.line.budget._allowance._buckets
        bucket.refill(self.loop_s(), WEIGHT_SHARE)
        bucket.left = weight

    @property
    def order(self) -> list[str]:
        return [book for book, _ in self.sent]

    async def all_done(self) -> None:
        await asyncio.gather(*self.tasks, return_exceptions=True)
        assert len(self.line) == 0


def scene(work: Callable[[Rig], Awaitable[None]]) -> None:
    async def whole() -> None:
        rig = Rig()
        await work(rig)
        await rig.all_done()

    run(whole())


def test_what_is_needed_most_goes_first_and_equals_in_order() -> None:
    async def work(rig: Rig) -> None:
        rig.empty()
        for number, need in enumerate((Need.WITNESS, Need.QUESTION, Need.EDGE, Need.FIRST, Need.BROKEN) * 2):
            rig.ask(f"{need.name} {number // 5}", need)
        await rig.all_done()
        names = ("BROKEN", "FIRST", "EDGE", "QUESTION", "WITNESS")
        assert rig.order == [f"{name} {number}" for name in names for number in (0, 1)]

    scene(work)


@pytest.mark.parametrize("need", [Need.EDGE, Need.QUESTION, Need.WITNESS], ids=lambda need: need.name)
def test_what_can_wait_leaves_as_much_as_a_broken_book_needs(need: Need) -> None:
    async def work(rig: Rig) -> None:
        rig.empty()
        rig.ask("can wait", need)
        await asyncio.sleep(1.5)
        assert rig.sent == []
        rig.ask("broken", Need.BROKEN)
        await asyncio.sleep(0.01)
        assert rig.order == ["broken"]
        await rig.all_done()
        (_, began_s), (_, late_s) = rig.sent
        assert late_s - began_s >= 1.4  # 25 were left, 100 are wanted

    scene(work)


def test_a_book_that_breaks_finds_room_whatever_is_under_way() -> None:
    async def work(rig: Rig) -> None:
        for number in range(9):
            rig.ask(f"first {number}", Need.FIRST)
            rig.ask(f"quiet {number}", Need.QUESTION)
        await asyncio.sleep(0.05)
        assert rig.most == 3
        rig.ask("broken", Need.BROKEN)
        await asyncio.sleep(0.0)
        await asyncio.sleep(0.0)
        assert rig.order[-1] == "broken"
        await rig.all_done()
        assert rig.most == 4

    scene(work)


def test_a_book_has_one_request_under_way_at_a_time() -> None:
    async def work(rig: Rig) -> None:
        rig.ask("book", Need.FIRST)
        rig.ask("book", Need.BROKEN)
        assert not rig.line.holds("book")  # neither task has run yet
        await asyncio.sleep(0.05)
        assert rig.line.holds("book")
        assert not rig.line.holds("other")
        assert (rig.order, len(rig.line)) == (["book"], 2)
        await rig.all_done()
        assert rig.most == 1

    scene(work)


def test_what_is_cancelled_leaves_and_lets_the_next_one_go() -> None:
    async def work(rig: Rig) -> None:
        rig.ask("under way", Need.QUESTION)
        rig.ask("waits", Need.QUESTION)
        rig.ask("next", Need.QUESTION)
        await asyncio.sleep(0.01)
        rig.tasks[1].cancel()
        rig.tasks[0].cancel()
        await asyncio.sleep(0.01)
        assert (rig.order, len(rig.line)) == (["under way", "next"], 1)

    scene(work)


def test_a_closed_budget_lets_nobody_go_before_its_time() -> None:
    async def work(rig: Rig) -> None:
        rig.line.budget.refused(25.0, "http_429")
        rig.ask("broken", Need.BROKEN)
        assert not rig.line.has_time_for(1.0)
        await rig.all_done()
        ((_, at_s),) = rig.sent
        assert 25.0 <= at_s < 28.0

    scene(work)


def test_there_is_time_for_what_nobody_needs_only_when_nobody_waits() -> None:
    async def work(rig: Rig) -> None:
        assert rig.line.has_time_for(50.0)
        rig.leave(99.0)
        assert not rig.line.has_time_for(50.0)
        rig.leave(1000.0)
        for number in range(5):
            rig.ask(f"{number}", Need.BROKEN)
        await asyncio.sleep(0.01)
        assert not rig.line.has_time_for(1.0)

    scene(work)
