"""What goes wrong on a connection: noticed in time, told by its name in coverage, mended without help."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.events.notices import PotentialHalt, SegmentChanged, State, SystemState
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from rig import BTC, ETH, MARKETS, Rig, running, stop_and_check, wait_until

FAST = {"stream__heartbeat_s": 0.3, "stream__subscribe_timeout_s": 1.0, "stream__connect_timeout_s": 1.0}


CONNECTION_FAULTS: dict[str, Callable[[Simulator], object]] = {
    **{
        f"close {code}": lambda sim, code=code: sim.faults.close(exchange="bybit", code=code)
        for code in (1000, 1001, 1011, 1012)
    },
    "cut without a closing frame": lambda sim: sim.faults.close(exchange="bybit"),
    "half open": lambda sim: sim.faults.half_open("bybit"),
    "too large a frame": lambda sim: sim.faults.huge_frame("bybit", 12_000_000),
    "the exchange's own limit": lambda sim: sim.faults.expire("bybit"),
}


@pytest.mark.parametrize("fault", CONNECTION_FAULTS)
def test_a_lost_connection_is_a_hole_with_a_cause_and_comes_back(tmp_path: Path, fault: str) -> None:
    with running(tmp_path / "live.db", **FAST) as rig:
        wait_until(lambda: rig.received(BTC) > 20, "some updates")
        CONNECTION_FAULTS[fault](rig.simulator)
        wait_until(lambda: min(rig.snapshots(BTC), rig.snapshots(ETH)) >= 2, "verified again")
        before = rig.received(ETH)
        wait_until(lambda: rig.received(ETH) > before + 20, "updates after it")
        report = rig.collector.stop()
        assert report.good
        for symbol in (BTC, ETH):
            first, second = rig.segments(symbol)
            assert first["end_cause"] == "disconnect"
            assert first["detail"]
            assert second["end_cause"] == "stop"
            assert first["end_ns"] <= first["alive_until_ns"] < second["start_ns"]


def test_compression_is_not_agreed_so_that_no_bomb_can_come_in(tmp_path: Path) -> None:
    with running(tmp_path / "live.db", [BTC]) as rig:
        assert rig.simulator.faults.bomb("bybit") == 0  # no connection that could take one


def test_a_refused_and_a_silent_door_are_tried_until_they_open(tmp_path: Path) -> None:
    with running(tmp_path / "live.db", [BTC], **FAST) as rig:
        rig.simulator.faults.refuse("bybit", 503, count=3)
        rig.simulator.faults.accept_silently("bybit", count=1)
        rig.simulator.faults.reset("bybit")
        rig.wait_until_verified_again()
        report = rig.collector.stop()
        assert report.good
        assert [one["end_cause"] for one in rig.segments(BTC)] == ["disconnect", "stop"]


def test_a_subscription_that_is_never_answered_is_made_again(tmp_path: Path) -> None:
    with running(tmp_path / "live.db", [BTC], **FAST) as rig:
        rig.simulator.faults.ignore_subscription("bybit", count=1)
        rig.simulator.faults.reset("bybit")
        rig.wait_until_verified_again()
        assert rig.collector.stop().good


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


def test_a_stalled_topic_is_found_stale_and_a_quiet_one_is_not(tmp_path: Path) -> None:
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
        rig.simulator.pause()  # from here on both are quiet
        quiet = snapshots_sent(rig, BTC), snapshots_sent(rig, ETH)
        wait_until(lambda: snapshots_sent(rig, BTC) > quiet[0], "questioned")
        wait_until(lambda: snapshots_sent(rig, ETH) > quiet[1], "questioned")
        stop_and_check(rig)
        assert rig.segments(BTC)[0]["end_cause"] == "stale"
        assert rig.segments(BTC)[0]["alive_until_ns"] == rig.segments(BTC)[0]["end_ns"]
        assert rig.segments(BTC)[-1]["end_cause"] == "stop"
        assert [one["end_cause"] for one in rig.segments(ETH)] == ["stop"]


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (lambda sim: sim.faults.restart("bybit", BTC), "restart"),
        (lambda sim: sim.faults.bad_number("bybit", BTC, value="NaN"), "not_finite"),
        (lambda sim: sim.faults.bad_number("bybit", BTC, value="-1"), "out_of_range"),
        (lambda sim: sim.faults.bad_number("bybit", BTC, value="1e400"), "sequence_gap"),  # no number at all
        (lambda sim: sim.faults.crossed_book("bybit", BTC), "crossed"),
    ],
    ids=["restart", "nan", "negative", "1e400", "crossed"],
)
def test_a_doubtful_book_stops_at_once_and_alone(
    tmp_path: Path, fault: Callable[[Simulator], None], cause: str
) -> None:
    with running(tmp_path / "live.db") as rig:
        wait_until(lambda: rig.received(BTC) > 20, "some updates")
        fault(rig.simulator)
        wait_until(lambda: rig.snapshots(BTC) >= 2, "a new snapshot")
        before = rig.received(BTC)
        wait_until(lambda: rig.received(BTC) > before + 20, "updates after it")
        report = rig.collector.stop()
        assert report.good
        assert rig.segments(BTC)[0]["end_cause"] == cause
        assert rig.segments(BTC)[-1]["end_cause"] == "stop"
        assert [one["end_cause"] for one in rig.segments(ETH)] == ["stop"]
        for row in rig.rows(BTC):
            assert 0 < row["bid_price_1"] < row["ask_price_1"] < 1e6


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


def snapshots_sent(rig: Rig, symbol: str) -> int:
    return sum(one.kind == "snapshot" for one in rig.simulator.truth.sent("bybit", symbol, "book.50"))


def test_what_an_exchange_says_of_itself_is_told(tmp_path: Path) -> None:
    states: list[SystemState] = []
    with Simulator(symbols={"kraken": ["BTC/USD"]}, updates_per_s=100.0) as simulator:
        market = next(one for one in MARKETS if one.exchange == "kraken")
        rig = Rig(simulator, str(tmp_path / "live.db"), ["BTC/USD"], market)
        rig.collector.events.attach(SystemState, states.append)
        rig.collector.start()
        try:
            rig.wait_until_verified(5)
            assert State.ONLINE in {one.state for one in states}
            simulator.faults.status("kraken", "maintenance")
            wait_until(lambda: State.MAINTENANCE in {one.state for one in states}, "the status")
            simulator.faults.status("kraken", "on_holiday")
            wait_until(lambda: State.OTHER in {one.state for one in states}, "a word that nobody knows")
            assert states[-1].cause == "on_holiday"
            rig.wait_until_verified(rig.written("BTC/USD") + 5)
        finally:
            report = rig.collector.stop()
    assert report.good
    assert [one["end_cause"] for one in rig.segments("BTC/USD")] == ["stop"]
