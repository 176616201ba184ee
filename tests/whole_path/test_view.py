"""A running collector shown as it stands: what the live table, a dashboard and a watchdog read."""

import sys
import threading
from pathlib import Path

import pytest

from collector.app.collector import Collector
from collector.app.view import StreamView
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from rig import BTC, ETH, Rig, running, stop_and_check, wait_until


def of(rig: Rig, symbol: str) -> StreamView:
    (found,) = [stream for stream in rig.collector.view().streams if stream.key.symbol == symbol]
    return found


def on_the_way(rig: Rig) -> int:
    view = rig.collector.view()
    return view.pending + view.difference


def test_a_view_shows_each_stream_its_prices_and_what_became_of_its_events(tmp_path: Path) -> None:
    with running(tmp_path / "live.db") as rig:
        rig.wait_until_verified(rows=20)
        rig.simulator.pause()
        rig.wait_for_all()
        wait_until(lambda: not on_the_way(rig), "all committed")
        view = rig.collector.view()
        assert view.answers
        assert (view.difference, view.dropped, view.halts, view.refused) == (0, 0, 0, ())
        assert view.database == str(tmp_path / "live.db")
        assert set(view.connections.values()) == {"connected"}
        for symbol in (BTC, ETH):
            stream = of(rig, symbol)
            state = rig.simulator.truth.books("bybit", symbol, "book.50")[-1]
            assert stream.state == "verified"
            assert stream.counts.written == rig.received(symbol) > 0
            assert stream.glance is not None
            assert (stream.glance.bid, stream.glance.ask) == (state.bids[0][0], state.asks[0][0])
            assert stream.glance.exchange_ms == state.exchange_ms
            assert 0 <= (stream.glance.lag_ms or -1) < 60_000
            assert (stream.gaps, stream.last_cause) == (0, "")
        assert view.writer.rows >= sum(stream.counts.written for stream in view.streams)  # and events
        stop_and_check(rig)
        assert not rig.collector.view().answers  # nobody there to ask
        assert of(rig, BTC).gaps == 0  # to be stopped is no gap


def test_a_view_shows_how_often_a_stream_broke_and_why(tmp_path: Path) -> None:
    with running(tmp_path / "live.db") as rig:
        rig.simulator.faults.gap("bybit", BTC)
        wait_until(lambda: rig.snapshots(BTC) >= 2, "verified again")
        wait_until(lambda: of(rig, BTC).state == "verified", "shown as verified")
        assert (of(rig, BTC).gaps, of(rig, BTC).last_cause) == (1, "sequence_gap")
        assert (of(rig, ETH).gaps, of(rig, ETH).last_cause) == (0, "")


def test_a_view_shows_a_stream_without_a_connection_as_down(tmp_path: Path) -> None:
    with running(tmp_path / "live.db", [BTC]) as rig:
        rig.simulator.faults.refuse("bybit", 503, count=1000)
        rig.simulator.faults.close(exchange="bybit")
        wait_until(lambda: of(rig, BTC).state == "down", "shown as down")
        shown = of(rig, BTC)
        assert shown.last_cause == "disconnect"
        assert shown.glance is not None
        assert shown.glance.bid is None


@pytest.mark.parametrize("turns", [2, pytest.param(20, marks=pytest.mark.proof)])
def test_whoever_looks_while_it_stops_is_answered(tmp_path: Path, turns: int) -> None:
    """A table or a watchdog of another thread looks at any moment, also while the loop is being closed."""
    raised: list[BaseException] = []

    def look_on(collector: Collector, over: threading.Event) -> None:
        try:
            while not over.is_set():
                collector.view()
        except BaseException as error:  # noqa: BLE001  (the test looks)
            raised.append(error)

    with Simulator(symbols={"bybit": [BTC]}, updates_per_s=50.0) as simulator:
        for turn in range(turns):
            rig = Rig(simulator, str(tmp_path / f"{turn}.db"), [BTC])
            over = threading.Event()
            lookers = [threading.Thread(target=look_on, args=(rig.collector, over)) for _ in range(3)]
            rig.collector.start()
            try:
                for looker in lookers:
                    looker.start()
                rig.wait_until_verified()
            finally:
                report = rig.collector.stop()
                over.set()
                for looker in lookers:
                    looker.join(60.0)
            assert report.good
    assert raised == []
