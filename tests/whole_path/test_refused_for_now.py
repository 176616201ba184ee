"""A subscription refused for a moment is had in the end, on every exchange, and no connection is cut."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from collector.events.notices import PotentialHalt, RequestRefused, State, SystemState
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from rig import MARKETS, Market, Rig, on_markets, stop_and_check, wait_until

BY_STREAM = [market for market in MARKETS if not market.by_rest]


class Told:
    """What was published about refusals and connections."""

    def __init__(self, rig: Rig) -> None:
        self.halts: list[PotentialHalt] = []
        self.refused: list[RequestRefused] = []
        self.states: list[State] = []
        rig.collector.events.attach(PotentialHalt, self.halts.append)
        rig.collector.events.attach(RequestRefused, self.refused.append)
        rig.collector.events.attach(SystemState, lambda event: self.states.append(event.state))

    @property
    def retried(self) -> list[RequestRefused]:
        return [one for one in self.refused if one.again_in_s is not None]

    def check(self) -> None:
        """Nothing is wrong: no alarm, and no connection was cut."""
        assert self.halts == []
        assert State.DISCONNECTED not in self.states


@contextmanager
def collecting(
    tmp_path: Path, market: Market, before: Callable[[Simulator], object] = lambda _: None
) -> Iterator[tuple[Rig, Told]]:
    """Collect from an exchange to which something is done before anybody connects."""
    with Simulator(symbols={market.exchange: list(market.symbols)}, updates_per_s=100.0) as simulator:
        before(simulator)
        rig = Rig(simulator, str(tmp_path / "live.db"), market.symbols, market)
        told = Told(rig)
        rig.collector.start()
        try:
            yield rig, told
        finally:
            rig.collector.stop()


@on_markets("binance spot", "kraken spot")
def test_at_the_start(tmp_path: Path, market: Market) -> None:
    def refuse(simulator: Simulator) -> None:
        simulator.faults.refuse_subscription(market.exchange, count=3)

    with collecting(tmp_path, market, refuse) as (rig, told):
        rig.wait_until_verified(5)
        stop_and_check(rig)
        assert len(told.retried) == 3
        told.check()
        for symbol in market.symbols:
            assert [one["end_cause"] for one in rig.segments(symbol)] == ["stop"]


@on_markets("bybit linear", "kraken spot", among=BY_STREAM)
def test_during_a_resync(tmp_path: Path, market: Market) -> None:
    broken, other = market.symbols
    with collecting(tmp_path, market) as (rig, told):
        rig.wait_until_verified(5)
        faults = rig.simulator.faults
        faults.refuse_subscription(market.exchange, count=3)
        if market.exchange == "kraken":
            faults.corrupt_checksum(market.exchange, broken, market.channel)
        else:
            faults.gap(market.exchange, broken)
        wait_until(lambda: rig.snapshots(broken) >= 2, "the broken book verified again")
        stop_and_check(rig)
        assert len(told.retried) == 3
        told.check()
        assert [one["end_cause"] for one in rig.segments(other)] == ["stop"]
        assert len(rig.segments(broken)) == 2


@on_markets("binance spot")
def test_of_a_market_that_is_added(tmp_path: Path, market: Market) -> None:
    first, second = market.symbols
    with Simulator(symbols={market.exchange: [first, second]}, updates_per_s=100.0) as simulator:
        rig = Rig(simulator, str(tmp_path / "live.db"), [first], market)
        told = Told(rig)
        rig.collector.start()
        try:
            rig.wait_until_verified(5)
            simulator.faults.refuse_subscription(market.exchange, count=2, symbol=second)
            rig.collector.subscribe(market.exchange, second)
            wait_until(lambda: rig.written(second) > 5, "the added market")
            rig.symbols = market.symbols
            stop_and_check(rig)
        finally:
            rig.collector.stop()
        assert len(told.retried) == 2
        told.check()


@on_markets("bybit linear")
def test_words_that_nobody_knows_are_no_end_either(tmp_path: Path, market: Market) -> None:
    def refuse(simulator: Simulator) -> None:
        simulator.faults.refuse_subscription(market.exchange, "-9 The moon is full", count=3)

    with collecting(tmp_path, market, refuse) as (rig, told):
        rig.wait_until_verified(5)
        stop_and_check(rig)
        told.check()


def test_what_is_subscribed_already_is_left_and_asked_for_again(tmp_path: Path) -> None:
    market = next(one for one in MARKETS if one.exchange == "kraken")

    def refuse(simulator: Simulator) -> None:
        simulator.faults.refuse_subscription("kraken", "Already subscribed", count=3)

    with collecting(tmp_path, market, refuse) as (rig, told):
        rig.wait_until_verified(5)
        stop_and_check(rig)
        assert [one.words for one in told.refused] == ["Subscription Not Found"] * 2
        told.check()


# Kraken answers symbol by symbol, and two answers that come apart are told in two alarms.
@on_markets("okx linear")
def test_what_is_refused_for_good_is_had_once_it_is_asked_for_again(tmp_path: Path, market: Market) -> None:
    gone, other = market.symbols

    def refuse(simulator: Simulator) -> None:
        # A request of both, then each by itself; where one answers for each, or each has a request, once.
        is_one_by_one = market.exchange in {"kraken", "okx"}
        simulator.faults.reject_subscription(market.exchange, count=1 if is_one_by_one else 2)

    with collecting(tmp_path, market, refuse) as (rig, told):
        wait_until(lambda: told.halts, "told")
        assert {one.code for one in told.halts} == {"subscription_refused"}
        if market.exchange != "kraken":  # there both names were refused by name
            wait_until(lambda: rig.received(other) > 5, "the other market")
        count = len(told.halts)
        retry(rig)
        wait_until(lambda: rig.received(gone) > 5, "the market that was refused")
        rig.wait_until_verified(5)
        stop_and_check(rig)
        assert len(told.halts) == count
        assert State.DISCONNECTED not in told.states


def test_a_market_that_was_refused_and_is_not_wanted_any_more_is_forgotten(tmp_path: Path) -> None:
    market = MARKETS[0]
    gone, other = market.symbols

    def refuse(simulator: Simulator) -> None:
        simulator.faults.reject_subscription(market.exchange, count=2)

    with collecting(tmp_path, market, refuse) as (rig, told):
        wait_until(lambda: told.halts, "told")
        wait_until(lambda: rig.written(other) > 5, "the other market")
        rig.simulator.faults.reject_subscription(market.exchange)
        rig.collector.subscribe(market.exchange, gone)  # who asks for it is told, also a second time
        wait_until(lambda: len(told.halts) == 2, "told again")
        assert len(rig.collector.view().refused) == 1
        assert rig.collector.unsubscribe(market.exchange, gone) == []
        assert rig.collector.view().refused == ()
        retry(rig)
        before = rig.written(other)
        wait_until(lambda: rig.written(other) > before + 5, "the other market goes on")
        assert gone not in {symbol for one in rig.simulator.connections() for symbol in symbols_of(one)}
        rig.symbols = [other]
        stop_and_check(rig)


def symbols_of(connection: Any) -> set[str]:
    return {topic.symbol for topic in connection.topics.values()}


def retry(rig: Rig) -> None:
    """Ask again for what was refused, as a refresh of the markets does."""
    (feed,) = rig.collector.stream.feeds
    loop = rig.collector.stream._loop
    assert loop is not None
    loop.call_soon_threadsafe(feed._running().retry_refused)
