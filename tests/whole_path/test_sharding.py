"""Streams are spread over connections, and a storm of reconnecting ones keeps to the exchange's limits."""

import dataclasses
import sys
from pathlib import Path

import pytest

from collector.events.notices import PotentialHalt, State, SystemState
from collector.exchanges.exchange import Rate
from collector.exchanges.registry import EXCHANGES
from collector.simulator import Simulator
from collector.simulator.admission import Rule
from collector.simulator.exchanges.binance import Binance

sys.path.insert(0, str(Path(__file__).parent))
from rig import BTC, ETH, MARKETS, Market, Rig, on_markets, running, wait_until

BINANCE_LINEAR = next(one for one in MARKETS if str(one) == "binance linear")
TWENTY = ("BTC", "ETH", "SOL", "XRP", "ADA", "DOGE", "LTC", "DOT", "LINK", "AVAX")


def change_limits(monkeypatch: pytest.MonkeyPatch, exchange: str, **changes: object) -> None:
    limits = dataclasses.replace(EXCHANGES[exchange].limits, **changes)  # type: ignore[arg-type]
    monkeypatch.setitem(EXCHANGES, exchange, dataclasses.replace(EXCHANGES[exchange], limits=limits))


@on_markets("bybit linear")
def test_streams_are_spread_over_connections_by_expected_traffic(tmp_path: Path, market: Market) -> None:
    with running(tmp_path / "live.db", market=market, stream__messages_a_connection=1.0) as rig:
        connections = rig.simulator.connections(market.exchange)
        assert sorted(len(one.topics) for one in connections) == [1, 1]
        rig.simulator.faults.reset(market.exchange, market.symbols[0])
        wait_until(lambda: rig.snapshots(market.symbols[0]) == 2, "verified again")
        assert rig.collector.stop().good
        assert [one["end_cause"] for one in rig.segments(market.symbols[0])] == ["disconnect", "stop"]
        assert [one["end_cause"] for one in rig.segments(market.symbols[1])] == ["stop"]


def test_a_storm_of_twenty_connections_keeps_to_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same numbers at both ends, only smaller: at most 20 of the 25 connects that 2 s allow."""
    most, span_s = 25, 2.0
    change_limits(monkeypatch, "binance", connects=Rate(most, span_s))
    monkeypatch.setattr(Binance, "connection_rule", Rule("connections", most, int(span_s * 1000)))
    symbols = [f"{base}/USDT{settle}" for base in TWENTY for settle in ("", ":USDT")]
    states: list[SystemState] = []
    with Simulator(symbols={"binance": symbols}, updates_per_s=20.0) as simulator:
        rig = Rig(
            simulator,
            str(tmp_path / "live.db"),
            symbols,
            BINANCE_LINEAR,
            stream__messages_a_connection=1.0,
            stream__connects_a_second=1000.0,
        )
        rig.collector.events.subscribe(SystemState, states.append)
        rig.collector.start()
        try:
            wait_until(lambda: len(simulator.connections("binance")) == 20, "twenty connections", 30.0)
            for time in (1, 2):
                assert simulator.faults.reset("binance") == 20
                wait_until(lambda time=time: len(lost(states)) >= 20 * time, "all cut")
                wait_until(lambda: len(simulator.connections("binance")) == 20, "all back", 30.0)
            rig.wait_until_verified()
            assert not [cause for cause in lost(states) if "429" in cause], lost(states)
        finally:
            report = rig.collector.stop()
    assert report.good


def lost(states: list[SystemState]) -> list[str]:
    return [one.cause for one in states if one.state is State.DISCONNECTED]


def test_bybits_403_leaves_it_alone_for_ten_minutes(tmp_path: Path) -> None:
    """https://bybit-exchange.github.io/docs/v5/rate-limit: too many connections of one address."""
    states: list[SystemState] = []
    with running(tmp_path / "live.db", [BTC]) as rig:
        rig.collector.events.attach(SystemState, states.append)
        rig.simulator.faults.connection_allowance("bybit", 0)
        rig.simulator.faults.reset("bybit")
        wait_until(lambda: [one for one in states if "403" in one.cause], "refused")
        (feed,) = rig.collector.stream.feeds
        wait_until(
            lambda: 590 < feed._connections._connects.closed_for_s <= 600, "closed for all its connections"
        )
        assert rig.collector.stop().good  # and stopping waits for none of it


def test_requests_are_paced_on_each_connection(tmp_path: Path) -> None:
    """Binance cuts who sends more than five messages a second; markets that come and go are more."""
    market = next(one for one in MARKETS if str(one) == "binance spot")
    first, second = market.symbols
    with Simulator(symbols={market.exchange: list(market.symbols)}, updates_per_s=100.0) as simulator:
        rig = Rig(simulator, str(tmp_path / "live.db"), [first], market)
        rig.collector.start()
        try:
            rig.wait_until_verified()
            for time in range(8):
                rig.collector.subscribe(market.exchange, second)
                wait_until(lambda: second in subscribed(simulator), "there")
                if time < 7:
                    rig.collector.unsubscribe(market.exchange, second)
                    wait_until(lambda: second not in subscribed(simulator), "gone")
        finally:
            report = rig.collector.stop()
    assert report.good
    assert [one["end_cause"] for one in rig.segments(first)] == ["stop"]


def subscribed(simulator: Simulator) -> set[str]:
    return {topic.symbol for one in simulator.connections() for topic in one.topics.values()}


def test_an_exchange_that_refuses_for_long_is_tried_slowly_and_comes_back_by_itself(tmp_path: Path) -> None:
    """What looks like a geo block for a day may be a mistake of theirs; the other exchange never notices."""
    halts: list[PotentialHalt] = []
    symbols = {"bybit": [BTC, ETH], "kraken": ["BTC/USD"]}
    with Simulator(symbols=symbols, updates_per_s=100.0) as simulator:
        endpoints = simulator.endpoints("kraken")
        rig = Rig(
            simulator,
            str(tmp_path / "live.db"),
            [BTC, ETH],
            stream__backoff_max_s=0.05,
            stream__connects_a_second=1000.0,
            exchanges__kraken__symbols=["BTC/USD"],
            exchanges__kraken__channels=["book.10"],
            exchanges__kraken__endpoints__rest=endpoints["rest"],
            exchanges__kraken__endpoints__ws=endpoints["ws"],
        )
        rig.collector.events.attach(PotentialHalt, halts.append)
        rig.collector.start()
        try:
            rig.wait_until_verified(5)
            simulator.faults.refuse("bybit", 451, count=33)
            simulator.faults.reset("bybit")
            wait_until(lambda: [one for one in halts if one.code == "connection_refused"], "told")
            (refused,) = rig.collector.view().refused
            assert refused.startswith(f"bybit: {BTC} book.50, {ETH} book.50 refused by ws://127.0.0.1:")
            assert "http_451" in refused
            assert refused.endswith("; tried again every 0.5 s")
            before = len(simulator.truth.sent("kraken", "BTC/USD", "book.10"))
            wait_until(
                lambda: len(simulator.truth.sent("kraken", "BTC/USD", "book.10")) > before + 20, "the other"
            )
            rig.wait_until_verified_again()
            assert rig.collector.view().refused == ()
        finally:
            report = rig.collector.stop()
    assert report.good
    assert [one.code for one in halts if one.code == "connection_refused"] == ["connection_refused"]
    assert [one["end_cause"] for one in rig.segments(BTC)] == ["disconnect", "stop"]
    assert [one["end_cause"] for one in rig.segments("BTC/USD")] == ["stop"]
