"""Lists of markets that are odd, that change, or that have nothing of what was asked for."""

import sys
from pathlib import Path

import pytest

from collector.errors import UserError
from collector.events.market_lists import MarketsFound
from collector.events.notices import PotentialHalt
from collector.live import market_list
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from rig import BTC, ETH, Market, Rig, on_markets, wait_until

NEW = "NEW/USDT:USDT"


def test_an_exchange_whose_list_cannot_be_read_costs_the_other_nothing(tmp_path: Path) -> None:
    """A pair without its name, then a list of none, then half of one: taken when it is whole."""
    halts: list[PotentialHalt] = []
    symbols = {"bybit": [BTC], "kraken": ["BTC/USD"]}
    with Simulator(symbols=symbols, updates_per_s=100.0) as simulator:
        endpoints = simulator.endpoints("kraken")
        rig = Rig(
            simulator,
            str(tmp_path / "live.db"),
            [BTC],
            stream__backoff_max_s=0.2,
            stream__max_reconnect_attempts=2,
            exchanges__kraken__symbols=["BTC/USD"],
            exchanges__kraken__channels=["book.10"],
            exchanges__kraken__endpoints__rest=endpoints["rest"],
            exchanges__kraken__endpoints__ws=endpoints["ws"],
        )
        simulator.faults.rest_missing_key("kraken", "altname", count=2, path="AssetPairs")
        simulator.faults.rest_nothing("kraken", count=1, path="AssetPairs")
        simulator.faults.rest_truncated("kraken", count=1, path="AssetPairs")
        rig.collector.events.attach(PotentialHalt, halts.append)
        rig.collector.start()
        try:
            wait_until(lambda: halts, "the alarm")
            assert rig.collector.stream.alive
            assert (halts[0].exchange, halts[0].code) == ("kraken", "markets")
            assert "KeyError('altname')" in halts[0].reason
            rig.wait_until_verified(20)
            wait_until(
                lambda: [one for one in rig.changes if one.exchange == "kraken" and one.verified], "kraken"
            )
            assert rig.collector.view().refused == ()
        finally:
            report = rig.collector.stop()
    assert report.good
    assert [one["end_cause"] for one in rig.segments(BTC)] == ["stop"]
    assert [one["end_cause"] for one in rig.segments("BTC/USD")] == ["stop"]


@on_markets("kraken spot")
def test_where_all_names_are_bad_a_market_subscribed_later_is_collected(
    tmp_path: Path, market: Market
) -> None:
    first, _ = market.symbols
    with Simulator(symbols={market.exchange: list(market.symbols)}, updates_per_s=100.0) as simulator:
        rig = Rig(simulator, str(tmp_path / "live.db"), ["NOPE/USDT"], market)
        rig.collector.start()
        try:
            assert rig.collector.wait(60.0)  # there is nothing to collect, and it says so at once
            assert any("NOPE" in text for text in rig.collector.view().refused)
            assert [key.symbol for key in rig.collector.subscribe(market.exchange, first)] == [first]
            wait_until(lambda: rig.written(first) > 20, "the market")
            assert rig.collector.unsubscribe(market.exchange, "NOPE/USDT") == []
            assert rig.collector.view().refused == ()
        finally:
            report = rig.collector.stop()
    assert report.good
    rig.check_rows(first)


def test_a_market_listed_after_the_start_can_be_subscribed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(market_list, "LEAST_BETWEEN_S", 0.0)
    with Simulator(symbols={"bybit": [BTC]}, updates_per_s=100.0) as simulator:
        rig = Rig(simulator, str(tmp_path / "live.db"), [BTC])
        rig.collector.start()
        try:
            rig.wait_until_verified()
            with pytest.raises(UserError, match="'NEW/USDT:USDT' is not a market there"):
                rig.collector.check_symbols("bybit", NEW)
            simulator.faults.enlist("bybit", NEW)
            rig.collector.check_symbols("bybit", NEW)
            assert [key.symbol for key in rig.collector.subscribe("bybit", NEW)] == [NEW]
            wait_until(lambda: rig.written(NEW) > 20, "the new market")
        finally:
            report = rig.collector.stop()
    assert report.good
    rig.check_rows(NEW)
    assert [one["end_cause"] for one in rig.segments(BTC)] == ["stop"]


def test_a_name_that_was_none_is_collected_once_it_is_listed_and_a_delisted_market_is_told(
    tmp_path: Path,
) -> None:
    halts: list[PotentialHalt] = []
    found: list[MarketsFound] = []
    with Simulator(symbols={"bybit": [BTC, ETH]}, updates_per_s=100.0) as simulator:
        rig = Rig(simulator, str(tmp_path / "live.db"), [BTC, ETH, NEW], stream__markets_every_s=0.2)
        rig.collector.events.attach(PotentialHalt, halts.append)
        rig.collector.events.attach(MarketsFound, found.append)
        rig.collector.start()
        try:
            wait_until(lambda: min(rig.written(BTC), rig.written(ETH)) > 5, "the others")
            simulator.faults.enlist("bybit", NEW)
            wait_until(lambda: rig.written(NEW) > 5, "the new market")
            assert [one.names for one in found] == [(NEW,)]
            assert rig.collector.view().refused == ()
            simulator.faults.delist("bybit", ETH)
            wait_until(lambda: [one for one in halts if one.code == "delisted"], "told")
            assert "bybit: ETH/USDT:USDT is not listed any more" in rig.collector.view().refused
            wait_until(lambda: rig.segments(ETH)[-1]["end_cause"] is not None, "its end")
            before = rig.written(BTC)
            wait_until(lambda: rig.written(BTC) > before + 20, "the other goes on")
            state = rig.collector.jobs.state("markets")
            assert (state.runs > 2, state.failures, state.last_text[:12]) == (True, 0, "bybit lists ")
        finally:
            report = rig.collector.stop()
    assert report.exact
    assert report.good  # a market that is gone is no loss: `collect` ends with exit code 0
    assert [(one.code, one.symbol) for one in halts if one.symbol is not None] == [
        ("bad_symbol", NEW),
        ("delisted", ETH),
    ]
    assert [one["end_cause"] for one in rig.segments(BTC)] == ["stop"]
    assert rig.segments(ETH)[-1]["end_cause"] == "delisted"
