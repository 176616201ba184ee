"""The request budget: no limit is ever exceeded, what is needed most goes first, nobody is last for ever."""

import asyncio
import gc
import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "live"))
from virtual_loop import run

from collector.exchanges.addresses import Endpoints
from collector.exchanges.exchange import Rate, RequestLimits, Told, Used
from collector.exchanges.registry import EXCHANGES
from collector.network.allowance import (
    BUCKET_S,
    GROWS_AFTER_S,
    LEAST_SHARE,
    MOST_UNDER_WAY,
    PATIENCE_S,
    WEIGHT_SHARE,
    Need,
)
from collector.network.budget import LONG_WAIT_S, QUIET_S, Budget, BudgetClosed, BudgetNews, LongWait
from collector.network.budgets import Budgets

SPOT = RequestLimits((Rate(6000, 60.0),))
A_SECOND = 6000 * WEIGHT_SHARE / 60.0
ROUNDING = 1e-6


def empty(budget: Budget) -> None:
    for bucket, _ in budget._allowance._buckets:
        bucket.left = 0.0


@dataclass
class Ask:
    """A request as a test wants it, and what became of it."""

    at_s: float
    weight: float
    need: Need
    takes_s: float = 0.1
    arrives: float = 0.0  # between its begin and its end, as a part of that time
    patience_s: float = 1e9  # then it is cancelled
    began_s: float | None = None
    ended_s: float = 0.0  # answered, or broken off

    @property
    def arrived_s(self) -> float:
        assert self.began_s is not None
        return self.began_s + self.arrives * (self.ended_s - self.began_s)


@dataclass
class World:
    """Those who ask, on a clock that jumps."""

    limits: RequestLimits
    asks: list[Ask]
    refusals: list[tuple[float, float]] = field(default_factory=list)  # when, and for how long
    reports: list[tuple[float, float]] = field(default_factory=list)  # when, and how much everybody used
    closed: list[tuple[float, float]] = field(default_factory=list)  # from when to when

    def run(self) -> "World":
        run(self._run())
        return self

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        budget = Budget(self.limits, loop.time)

        async def ask(one: Ask) -> None:
            await asyncio.sleep(one.at_s)
            task = asyncio.create_task(self._one(budget, one))
            await asyncio.wait([task], timeout=one.patience_s)
            task.cancel()
            await asyncio.wait([task])

        async def tell(at_s: float, what: Callable[[], object]) -> None:
            await asyncio.sleep(at_s)
            what()

        async def refuse(at_s: float, for_s: float) -> None:
            await asyncio.sleep(at_s)
            self.closed.append((loop.time(), loop.time() + budget.refused(for_s, "http_429")))

        await asyncio.gather(
            *map(ask, self.asks),
            *(refuse(*one) for one in self.refusals),
            *(tell(at_s, partial(budget.told, Told({60.0: Used(u, 7.0)}))) for at_s, u in self.reports),
        )
        assert (budget.now().waiting, budget._allowance._under_way) == (0, 0)

    async def _one(self, budget: Budget, one: Ask) -> None:
        async with budget.turn(one.weight, one.need):
            one.began_s = asyncio.get_running_loop().time()
            try:
                await asyncio.sleep(one.takes_s)
            finally:
                one.ended_s = asyncio.get_running_loop().time()

    @property
    def went_out(self) -> list[Ask]:
        return sorted((one for one in self.asks if one.began_s is not None), key=lambda one: one.arrived_s)

    def most_within(self, span_s: float, weigh: Callable[[Ask], float]) -> float:
        """Return the most that arrived at the exchange within any such span."""
        went_out, first, now, most = self.went_out, 0, 0.0, 0.0
        for one in went_out:
            now += weigh(one)
            while went_out[first].arrived_s <= one.arrived_s - span_s + ROUNDING:
                now -= weigh(went_out[first])
                first += 1
            most = max(most, now)
        return most


rates = st.builds(Rate, st.integers(4, 60), st.sampled_from([0.5, 1.0, 5.0, 60.0]))
limits = st.builds(
    RequestLimits,
    st.lists(rates, min_size=1, max_size=3).map(tuple),
    st.lists(rates, max_size=2).map(tuple),
)
asks = st.builds(
    Ask,
    st.floats(0.0, 30.0),
    st.integers(1, 4).map(float),
    st.sampled_from(Need),
    st.floats(0.0, 3.0),
    st.floats(0.0, 1.0),
    st.one_of(st.just(1e9), st.floats(0.0, 10.0)),
)


@settings(max_examples=60, deadline=None)
@given(
    limits,
    st.lists(asks, max_size=40),
    st.lists(st.tuples(st.floats(0.0, 40.0), st.floats(1.0, 20.0)), max_size=3),
    st.lists(st.tuples(st.floats(0.0, 40.0), st.floats(0.0, 60.0)), max_size=3),
)
@example(
    RequestLimits((Rate(4, 1.0),)),
    [Ask(0.0, 1.0, Need.BROKEN, 3.0, arrives) for arrives in (1.0, 1.0, 0.0, 0.0)],
    [],
    [],
)
def test_no_published_limit_is_exceeded_in_any_span_whoever_asks(
    limits: RequestLimits,
    asks: list[Ask],
    refusals: list[tuple[float, float]],
    reports: list[tuple[float, float]],
) -> None:
    """Wherever between its begin and its answer the exchange counts a request, and whoever is cancelled."""
    world = World(limits, asks, refusals, reports).run()
    for rate in limits.weight:
        assert world.most_within(rate.span_s, lambda one: one.weight) <= rate.most
    for rate in limits.requests:
        assert world.most_within(rate.span_s, lambda _one: 1.0) <= rate.most
    for from_s, to_s in world.closed:
        assert not [one for one in world.went_out if from_s < (one.began_s or 0.0) < to_s]
    for one in world.asks:
        assert one.began_s is not None or one.patience_s < 1e9


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_back_fill_beside_all_others_stay_within_each_exchanges_limits(name: str) -> None:
    exchange = EXCHANGES[name]
    for kind, limits in exchange.rest_limits.items():
        assert exchange.history is not None
        past = exchange.history.trades[kind]
        span_s = max(rate.span_s for rate in limits.weight)
        a_second = min(rate.most / rate.span_s for rate in limits.weight)
        count = int(3 * span_s * a_second / past.weight) if span_s > 5 else 200
        books = [Ask(number % 7 + 1.0, past.weight, Need.BROKEN, 0.3, number % 2) for number in range(20)]
        fill = [Ask(0.0, past.weight, Need.BACKFILL, 0.05, number % 2) for number in range(min(count, 300))]
        world = World(limits, books + fill).run()
        assert len(world.went_out) == len(books + fill)
        for rate in limits.weight:
            assert world.most_within(rate.span_s, lambda one: one.weight) <= rate.most
        assert max(one.began_s or 0.0 for one in books) < min(one.began_s or 0.0 for one in fill[-20:])


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_book_that_breaks_waits_for_one_request_of_back_fill_at_most(name: str) -> None:
    exchange, takes_s = EXCHANGES[name], 0.01
    for kind, limits in exchange.rest_limits.items():
        assert exchange.history is not None
        past = exchange.history.trades[kind]
        book = 1.0 if exchange.rest is None else exchange.rest.request("BTCUSDT", kind, 1000).weight

        async def scene(limits: RequestLimits, fill: float, book: float) -> list[float]:
            now_s = asyncio.get_running_loop().time
            budget, waits = Budget(limits, now_s), []

            async def back_fill() -> None:
                while True:
                    async with budget.turn(fill, Need.BACKFILL):
                        await asyncio.sleep(takes_s)

            empty(budget)
            tasks = [asyncio.create_task(back_fill()) for _ in range(5)]
            for number in range(5):
                await asyncio.sleep(6.0 + number * 0.37)
                asked_s = now_s()
                async with budget.turn(book, Need.BROKEN):
                    waits.append(now_s() - asked_s)
            for task in tasks:
                task.cancel()
            return waits

        first, *others = run(scene(limits, past.weight, book))
        a_second = min(rate.most * WEIGHT_SHARE / rate.span_s for rate in limits.weight)
        assert first <= takes_s + (past.weight + book) / a_second  # what a book weighs was not known yet
        spaced_s = max(rate.span_s / rate.most for rate in limits.weight)
        one_s = takes_s + max(past.weight / a_second, spaced_s)
        assert max(others) <= one_s + ROUNDING
        if a_second * BUCKET_S > past.weight + book and spaced_s < takes_s:
            assert max(others) == 0.0  # as much is always left


@pytest.mark.parametrize("busy", [Need.BROKEN, Need.FIRST])
def test_nobody_waits_longer_than_documented_whatever_is_needed_more(busy: Need) -> None:
    async def scene() -> dict[Need, list[float]]:
        now_s = asyncio.get_running_loop().time
        budget, began = Budget(SPOT, now_s), defaultdict[Need, list[float]](list)

        async def again_and_again(need: Need) -> None:
            while True:
                async with budget.turn(50.0, need):
                    began[need].append(now_s())
                    await asyncio.sleep(0.5)

        needs = [*[busy] * 40, Need.WITNESS, Need.BACKFILL]
        tasks = [asyncio.create_task(again_and_again(need)) for need in needs]
        await asyncio.sleep(900.0)
        for task in tasks:
            task.cancel()
        return began

    began = run(scene())
    each_s = (2.0 if busy is Need.BROKEN else 1.0) * PATIENCE_S
    patient = sorted(began[Need.WITNESS] + began[Need.BACKFILL])
    assert all(later - one <= each_s + 3.0 for one, later in pairwise(patient))
    for need in (Need.WITNESS, Need.BACKFILL):  # the one that waited longest goes first
        assert len(began[need]) >= 900.0 / (2 * each_s) - 2
    assert len(began[busy]) > 800  # and all others get what there is


def test_who_is_cancelled_took_nothing() -> None:
    async def scene(cancelled: int) -> list[float]:
        now_s = asyncio.get_running_loop().time
        budget, began = Budget(SPOT, now_s), list[float]()

        async def one() -> None:
            async with budget.turn(50.0, Need.FIRST):
                began.append(now_s())

        async def given_up() -> None:
            async with budget.turn(50.0, Need.BROKEN):
                raise AssertionError("it has its turn")

        for _ in range(30):  # what the bucket holds
            await one()
        lost = [asyncio.create_task(given_up()) for _ in range(cancelled)]
        wanted = [asyncio.create_task(one()) for _ in range(3)]
        await asyncio.sleep(0.999)
        for task in lost:
            task.cancel()
        await asyncio.wait(lost + wanted)
        assert len(budget._queue) == budget._allowance._under_way == 0
        return began

    assert run(scene(5)) == run(scene(1)) == pytest.approx([0.0] * 30 + [1.0, 2.0, 3.0])


def test_a_turn_that_was_broken_off_under_way_still_counts() -> None:
    async def scene() -> float:
        now_s = asyncio.get_running_loop().time
        budget = Budget(RequestLimits((Rate(1, 10.0),)), now_s)

        async def hangs() -> None:
            async with budget.turn(1.0, Need.FIRST):
                await asyncio.sleep(1e6)

        task = asyncio.create_task(hangs())
        await asyncio.sleep(2.0)
        task.cancel()
        async with budget.turn(1.0, Need.BROKEN):
            return now_s()

    assert run(scene()) == pytest.approx(12.0)  # ten seconds after its end


class Hand:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def waits_s(budget: Budget, weight: float) -> float:
    return budget._allowance.free_in_s(weight, 1, budget._monotonic_s())


def spend(budget: Budget, weight: float) -> None:
    for bucket, _ in budget._allowance._buckets:
        bucket.take(weight)


def test_a_full_bucket_is_spent_at_once_and_then_refills_steadily() -> None:
    hand = Hand()
    budget = Budget(SPOT, hand)
    for _ in range(30):  # a quarter of a minute's limit
        assert waits_s(budget, 50.0) == 0.0
        spend(budget, 50.0)
    assert waits_s(budget, 50.0) == 50.0 / A_SECOND
    hand.now_s += 1.0
    assert waits_s(budget, 50.0) == 0.0


def test_what_the_exchange_reports_counts_more_than_our_own_count() -> None:
    hand = Hand()
    budget = Budget(SPOT, hand)
    budget.told(Told({60.0: Used(5900.0, 40.0), 3600.0: Used(9e9, 9e9)}))  # of a span that has no limit
    assert waits_s(budget, 100.0) == pytest.approx(1.0)
    assert waits_s(budget, 101.0) == 40.0  # all but 100 of this minute is used, by whomever
    hand.now_s += 40.0
    assert waits_s(budget, 101.0) == 0.0


def test_when_to_ask_again_is_the_exchanges_word_also_where_all_is_used() -> None:
    hand = Hand()
    budget = Budget(SPOT, hand)
    budget.told(Told({60.0: Used(6000.0, 40.0)}))
    budget.refused(2.0, "http_418")
    assert waits_s(budget, 1.0) == 2.0
    hand.now_s += 2.0
    assert waits_s(budget, 1.0) == 0.0


def test_an_answer_may_ask_to_wait() -> None:
    hand = Hand()
    budget = Budget(SPOT, hand)
    budget.told(Told(wait_s=3.0))
    assert waits_s(budget, 1.0) == budget.closed_for_s == 3.0


def test_a_refusal_closes_the_door_for_as_long_as_asked() -> None:
    hand = Hand()
    budget = Budget(SPOT, hand)
    assert budget.refused(7.0, "http_429") == 7.0
    assert waits_s(budget, 1.0) == budget.closed_for_s == 7.0
    assert budget.refused(None, "http_403") == 60.0
    hand.now_s += 61.0
    assert (waits_s(budget, 1.0), budget.closed_for_s) == (0.0, 0.0)


def test_requests_refused_together_are_one_refusal() -> None:
    hand = Hand()
    budget, other = Budget(SPOT, hand), Budget(SPOT, hand)
    for _ in range(4):
        budget.refused(7.0, "http_429")
    other.refused(7.0, "http_429")
    hand.now_s += 8.0
    assert waits_s(budget, 700.0) == waits_s(other, 700.0) > 0.0


def test_each_refusal_halves_what_is_asked_for_and_a_long_peace_gives_it_back() -> None:
    hand = Hand()
    budget = Budget(SPOT, hand)

    def a_second() -> float:
        waits_s(budget, 1.0)
        empty(budget)
        return 1.0 / waits_s(budget, 1.0)

    whole = a_second()
    for refusals, share in ((1, 2.0), (2, 4.0), (3, 8.0), (4, WEIGHT_SHARE / LEAST_SHARE)):
        budget.refused(1.0, "http_429")
        hand.now_s += 2.0
        assert a_second() == pytest.approx(whole / share), refusals
    for share in (4.0, 2.0, 1.0, 1.0):
        hand.now_s += GROWS_AFTER_S + 1.0
        assert a_second() == pytest.approx(whole / share)


def test_the_share_in_use_is_told_without_a_change() -> None:
    hand = Hand()
    budget = Budget(SPOT, hand)
    full = 6000.0 * WEIGHT_SHARE / 2.0
    assert budget.used_share == 0.0
    spend(budget, full / 4)
    assert budget.used_share == budget.used_share == 0.25
    hand.now_s += 7.5  # an eighth of a minute refills a quarter of the bucket
    assert budget.used_share == 0.0
    spend(budget, 2 * full)
    assert budget.used_share == 1.0
    hand.now_s += 1000.0
    assert waits_s(budget, 0.0) == budget.used_share == 0.0
    budget.refused(10.0, "http_429")
    assert budget.used_share == 1.0


def test_a_refusal_is_told_once_with_its_time_and_again_when_it_lasts_longer() -> None:
    hand, news = Hand(), list[BudgetNews]()
    budget = Budget(SPOT, hand)
    end = budget.listen(news.append)
    budget.refused(30.0, "http_429")
    hand.now_s += 0.5
    budget.refused(29.0, "http_429")  # was under way
    assert news == [BudgetClosed(30.0, "http_429")]
    budget.refused(120.0, "http_418")
    assert news[1:] == [BudgetClosed(120.0, "http_418")]
    assert (budget.now().closed_for_s, budget.now().cause) == (120.0, "http_418")
    end()
    hand.now_s += 1000.0
    budget.refused(30.0, "http_429")
    assert len(news) == 2


def test_waits_are_counted_and_a_long_one_is_told_once() -> None:
    async def scene() -> None:
        budget, news = Budget(SPOT, asyncio.get_running_loop().time), list[BudgetNews]()
        budget.listen(news.append)

        async def ask() -> None:
            async with budget.turn(50.0, Need.FIRST):
                pass

        await asyncio.gather(*(ask() for _ in range(30)))
        assert (budget.now().waits, news) == (0, [])
        await asyncio.gather(*(ask() for _ in range(60)))
        state = budget.now()
        assert state.waits == 60
        assert state.waited_s == pytest.approx(sum(range(1, 61)))
        assert news == [LongWait(Need.FIRST, pytest.approx(LONG_WAIT_S), 50)]
        await asyncio.sleep(QUIET_S - 100.0)
        await asyncio.gather(*(ask() for _ in range(60)))
        assert len(news) == 1
        await asyncio.sleep(QUIET_S)
        await asyncio.gather(*(ask() for _ in range(60)))
        assert len(news) == 2

    run(scene())


def test_what_a_refusal_held_up_is_not_told_as_a_long_wait() -> None:
    async def scene() -> None:
        budget, news = Budget(SPOT, asyncio.get_running_loop().time), list[BudgetNews]()
        budget.refused(100.0, "http_418")
        budget.listen(news.append)
        async with budget.turn(50.0, Need.FIRST):
            assert budget.now().waited_s == pytest.approx(100.0, abs=3.0)
        assert news == []

    run(scene())


def test_loops_and_threads_share_it() -> None:
    """Two loops and a thread without one ask at once; nothing is lost, and the window is kept."""
    limits, lock, began = RequestLimits((Rate(40, 0.2),)), threading.Lock(), list[float]()
    budget = Budget(limits)

    def note() -> None:
        with lock:
            began.append(budget._monotonic_s())

    async def ask(need: Need) -> None:
        async with budget.turn(1.0, need):
            note()

    async def many(need: Need) -> None:
        await asyncio.gather(*(ask(need) for _ in range(20)))

    def plainly() -> None:
        for _ in range(20):
            with budget.turn_here(1.0, Need.MARKETS):
                note()

    empty(budget)
    threads = [
        threading.Thread(target=lambda: asyncio.run(many(Need.BROKEN))),
        threading.Thread(target=lambda: asyncio.run(many(Need.BACKFILL))),
        threading.Thread(target=plainly),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
    assert not any(thread.is_alive() for thread in threads)
    assert len(began) == 60
    assert all(
        sum(first <= other < first + 0.2 for other in began) <= 40 + len(threads) for first in began
    )  # noted a moment after
    assert (budget.now().waiting, budget._allowance._under_way) == (0, 0)


def test_a_loop_that_ended_holds_nobody_up() -> None:
    budget = Budget(RequestLimits((Rate(1, 0.01),)))
    loop = asyncio.new_event_loop()

    async def waits() -> None:
        with budget.turn_here(1.0, Need.FIRST):
            task = asyncio.ensure_future(budget.turn(1.0, Need.BROKEN).__aenter__())
            await asyncio.sleep(0.0)
            lost.append(task)

    lost: list[asyncio.Future[None]] = []
    loop.run_until_complete(waits())
    loop.close()  # without an end of its tasks

    async def asks() -> None:
        async with asyncio.timeout(10.0), budget.turn(1.0, Need.BACKFILL):
            pass

    asyncio.run(asks())
    for task in lost:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    lost.clear()


def test_one_address_has_one_budget_while_somebody_keeps_it() -> None:
    budgets, own, ours = Budgets(), Endpoints(), Endpoints(rest="http://127.0.0.1:1")
    bybit = budgets.of("bybit", "live", own, ("linear", "spot"))
    assert bybit["linear"] is bybit["spot"] is budgets.of("bybit", "live", own, ("spot",))["spot"]
    assert bybit["spot"] is not budgets.of("bybit", "testnet", own, ("spot",))["spot"]
    binance = budgets.of("binance", "live", ours, ("linear", "spot"))
    assert binance["linear"] is not binance["spot"]
    assert binance["spot"] is budgets.of("binance", "live", ours, ("spot",))["spot"]
    assert budgets.of("gate", "live", own, ("spot",)) == {}
    bybit["spot"].refused(1e6, "http_418")
    del bybit
    gc.collect()
    assert budgets.of("bybit", "live", own, ("spot",))["spot"].closed_for_s == 0.0


def test_every_need_has_its_room() -> None:
    assert MOST_UNDER_WAY.keys() == set(Need)
    assert list(MOST_UNDER_WAY.values()) == sorted(MOST_UNDER_WAY.values(), reverse=True)
