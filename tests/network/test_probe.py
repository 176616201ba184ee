"""The exchange's time is asked for within the budget that all requests to it share."""

import time

import pytest

from collector.errors import StreamError
from collector.exchanges import Endpoints, exchange_of
from collector.network.budgets import Budgets
from collector.network.markets import Source
from collector.network.probe import ask_the_time
from collector.simulator import Simulator

SYMBOLS = {name: ["BTC/USDT"] for name in ("bybit", "binance", "kraken", "okx")}


def source_at(simulator: Simulator, exchange: str) -> Source:
    at = simulator.endpoints(exchange)
    return Source(exchange, "live", Endpoints(at["rest"], at["ws"]), exchange_of(exchange).kinds)


def test_each_request_for_the_time_is_counted_and_one_too_many_is_not_sent() -> None:
    with Simulator(symbols=SYMBOLS, updates_per_s=0.0) as simulator:
        for exchange in SYMBOLS:
            budgets = Budgets()
            source = source_at(simulator, exchange)
            kept = set(source.budgets(budgets).values())
            answer = ask_the_time(source, 60.0, budgets)
            assert abs(answer.ahead_s) < 1.5  # Kraken tells whole seconds
            assert sum(one._allowance._windows[0][0].total(0.0) for one in kept) == 1.0
            for one in kept:
                one.refused(1234.0, "http_429")
            with pytest.raises(StreamError, match="none is sent for"):
                ask_the_time(source, 60.0, budgets)


def test_the_wait_for_a_turn_is_no_way_of_the_answer() -> None:
    budgets = Budgets()
    with Simulator(symbols={"bybit": ["BTC/USDT"]}, updates_per_s=0.0) as simulator:
        source = source_at(simulator, "bybit")
        kept = source.budgets(budgets)["spot"]
        kept.refused(2.0, "http_429")
        began_s = time.monotonic()
        answer = ask_the_time(source, 60.0, budgets)
        took_s = time.monotonic() - began_s
    assert kept.now().waited_s > 0.0
    assert answer.round_trip_s + kept.now().waited_s < took_s
    assert abs(answer.ahead_s) <= answer.round_trip_s / 2 + 0.05
