"""What goes wrong, beyond what the table in test_fault_table.py says of each fault by itself."""

import sys
from pathlib import Path

import pytest

from collector.bot.health import reasons_of
from collector.events.notices import PotentialHalt, SegmentChanged, SnapshotFailed, State, SystemState
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from rig import BTC, ETH, MARKETS, Rig, running, stop_and_check, wait_until

FAST = {"stream__heartbeat_s": 0.3, "stream__subscribe_timeout_s": 1.0, "stream__connect_timeout_s": 1.0}


def test_compression_is_not_agreed_so_that_no_bomb_can_come_in(tmp_path: Path) -> None:
    with running(tmp_path / "live.db", [BTC]) as rig:
        assert rig.simulator.faults.bomb("bybit") == 0  # no connection that could take one


def test_a_refused_subscription_stops_that_stream_alone_and_says_so(tmp_path: Path) -> None:
    halts: list[PotentialHalt] = []
    with Simulator(symbols={"bybit": [BTC, ETH]}, updates_per_s=100.0) as simulator:
        simulator.faults.reject_subscription("bybit", count=2)  # both together, then the first alone
        rig = Rig(simulator, str(tmp_path / "live.db"), [BTC, ETH], **FAST)
        rig.collector.events.attach(PotentialHalt, halts.append)
        rig.collector.start()
        try:
            wait_until(lambda: rig.received(ETH) > 20, "the other stream")
            assert rig.received(BTC) == 0
            assert [(halt.code, halt.symbol) for halt in halts] == [("subscription_refused", BTC)]
        finally:
            report = rig.collector.stop()
    assert report.exact
    assert any(BTC in problem for problem in report.problems)


@pytest.mark.proof  # on each exchange: test_quiet_and_stalled.py
def test_a_stalled_topic_is_found_stale_and_the_others_go_on(tmp_path: Path) -> None:
    with running(tmp_path / "live.db", **FAST, stream__stale_after_s=0.5) as rig:
        ended: list[SegmentChanged] = []
        rig.collector.events.attach(SegmentChanged, ended.append)
        wait_until(lambda: rig.received(BTC) > 20, "some updates")
        rig.simulator.faults.stall("bybit", BTC)
        wait_until(lambda: ended, "found stale")
        assert [(one.symbol, one.cause) for one in ended] == [(BTC, "stale")]
        rig.simulator.faults.unstall("bybit", BTC)
        wait_until(lambda: rig.snapshots(BTC) >= 2, "verified again")
        before = rig.received(BTC)
        wait_until(lambda: rig.received(BTC) > before + 20, "updates again")
        stop_and_check(rig)
        assert rig.segments(BTC)[0]["end_cause"] == "stale"
        assert rig.segments(BTC)[0]["alive_until_ns"] == rig.segments(BTC)[0]["end_ns"]
        assert rig.segments(BTC)[-1]["end_cause"] == "stop"
        assert [one["end_cause"] for one in rig.segments(ETH)] == ["stop"]


def test_mismatches_past_the_threshold_warn_of_a_halt_and_the_resync_goes_on(tmp_path: Path) -> None:
    halts: list[PotentialHalt] = []
    with running(tmp_path / "live.db", [BTC], integrity__max_mismatches=2) as rig:
        rig.collector.events.attach(PotentialHalt, halts.append)
        for time in (2, 3, 4):
            rig.simulator.faults.gap("bybit", BTC)
            wait_until(lambda time=time: rig.snapshots(BTC) >= time, "a new snapshot")
            before = rig.received(BTC)
            wait_until(lambda before=before: rig.received(BTC) > before + 5, "updates after it")
        stop_and_check(rig)
        assert [(halt.code, halt.symbol) for halt in halts] == [("sequence_gap", BTC)]


def test_an_exchange_that_cannot_be_reached_stops_cleanly(tmp_path: Path) -> None:
    with Simulator(symbols={"bybit": [BTC]}) as simulator:
        rig = Rig(simulator, str(tmp_path / "live.db"), [BTC], **FAST, stream__max_reconnect_attempts=3)
    halts: list[PotentialHalt] = []
    states: list[SystemState] = []
    rig.collector.events.attach(PotentialHalt, halts.append)
    rig.collector.events.attach(SystemState, states.append)
    rig.collector.start()  # the simulator is gone: nobody listens there
    wait_until(lambda: len(states) >= 5, "several tries")
    report = rig.collector.stop()
    assert [halt.code for halt in halts] == ["markets"]  # one, and tries go on
    assert halts[0].reason.startswith("attempt 3: ")
    assert {(one.connection, one.state) for one in states} == {("bybit.markets", State.DISCONNECTED)}
    assert report.good


def test_a_rest_that_refuses_access_for_a_while_ends_no_book(tmp_path: Path) -> None:
    """A key that was not renewed in time, a gateway that wants to be signed in to: it passes."""
    halts: list[PotentialHalt] = []
    failed: list[SnapshotFailed] = []
    market = next(one for one in MARKETS if str(one) == "binance spot")
    with running(tmp_path / "live.db", market=market) as rig:
        rig.collector.events.attach(PotentialHalt, halts.append)
        rig.collector.events.attach(SnapshotFailed, failed.append)
        victim = market.symbols[0]
        denied = '{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}'
        rig.simulator.faults.rest_status("binance", 401, count=2, path="depth", body=denied)
        rig.simulator.faults.gap("binance", victim)
        wait_until(lambda: rig.snapshots(victim) >= 2, "verified again")
        assert len(failed) == 2
        assert "-2015" in failed[0].detail
        assert not halts
        stop_and_check(rig)


def snapshots_sent(rig: Rig, symbol: str) -> int:
    return sum(one.kind == "snapshot" for one in rig.simulator.truth.sent("bybit", symbol, "book.50"))


def test_what_an_exchange_says_of_itself_is_told(tmp_path: Path) -> None:
    states: list[SystemState] = []
    halts: list[PotentialHalt] = []
    with Simulator(symbols={"kraken": ["BTC/USD"]}, updates_per_s=100.0) as simulator:
        market = next(one for one in MARKETS if one.exchange == "kraken")
        rig = Rig(simulator, str(tmp_path / "live.db"), ["BTC/USD"], market)
        rig.collector.events.attach(SystemState, states.append)
        rig.collector.events.attach(PotentialHalt, halts.append)
        rig.collector.start()
        try:
            rig.wait_until_verified(5)
            assert State.ONLINE in {one.state for one in states}
            simulator.faults.status("kraken", "maintenance")
            wait_until(lambda: State.MAINTENANCE in {one.state for one in states}, "the status")
            simulator.faults.status("kraken", "on_holiday")
            wait_until(lambda: State.OTHER in {one.state for one in states}, "a word that nobody knows")
            assert states[-1].cause == "on_holiday"
            assert list(reasons_of(rig.collector.view())) == ["kraken says of itself: on_holiday"]
            assert [(halt.code, halt.reason) for halt in halts] == [
                ("exchange_status", "kraken is under maintenance"),
                ("exchange_status", "kraken says of itself: on_holiday"),
            ]
            simulator.faults.status("kraken", "online")
            wait_until(lambda: not list(reasons_of(rig.collector.view())), "well again")
            rig.wait_until_verified(rig.written("BTC/USD") + 5)
        finally:
            report = rig.collector.stop()
    assert report.good
    assert [one["end_cause"] for one in rig.segments("BTC/USD")] == ["stop"]
