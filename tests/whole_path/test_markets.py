"""Every market, through the same code: rows equal to the truth."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from rig import Market, Rig, on_markets, running, stop_and_check, wait_until


def wait_for_updates(rig: Rig, updates: int = 20) -> None:
    for symbol in rig.symbols:
        before = rig.written(symbol)
        wait_until(lambda symbol=symbol, before=before: rig.written(symbol) > before + updates, "updates")


def causes(rig: Rig, symbol: str) -> list[str | None]:
    return [one["end_cause"] for one in rig.segments(symbol)]


@on_markets("binance spot", "kraken spot")  # Bybit: test_collecting.py; OKX: test_okx.py
def test_every_update_is_a_row_equal_to_the_truth(tmp_path: Path, market: Market) -> None:
    with running(tmp_path / "live.db", market=market) as rig:
        wait_for_updates(rig, 50)
        for feed in rig.collector.stream.feeds:
            for connection in feed._connections.connections:
                assert (
                    not connection._socket._ccxt.orderbooks
                )  # no frame of a book goes through ccxt's own as well
        report = stop_and_check(rig)
        assert report.good
        for symbol in rig.symbols:
            assert causes(rig, symbol) == ["stop"]


@pytest.mark.parametrize("updates", [200, pytest.param(1000, marks=pytest.mark.proof)])
@on_markets("kraken spot")
def test_a_burst_is_stored_whole(tmp_path: Path, market: Market, updates: int) -> None:
    with running(tmp_path / "live.db", market=market) as rig:
        wait_for_updates(rig, 5)
        rig.simulator.pause()
        rig.wait_for_all()
        before = {symbol: rig.written(symbol) for symbol in rig.symbols}
        rig.simulator.publish(updates)
        stop_and_check(rig)
        for symbol in rig.symbols:
            assert rig.written(symbol) == before[symbol] + updates
            assert causes(rig, symbol) == ["stop"]


@on_markets("binance spot", "kraken spot")  # Bybit: test_collecting.py
def test_bad_frames_are_counted_and_the_stream_goes_on(tmp_path: Path, market: Market) -> None:
    frames = [
        "hello",
        "",
        "[" * 5000,
        '{"e":"depthUpdate"',
        '{"channel":"book","data":[1]}',
        '{"topic":"orderbook.50.X"}',
    ]
    with running(tmp_path / "live.db", market=market) as rig:
        for text in frames:
            rig.simulator.faults.raw_frame(market.exchange, text)
        wait_for_updates(rig)
        report = stop_and_check(rig)
        unknown = next(state for state in report.accounting if state.symbol == "_unknown")
        assert (
            unknown.rejected_total == unknown.received >= 4
        )  # what is no frame of this exchange is left to ccxt
        for symbol in rig.symbols:
            assert causes(rig, symbol) == ["stop"]
