"""What each exchange has of the past over REST: the figures of its pages, by calls that ccxt has."""

from dataclasses import replace
from typing import Any

import ccxt
import pytest

from collector.exchanges.exchange import Exchange, History, Past, Rate
from collector.exchanges.registry import EXCHANGES, problems
from collector.exchanges.unverified import UNVERIFIED

BYBIT = EXCHANGES["bybit"]
PASTS = [
    pytest.param(name, past, id=f"{name} {what} {kind}")
    for name, exchange in EXCHANGES.items()
    if exchange.history is not None
    for what, pasts in (("trades", exchange.history.trades), ("bars", exchange.history.bars))
    for kind, past in pasts.items()
]


def history_of(exchange: Exchange) -> History:
    assert exchange.history is not None
    return exchange.history


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
        ("okx", "trades", "spot"): (None, 90),
        ("okx", "trades", "linear"): (None, 90),
    }


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
    ],
)
def test_a_history_that_cannot_be_is_told(wrong: Exchange, words: str) -> None:
    assert any(problem.startswith(words) for problem in problems(wrong)), list(problems(wrong))
