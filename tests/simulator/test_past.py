"""The made-up past: any length of it costs nothing until asked for, and all views of it agree."""

from itertools import pairwise
from typing import Any

import pytest

from collector.errors import UserError
from collector.simulator import Outage, Simulator
from collector.simulator.exchanges import EXCHANGES
from collector.simulator.market import (
    MINUTE_MS,
    PastPlan,
    SymbolFeed,
    aggregate_count,
    aggregate_position_at,
    aggregates_since,
    bars_back,
    bars_from,
    position_at,
    position_of,
    trade_count,
    trades_since,
)

START_MS = 1_790_000_012_345
END_MS = START_MS // MINUTE_MS * MINUTE_MS
HOUR_MS = 60 * MINUTE_MS
OUTAGES = (
    Outage("binance", END_MS - 5 * HOUR_MS, END_MS - 4 * HOUR_MS, lost_ids=7),
    Outage("binance", END_MS - 2 * HOUR_MS, END_MS - 2 * HOUR_MS + 3 * MINUTE_MS, "BTC/USDT"),
    Outage("binance", END_MS - MINUTE_MS, END_MS, lost_ids=2),
)


def past_of(days: float = 1.0, outages: tuple[Outage, ...] = OUTAGES, **plan: Any) -> SymbolFeed:
    binance = EXCHANGES["binance"]
    return SymbolFeed(
        binance.instrument("BTC/USDT"),
        7,
        levels=50,
        remember=1000,
        start_ms=START_MS,
        past=PastPlan(days, outages=outages, **plan),
        bars_in_outages=binance.bars_in_outages,
    )


@pytest.fixture(scope="module")
def feed() -> SymbolFeed:
    return past_of()


def test_years_cost_nothing_until_somebody_asks() -> None:
    history = past_of(3650.0, ()).history
    assert history.minute.cache_info().currsize == history._displacement.cache_info().currsize == 0
    assert len(list(history.trades(1_200_000, 1_200_012))) == 12
    assert history.minute.cache_info().currsize == 1
    assert history._displacement.cache_info().currsize <= 48  # two prices, a step of the walk each halving


def test_a_minute_is_the_same_however_long_the_past_is() -> None:
    short, long = past_of(0.5, ()), past_of(900.0, ())
    assert short.history.begin_ms > long.history.begin_ms
    last = [trades_since(each, trade_count(each) - 5000, 5000) for each in (short, long)]
    assert last[0] == last[1]


def test_it_ends_at_the_price_where_the_live_market_begins(feed: SymbolFeed) -> None:
    quiet_end = past_of(outages=OUTAGES[:2])
    assert trades_since(quiet_end, trade_count(quiet_end) - 1, 1)[0].ticks == feed.instrument.start_ticks
    prices = {trade.ticks for trade in trades_since(feed, 0, trade_count(feed))}
    assert max(prices) - min(prices) > feed.instrument.start_ticks / 1000


def test_outages_have_no_trades_and_their_ids_go_on_or_have_a_hole(feed: SymbolFeed) -> None:
    trades = trades_since(feed, 0, trade_count(feed))
    minutes = 24 * 60 - 60 - 3 - 1
    assert len(trades) == minutes * 12
    assert [trade.at_ms for trade in trades] == sorted(trade.at_ms for trade in trades)
    holes = [
        (after.number - before.number - 1, before.at_ms // MINUTE_MS, after.at_ms // MINUTE_MS)
        for before, after in pairwise(trades)
        if after.number != before.number + 1 or after.at_ms // MINUTE_MS > before.at_ms // MINUTE_MS + 1
    ]
    first, second = (
        (each.lost_ids, each.start_ms // MINUTE_MS - 1, each.end_ms // MINUTE_MS) for each in OUTAGES[:2]
    )
    assert holes == [first, second]
    assert feed.trade_base - trades[-1].number - 1 == 2


@pytest.mark.parametrize("every", [997, pytest.param(97, marks=pytest.mark.proof)])
def test_trades_are_found_by_position_time_and_id(feed: SymbolFeed, every: int) -> None:
    trades = trades_since(feed, 0, trade_count(feed))
    firsts = {trade.at_ms: at for at, trade in reversed(list(enumerate(trades)))}
    for at in [*range(0, len(trades), every), *range(len(trades) - 12, len(trades))]:
        trade = trades[at]
        assert trades_since(feed, at, 1) == [trade]
        assert position_of(feed, trade.number) == at
        assert position_at(feed, trade.at_ms) == firsts[trade.at_ms]
        assert position_at(feed, trade.at_ms + 1) == firsts[trade.at_ms] + sum(
            other.at_ms == trade.at_ms for other in trades[max(0, at - 5) : at + 5]
        )
    for outage in OUTAGES:
        after = position_at(feed, outage.end_ms)
        for at_ms in (outage.start_ms, outage.end_ms - 1):
            assert position_at(feed, at_ms) == after
        for lost in range(outage.lost_ids):
            assert position_of(feed, trades[after - 1].number + 1 + lost) == after
    assert position_at(feed, 0) == 0


@pytest.mark.parametrize("a_minute", [1, 3, 4, 7, 12])
def test_each_trade_is_in_one_aggregate_of_one_order(a_minute: int) -> None:
    feed = past_of(0.2, (), trades_a_minute=a_minute)
    trades = {trade.number: trade for trade in trades_since(feed, 0, trade_count(feed))}
    groups = list(aggregates_since(feed, 0, aggregate_count(feed)))
    assert len(groups) == aggregate_count(feed)
    members = [number for group in groups for number in range(group.first, group.last + 1)]
    assert members == list(trades)
    for group in groups:
        of = [trades[number] for number in range(group.first, group.last + 1)]
        assert {(trade.at_ms, trade.ticks, trade.buys) for trade in of} == {group[3:5] + group[6:]}
        assert group.lots == sum(trade.lots for trade in of)
    assert {group.last - group.first for group in groups} == ({0, 1} if a_minute > 3 else {0})
    times = [group.at_ms for group in groups]
    assert [times[aggregate_position_at(feed, at_ms)] for at_ms in times] == times


@pytest.mark.parametrize("minutes", [1, 5, 60])
def test_bars_are_made_of_the_trades_and_missing_in_outages(feed: SymbolFeed, minutes: int) -> None:
    step_ms = minutes * MINUTE_MS
    bars = list(bars_from(feed, step_ms, 0, END_MS - 1))
    by_bar: dict[int, list[Any]] = {}
    for trade in trades_since(feed, 0, trade_count(feed)):
        by_bar.setdefault(trade.at_ms // step_ms * step_ms, []).append(trade)
    assert [bar.open_ms for bar in bars] == list(by_bar)
    for bar in bars:
        of = by_bar[bar.open_ms]
        prices = [trade.ticks for trade in of]
        assert (bar.open, bar.high, bar.low, bar.close) == (prices[0], max(prices), min(prices), prices[-1])
        assert (bar.lots, bar.count) == (sum(trade.lots for trade in of), len(of))
        assert (bar.first_trade, bar.last_trade) == (of[0].number, of[-1].number)
        assert bar.buy_lots == sum(trade.lots for trade in of if trade.buys)
    assert list(bars_back(feed, step_ms, 0, END_MS - 1)) == bars[::-1]


def test_bars_of_outages_may_be_flat_instead() -> None:
    outage = Outage("binance", END_MS - HOUR_MS, END_MS - HOUR_MS // 2, bars="flat")
    feed = past_of(0.2, (outage,))
    bars = list(bars_from(feed, MINUTE_MS, outage.start_ms - MINUTE_MS, outage.end_ms))
    assert len(bars) == 32
    assert {bar.count for bar in bars[1:-1]} == {0}
    for bar in bars[1:-1]:
        assert bar.open == bar.high == bar.low == bar.close == bars[0].close


@pytest.mark.parametrize(
    ("outages", "words"),
    [
        ((Outage("binance", END_MS - 90_001, END_MS),), "whole minutes"),
        ((Outage("binance", END_MS, END_MS),), "whole minutes"),
        ((Outage("binance", END_MS, END_MS + MINUTE_MS),), "lies in the past"),
        ((Outage("binance", 0, MINUTE_MS),), "lies in the past"),
        ((Outage("binance", END_MS - HOUR_MS, END_MS, lost_ids=-1),), "loses no ids or some"),
        ((OUTAGES[0], OUTAGES[0]), "do not overlap"),
    ],
)
def test_what_is_no_outage_is_told(outages: tuple[Outage, ...], words: str) -> None:
    with pytest.raises(UserError, match=words):
        past_of(outages=outages)


def test_what_is_no_past_is_told() -> None:
    for wrong in ({"history_days": 0.0}, {"history_days": 10_000.0}, {"trades_a_minute": 0}):
        with pytest.raises(UserError, match="past"):
            Simulator(symbols={"binance": ["BTC/USDT"]}, **wrong)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="fewer expected"):
        Simulator(symbols={"binance": ["BTC/USDT"]}, history_days=3650, trades_a_minute=1000)
    with pytest.raises(UserError, match="no simulated market is any on kraken"):
        Simulator(symbols={"binance": ["BTC/USDT"]}, outages=[Outage("kraken", 0, MINUTE_MS)])
