"""Hundreds of books of one exchange share one budget: none is asked for twice, and what broke goes first."""

import asyncio
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "streams"))
from market_by_rest import LIMIT, REQUEST_S, Rig, Scene
from virtual_loop import run

from collector.network.allowance import WEIGHT_SHARE

SOON_S = 2.0 + REQUEST_S


def check(rig: Rig, breaks: int = 0) -> None:
    """The line held each book once at most, and only the breaks that a test made are holes."""
    rest, allowed = rig.rest, LIMIT * WEIGHT_SHARE * 1.5  # half a minute's worth was in the bucket
    print(
        f"{len(rig.all)} books, {asyncio.get_running_loop().time():.0f} s: {len(rest.went_out)} requests, "
        f"at most {rest.most_a_minute():.0f} of {LIMIT:.0f} weight a minute, {rest.most_waiting} in the line"
    )
    assert rest.twice == []
    assert rest.most_waiting <= len(rig.all)
    assert rest.most_a_minute() <= allowed < LIMIT
    assert rig.outlet.causes() == ["sequence_gap"] * breaks


@pytest.mark.parametrize("books", [150, pytest.param(400, marks=pytest.mark.proof)])
def test_hundreds_of_books_start_at_once_and_one_that_breaks_meanwhile_goes_first(books: int) -> None:
    async def scene() -> None:
        async with Scene(books, mean_s=20.0, tick_s=1.0) as rig:
            waits = []
            for _ in range(5):
                await asyncio.sleep(books / 10)
                waits.append(await rig.mended(next(book for book in rig.all if book.verified)))
            assert max(waits) <= SOON_S
            assert not all(book.verified for book in rig.all)
            assert await rig.all_verified() < books  # a book a second, and thirty at once
            await asyncio.sleep(5.0)
            assert len(rig.rest.went_out) <= books + 2 * 5 + 40
            check(rig, breaks=5)

    run(scene())


@pytest.mark.parametrize("books", [20, pytest.param(60, marks=pytest.mark.proof)])
def test_quiet_books_leave_the_budget_alone_for_an_hour(books: int) -> None:
    async def scene() -> None:
        async with Scene(books, mean_s=15.0, tick_s=1.0) as rig:
            await rig.all_verified()
            waits = []
            for _ in range(6):
                await asyncio.sleep(600.0)
                waits.append(await rig.mended(rig.all[7]))
            assert max(waits) <= SOON_S
            assert len(rig.rest.went_out) < books * 10  # an hour has room for 3600
            check(rig, breaks=6)

    run(scene())


def test_a_refusal_in_the_middle_is_waited_out_and_nothing_piles_up() -> None:
    async def scene() -> None:
        async with Scene(100, mean_s=15.0) as rig:
            rig.rest.refuses = 20.0, 25.0
            await asyncio.sleep(21.0)
            assert rig.rest.line.budget.closed_for_s
            refused = len(rig.rest.went_out)
            await asyncio.sleep(23.0)
            assert len(rig.rest.went_out) == refused
            await rig.all_verified()
            assert await rig.mended(rig.all[0]) <= SOON_S
            check(rig, breaks=1)

    run(scene())


@pytest.mark.parametrize("books", [10, pytest.param(30, marks=pytest.mark.proof)])
def test_a_ban_of_hours_makes_no_hole_of_a_quiet_market_and_no_request(books: int) -> None:
    async def scene() -> None:
        async with Scene(books, mean_s=45.0, tick_s=5.0) as rig:
            await rig.all_verified()
            rig.rest.refuses = 60.0, 3 * 3600.0
            while not rig.rest.line.budget.closed_for_s:  # noqa: ASYNC110  (the clock jumps)
                await asyncio.sleep(1.0)
            before = len(rig.rest.went_out)
            await asyncio.sleep(10_000.0)
            assert len(rig.rest.went_out) == before
            assert all(book.verified for book in rig.all)
            check(rig)
            await asyncio.sleep(1000.0)
            assert len(rig.rest.went_out) > before
            assert await rig.mended(rig.all[0]) <= SOON_S
            check(rig, breaks=1)

    run(scene())
