"""What each exchange has of the past over REST: the figures of its pages, by calls that ccxt has."""

from dataclasses import replace
from functools import partial
from typing import Any

import ccxt
import pytest

from collector.exchanges.exchange import Bound, Exchange, History, Past, Rate
from collector.exchanges.registry import EXCHANGES, problems
from collector.exchanges.unverified import UNVERIFIED

BYBIT = EXCHANGES["bybit"]
PASTS = [
    pytest.param(name, past, id=f"{name} {what} {kind}")
    for name, exchange in EXCHANGES.items()
    if exchange.history is not None
    for what, pasts in (
        ("trades", exchange.history.trades),
        ("bars", exchange.history.bars),
        ("single trades", exchange.history.single_trades),
    )
    for kind, past in pasts.items()
]


def history_of(exchange: Exchange) -> History:
    assert exchange.history is not None
    return exchange.history


def every_past(exchange: Exchange) -> list[Past]:
    history = history_of(exchange)
    pasts = (history.trades, history.bars, history.single_trades)
    return [past for by_kind in pasts for past in by_kind.values()]


@pytest.mark.parametrize(("name", "past"), PASTS)
def test_ccxt_has_the_call(name: str, past: Past) -> None:
    assert callable(getattr(getattr(ccxt, name)(), past.ccxt_method))


@pytest.mark.parametrize("name", EXCHANGES)
def test_ccxt_asks_for_as_many_bars_in_a_call(name: str) -> None:
    """Two readers of one page: ccxt's figure is at least ours."""
    exchange = getattr(ccxt, name)()
    exchange.markets = {"unused": {}}
    for kind, past in history_of(EXCHANGES[name]).bars.items():
        told: Any = exchange.feature_value_by_type("spot", None, "fetchOHLCV", "limit")
        if kind == "linear":
            told = exchange.feature_value_by_type("swap", "linear", "fetchOHLCV", "limit")
        assert past.rows <= told


@pytest.mark.parametrize(
    ("name", "kind", "trades", "bars"),
    [
        ("bybit", "spot", (60, 1.0, Rate(600, 5.0), None), (1000, 1.0, Rate(600, 5.0), "time")),
        ("bybit", "linear", (1000, 1.0, Rate(600, 5.0), None), (1000, 1.0, Rate(600, 5.0), "time")),
        ("binance", "spot", (1000, 4.0, Rate(6000, 60.0), "id"), (1000, 2.0, Rate(6000, 60.0), "time")),
        ("binance", "linear", (1000, 20.0, Rate(2400, 60.0), "id"), (499, 2.0, Rate(2400, 60.0), "time")),
        ("kraken", "spot", (1000, 1.0, Rate(1, 1.2), "time"), (720, 1.0, Rate(1, 1.2), None)),
        ("okx", "spot", (100, 1.0, Rate(20, 2.0), "id"), (300, 1.0, Rate(20, 2.0), "time")),
        ("okx", "linear", (100, 1.0, Rate(20, 2.0), "id"), (300, 1.0, Rate(20, 2.0), "time")),
    ],
)
def test_the_figures_are_those_of_the_pages(name: str, kind: Any, trades: object, bars: object) -> None:
    history = history_of(EXCHANGES[name])
    found = [
        (past.rows, past.weight, past.budget, past.paging)
        for past in (history.trades[kind], history.bars[kind])
    ]
    assert found == [trades, bars]


def test_how_far_back_is_told_where_it_is_documented() -> None:
    reach = {
        (name, what, kind): (past.newest_rows, past.newest_days)
        for name, exchange in EXCHANGES.items()
        for what, pasts in (
            ("trades", history_of(exchange).trades),
            ("bars", history_of(exchange).bars),
        )
        for kind, past in pasts.items()
        if (past.newest_rows, past.newest_days) != (None, None)
    }
    assert reach == {
        ("bybit", "trades", "spot"): (60, None),
        ("bybit", "trades", "linear"): (1000, None),
        ("kraken", "bars", "spot"): (720, None),
        ("binance", "trades", "linear"): (None, 1),
        ("okx", "trades", "spot"): (None, 90),
        ("okx", "trades", "linear"): (None, 90),
    }


def test_single_trades_of_binance_come_by_id_to_who_has_a_key() -> None:
    singles = history_of(EXCHANGES["binance"]).single_trades
    found = {kind: (past.rows, past.weight, past.newest_days, past.id_kind) for kind, past in singles.items()}
    assert found == {"spot": (1000, 25.0, None, "trade"), "linear": (500, 200.0, 90, "trade")}
    assert all(past.needs_key for past in singles.values())
    needing = {name for name, one in EXCHANGES.items() for past in every_past(one) if past.needs_key}
    assert needing == {"binance"}


def test_a_key_is_asked_for_where_ccxt_sends_nothing_without_one() -> None:
    """Nothing is sent: what ccxt signs is looked at."""
    exchange: Any = ccxt.binance({"enableRateLimit": False})
    exchange.fetch = lambda url, *_arguments: url
    for past in every_past(EXCHANGES["binance"]):
        ask = partial(getattr(exchange, past.ccxt_method), {"symbol": "BTCUSDT"})
        if past.needs_key:
            with pytest.raises(ccxt.AuthenticationError, match="apiKey"):
                ask()
        else:
            assert ask().endswith("?symbol=BTCUSDT")


@pytest.mark.parametrize(
    ("name", "what", "by", "newest_first", "open_bar"),
    [
        ("binance", "trades", "startTime= endTime= fromId=", False, False),
        ("binance", "bars", "startTime= endTime=", False, True),
        ("binance", "single_trades", "fromId=", False, False),
        ("bybit", "trades", "", True, False),
        ("bybit", "bars", "start= end=", True, True),
        ("kraken", "trades", "since", False, False),
        ("kraken", "bars", "since", False, True),
        ("okx", "trades", "after before after", True, False),
        ("okx", "bars", "before after", True, True),
    ],
)
def test_how_pages_are_asked_for(name: str, what: str, by: str, newest_first: bool, open_bar: bool) -> None:
    """An = stands behind a parameter that includes what lies just there."""
    for past in getattr(history_of(EXCHANGES[name]), what).values():
        bounds = [bound for bound in (past.since, past.until, past.from_id, past.to_id) if bound]
        assert " ".join(f"{bound.name}{'=' * bound.includes}" for bound in bounds) == by
        assert (past.newest_first, past.has_open_bar) == (newest_first, open_bar)


def test_both_sides_of_binance_spend_one_budget() -> None:
    exchange = EXCHANGES["binance"]
    history = history_of(exchange)
    for pasts in (history.trades, history.bars, history.single_trades):
        for kind, past in pasts.items():
            assert past.budget == exchange.rest_limits[kind].weight[0]


def test_nobody_looked_up_the_others() -> None:
    assert UNVERIFIED.history is None
    assert not list(problems(replace(BYBIT, is_verified=False, history=None)))


def with_trades(**changes: Any) -> Exchange:
    history = history_of(BYBIT)
    trades = {kind: replace(past, **changes) for kind, past in history.trades.items()}
    return replace(BYBIT, history=replace(history, trades=trades))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (replace(BYBIT, history=None), "no history"),
        (
            replace(BYBIT, history=replace(history_of(BYBIT), bars={})),
            "history of bars: each of ('spot', 'linear') expected",
        ),
        (with_trades(rows=0), "history of trades, spot: numbers above 0 expected"),
        (with_trades(weight=0.0), "history of trades, spot: numbers above 0 expected"),
        (with_trades(budget=Rate(600, 0.0)), "history of trades, linear: numbers above 0 expected"),
        (with_trades(newest_days=0), "history of trades, linear: numbers above 0 expected"),
        (with_trades(weight=601.0), "history of trades, spot: a call of 601.0 is more than 600"),
        (
            with_trades(budget=Rate(601, 5.0)),
            "history of trades, spot: Rate(most=601, span_s=5.0) is no",
        ),
        (replace(BYBIT, rest_limits={}), "limits of REST: each of ('spot', 'linear') expected"),
        (with_trades(newest_rows=None), "history of trades, spot: neither paging nor how many rows"),
        (with_trades(widest_s=0.0), "history of trades, linear: numbers above 0 expected"),
        (with_trades(paging="time"), "history of trades, spot: pages by time, and no parameter"),
        (
            with_trades(paging="id", since=Bound("start", True)),
            "history of trades, spot: pages by id, and no parameter",
        ),
    ],
)
def test_a_history_that_cannot_be_is_told(wrong: Exchange, words: str) -> None:
    assert any(problem.startswith(words) for problem in problems(wrong)), list(problems(wrong))
