"""Markets are added and removed while running, without touching the others."""

import sys
from pathlib import Path

import pytest

from collector.errors import UserError
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from rig import Market, Rig, on_markets, wait_until


@on_markets("bybit linear", "binance spot", "kraken spot")
def test_a_market_comes_and_goes_while_another_is_collected(tmp_path: Path, market: Market) -> None:
    first, second = market.symbols
    with Simulator(symbols={market.exchange: list(market.symbols)}, updates_per_s=100.0) as simulator:
        rig = Rig(simulator, str(tmp_path / "live.db"), [first], market)
        collector = rig.collector
        collector.start()
        try:
            rig.wait_until_verified(10)
            assert [key.symbol for key in collector.subscribe(market.exchange, second)] == [second]
            assert collector.subscribe(market.exchange, second) == []
            wait_until(lambda: rig.written(second) > 20, "the added market")
            assert [key.symbol for key in collector.unsubscribe(market.exchange, second)] == [second]
            wait_until(
                lambda: not any(second in topic for one in simulator.connections() for topic in names(one)),
                "the subscription gone at the exchange",
            )
            stored = rig.written(second)
            before = rig.written(first)
            wait_until(lambda: rig.written(first) > before + 20, "the other market")
            assert rig.written(second) == stored
            collector.subscribe(market.exchange, second)
            wait_until(lambda: rig.written(second) > stored + 20, "the market once more")
        finally:
            report = collector.stop()
    assert report.good
    assert [one["end_cause"] for one in rig.segments(first)] == ["stop"]
    assert [one["end_cause"] for one in rig.segments(second)] == ["unsubscribed", "stop"]
    rig.symbols = market.symbols
    for symbol in market.symbols:
        rig.check_rows(symbol)


def names(connection: object) -> list[str]:
    return [topic.symbol for topic in connection.topics.values()]  # type: ignore[attr-defined]


def test_what_cannot_be_subscribed_is_said(tmp_path: Path) -> None:
    with Simulator(symbols={"bybit": ["BTC/USDT:USDT"]}, updates_per_s=100.0) as simulator:
        rig = Rig(simulator, str(tmp_path / "live.db"), ["BTC/USDT:USDT"])
        rig.collector.start()
        try:
            rig.wait_until_verified(5)
            with pytest.raises(UserError, match="kraken is not collected; expected one of bybit"):
                rig.collector.subscribe("kraken", "BTC/USD")
            assert rig.collector.subscribe("bybit", "NOPE/USDT:USDT") == []
        finally:
            report = rig.collector.stop()
    assert report.exact
    assert any("NOPE" in problem for problem in report.problems)
