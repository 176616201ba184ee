"""Names that only the exchange's own list of markets can settle."""

import sys
from pathlib import Path

from collector.app.collector import Collector
from collector.app.wiring import make_collector
from collector.events.bus import EventBus
from collector.events.market_lists import MarketRepeated
from collector.settings import load_settings
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from rig import wait_until


def made(simulator: Simulator, folder: Path, exchange: str, **own: object) -> tuple[Collector, EventBus]:
    events = EventBus(lambda _: None)
    overrides = {
        f"exchanges.{exchange}": {"endpoints": simulator.endpoints(exchange), **own},
        "database.url": str(folder / "live.db"),
    }
    return make_collector(
        load_settings(overrides=overrides, environ={}, env_file=None), events=events
    ), events


def collected(collector: Collector) -> list[tuple[str, str]]:
    return [(one.key.symbol, one.key.channel) for one in collector.view().collected]


def test_two_names_of_one_market_are_told_and_collected_once(tmp_path: Path) -> None:
    with Simulator(symbols={"kraken": ["BTC/USD"]}, updates_per_s=50.0) as simulator:
        collector, events = made(simulator, tmp_path, "kraken", symbols=["XBT/USD", "BTC/USD"])
        told: list[MarketRepeated] = []
        events.attach(MarketRepeated, told.append)
        collector.start()
        try:
            wait_until(lambda: collected(collector), "a stream")
        finally:
            report = collector.stop()
    assert [(one.symbol, one.names) for one in told] == [("BTC/USD", ("XBT/USD", "BTC/USD"))]
    assert collected(collector) == [("BTC/USD", "book.100")]
    assert report.good


def test_a_book_that_another_kind_does_not_have_is_refused_and_the_others_go_on(tmp_path: Path) -> None:
    """Binance spot has books of 5000 levels, its perpetuals of 1000."""
    with Simulator(symbols={"binance": ["BTC/USDT"]}, updates_per_s=50.0) as simulator:
        collector, _ = made(
            simulator, tmp_path, "binance", symbols=["BTCUSDT"], channels=["book.5000", "bbo"]
        )
        collector.start()
        try:
            wait_until(lambda: len(collected(collector)) == 2, "the streams")
            new = collector.subscribe("binance", "btc/usdt:usdt")
            assert [(key.symbol, key.channel) for key in new] == [("BTC/USDT:USDT", "bbo")]
            (refused,) = collector.view().refused
        finally:
            collector.stop()
    assert refused == (
        "binance: BTC/USDT:USDT book.5000 refused: "
        "a depth that binance does not offer for linear, expected any from 1 to 1000"
    )
