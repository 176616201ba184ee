"""The model of the market, without sockets: what holds at every step."""

from __future__ import annotations

import random

import pytest

from collector.simulator.exchanges.registry import instrument
from collector.simulator.market.depth import side_delta, whole_side_delta
from collector.simulator.market.market import TOP_LEVELS, Market, Side
from collector.simulator.market.record import Columns, Numbering
from collector.simulator.market.rest_history import bars_between, position_at, trade_count, trades_since
from collector.simulator.market.symbol_feed import CHECKPOINT_STEPS, SymbolFeed

MINUTE_MS = 60_000
START_MS = 1_700_000_000_000


def market(seed: str = "a", levels: int = 100) -> Market:
    return Market(seed, start_ticks=650_000, typical_lots=77, levels=levels)


def feed(remember: int = 100_000, symbol: str = "BTC/USDT:USDT", exchange: str = "bybit") -> SymbolFeed:
    return SymbolFeed(instrument(exchange, symbol), 7, levels=60, remember=remember, start_ms=START_MS)


def state(of: Market) -> tuple[object, ...]:
    return of.bids.top(10_000), of.asks.top(10_000), of.event


@pytest.mark.parametrize("seed", ["a", "b", "c"])
def test_each_step_is_a_sound_book_that_changed_near_the_top(seed: str) -> None:
    moving = market(seed)
    for _ in range(2000):
        before = (moving.bids.top(TOP_LEVELS), moving.asks.top(TOP_LEVELS))
        event = moving.event
        change = moving.step()
        assert moving.bids.keys[0] + moving.asks.keys[0] > 0
        for side in (moving.bids, moving.asks):
            assert side.keys == sorted(side.lots)
            assert min(side.lots.values()) > 0
            assert len(side.keys) == pytest.approx(100, abs=30)
        assert (moving.bids.top(TOP_LEVELS), moving.asks.top(TOP_LEVELS)) != before
        assert (change.first_event, change.last_event) == (event + 1, moving.event)
        assert change.last_event >= change.first_event


def test_price_leaves_the_range_of_the_first_book() -> None:
    moving = market()
    lowest, highest = -moving.bids.keys[-1], moving.asks.keys[-1]
    for _ in range(20_000):
        moving.step()
        if not lowest < -moving.bids.keys[0] < highest:
            return
    pytest.fail("the price never left the first book")


def test_fills_take_from_the_best_level() -> None:
    moving = market()
    seen = 0
    for _ in range(500):
        best_ask, best_bid = moving.asks.keys[0], -moving.bids.keys[0]
        for fill in moving.step().fills[:1]:
            # Orders of the same step may have come before it, but hardly far from the touch.
            assert abs(fill.ticks - (best_ask if fill.taker_buys else best_bid)) < 200
            seen += 1
    assert seen > 50


def test_same_seed_same_steps_and_a_thawed_market_goes_on_alike() -> None:
    one, two = market("x"), market("x")
    for _ in range(300):
        one.step()
        two.step()
    assert state(one) == state(two)
    thawed = Market.thaw(one.freeze())
    for _ in range(300):
        one.step()
        thawed.step()
    assert state(one) == state(thawed)
    other = market("y")
    assert state(other) != state(market("x"))


@pytest.mark.parametrize("depth", [1, 5, 50, 99, 1000])
@pytest.mark.parametrize("removes_leaving", [True, False])
def test_deltas_of_a_depth_rebuild_its_top(depth: int, removes_leaving: bool) -> None:
    moving = market()
    views = [dict(side.top(depth)) for side in (moving.bids, moving.asks)]
    for _ in range(500):
        change = moving.step()
        pairs = ((moving.bids, change.bids), (moving.asks, change.asks))
        for at, (side, side_change) in enumerate(pairs):
            for key, lots in side_delta(side, side_change, depth, removes_leaving=removes_leaving):
                if lots:
                    views[at][key] = lots
                else:
                    del views[at][key]
            if not removes_leaving:
                views[at] = dict(sorted(views[at].items())[:depth])
            assert views[at] == dict(side.top(depth))


def test_diffs_of_the_whole_book_rebuild_it() -> None:
    moving = market()
    view = dict(moving.bids.top(10_000))
    for _ in range(500):
        change = moving.step()
        for key, lots in whole_side_delta(moving.bids, change.bids):
            view[key] = lots
            if not lots:
                del view[key]
        assert view == moving.bids.lots


@pytest.fixture(params=[1024, pytest.param(CHECKPOINT_STEPS, marks=pytest.mark.proof)])
def checkpoint_steps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Keep the market after fewer steps than it is; after so many, under proof."""
    steps: int = request.param
    monkeypatch.setattr("collector.simulator.market.symbol_feed.CHECKPOINT_STEPS", steps)
    return steps


def test_a_feed_replays_any_step_across_checkpoints_sweeps_and_crossings(checkpoint_steps: int) -> None:
    living = feed()
    draw = random.Random(1)
    wanted = {0: state(living.market)}
    for step in range(1, checkpoint_steps + 200):
        if step == 50:
            living.plan(lambda moving: moving.sweep(buys=True, levels=5), Market.cross, Market.uncross)
        living.tick(START_MS + step)
        living.step()
        if draw.random() < 0.002 or 49 <= step <= 53 or step >= checkpoint_steps + 198:
            wanted[step] = state(living.market)
    for step, expected in wanted.items():
        assert state(living.market_at(step)) == expected


def test_a_market_that_nobody_watches_catches_up_to_the_same_state() -> None:
    watched, alone = feed(), feed()
    for step in range(1, 300):
        for each in (watched, alone):
            each.tick(START_MS + step * 10)
        watched.step()
    assert alone.steps_due == 299
    alone.catch_up()
    assert state(alone.market) == state(watched.market)
    assert list(alone.trades.frozen()) == list(watched.trades.frozen())


def test_a_market_that_nobody_watches_falls_behind_only_so_far() -> None:
    alone = feed(remember=500)
    for step in range(1, 3000):
        alone.tick(START_MS + step)
    assert alone.steps_due == 500
    alone.catch_up()
    assert alone.now_ms == START_MS + 2999


def test_memory_is_bounded_and_the_rest_stays_readable(checkpoint_steps: int) -> None:
    living = feed(remember=checkpoint_steps)
    for step in range(1, 4 * checkpoint_steps):
        living.tick(START_MS + step)
        living.step()
    assert living.times.first > 0
    assert len(living._checkpoints) <= 4
    oldest = living.times.first
    assert next(living.replay(oldest))[0] == oldest


def test_bars_are_made_of_the_trades_before_the_start_and_since() -> None:
    living = feed()
    for step in range(1, 1500):
        living.tick(START_MS + step * 100)
        living.step()
    now_ms = living.now_ms
    start_ms = START_MS - 30 * MINUTE_MS
    bars = bars_between(living, 5 * MINUTE_MS, start_ms, now_ms)
    assert [bar.open_ms for bar in bars] == list(range(start_ms // 300_000 * 300_000, now_ms, 300_000))
    first = position_at(living, bars[0].open_ms)
    trades = trades_since(living, first, trade_count(living) - first)
    assert [trade.number for trade in trades] == list(range(trades[0].number, trades[0].number + len(trades)))
    assert sorted(trade.at_ms for trade in trades) == [trade.at_ms for trade in trades]
    for bar in bars:
        within = [trade for trade in trades if bar.open_ms <= trade.at_ms < bar.end_ms]
        prices = [trade.ticks for trade in within]
        assert (bar.open, bar.high, bar.low, bar.close) == (prices[0], max(prices), min(prices), prices[-1])
        assert (bar.lots, bar.count) == (sum(trade.lots for trade in within), len(within))
        assert bar.first_trade == within[0].number


@pytest.mark.parametrize(
    ("exchange", "symbol", "price", "size"),
    [
        ("bybit", "BTC/USDT:USDT", "65000.00", "0.077"),
        ("bybit", "BTC/USDT", "65000", "0.0769"),
        ("binance", "ETH/USDT", "2600.00000000", "1.92310000"),
        ("binance", "BTC/USDT:USDT", "65000.00", "0.077"),
        ("kraken", "BTC/USD", "65000.0", "0.07692308"),
    ],
)
def test_numbers_are_written_as_each_exchange_does(exchange: str, symbol: str, price: str, size: str) -> None:
    of = instrument(exchange, symbol)
    assert of.price_text(of.start_ticks) == price
    assert of.size_text(of.typical_lots).startswith(size[:5])
    assert len(of.size_text(of.typical_lots).partition(".")[2]) >= len(size.partition(".")[2]) - 4
    assert of.price(of.start_ticks) == float(price)


def test_numbering_skips_and_restarts() -> None:
    numbers = Numbering(100)
    assert [numbers.at(index) for index in range(3)] == [100, 101, 102]
    numbers.skip(3, 2)
    numbers.restart(5, 1)
    numbers.skip(7)
    assert [numbers.at(index) for index in range(9)] == [100, 101, 102, 105, 106, 1, 2, 4, 5]


def test_columns_let_the_oldest_half_go() -> None:
    columns = Columns("q", limit=4)
    for value in range(20):
        columns.append(value)
    assert len(columns) == 20
    assert columns[19] == (19,)
    assert columns.find(17) == 17
    assert 20 - columns.first <= 8
    with pytest.raises(IndexError):
        columns[columns.first - 1]


def test_a_side_keeps_its_levels_in_order() -> None:
    side = Side()
    for key in (5, 1, 3):
        side.put(key, key * 10)
    side.put(3, 0)
    side.put(9, 0)
    assert side.top(9) == [(1, 10), (5, 50)]
