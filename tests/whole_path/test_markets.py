"""Every market, through the same code: rows equal to the truth, faults noticed, other symbols untouched."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from rig import MARKETS, Market, Rig, running, stop_and_check, wait_until

FAST = {"stream__heartbeat_s": 0.5, "stream__subscribe_timeout_s": 2.0, "stream__connect_timeout_s": 2.0}
each_market = pytest.mark.parametrize("market", MARKETS, ids=str)


def wait_for_updates(rig: Rig, updates: int = 20) -> None:
    for symbol in rig.symbols:
        before = rig.written(symbol)
        wait_until(lambda symbol=symbol, before=before: rig.written(symbol) > before + updates, "updates")


def causes(rig: Rig, symbol: str) -> list[str | None]:
    return [one["end_cause"] for one in rig.segments(symbol)]


@each_market
def test_every_update_is_a_row_equal_to_the_truth(tmp_path: Path, market: Market) -> None:
    with running(tmp_path / "live.db", market=market) as rig:
        wait_for_updates(rig, 100)
        for feed in rig.collector.stream.feeds:
            for connection in feed._fleet.connections:
                assert (
                    not connection._socket._ccxt.orderbooks
                )  # no frame of a book goes through ccxt's own as well
        report = stop_and_check(rig)
        assert report.good
        for symbol in rig.symbols:
            assert causes(rig, symbol) == ["stop"]


@each_market
def test_a_burst_is_stored_whole(tmp_path: Path, market: Market) -> None:
    with running(tmp_path / "live.db", market=market) as rig:
        wait_for_updates(rig, 5)
        rig.simulator.pause()
        rig.wait_for_all()
        before = {symbol: rig.written(symbol) for symbol in rig.symbols}
        rig.simulator.publish(2000)
        stop_and_check(rig)
        for symbol in rig.symbols:
            assert rig.written(symbol) == before[symbol] + 2000
            assert causes(rig, symbol) == ["stop"]


@each_market
@pytest.mark.parametrize("fault", ["reset", "half_open"])
def test_a_lost_connection_is_a_hole_and_comes_back(tmp_path: Path, market: Market, fault: str) -> None:
    with running(tmp_path / "live.db", market=market, **FAST) as rig:
        wait_for_updates(rig)
        getattr(rig.simulator.faults, fault)(market.exchange)
        rig.wait_until_verified_again()
        wait_for_updates(rig)
        assert rig.collector.stop().good
        for symbol in rig.symbols:
            assert causes(rig, symbol) == ["disconnect", "stop"]
            rig.check_rows(symbol)


@each_market
def test_a_dropped_frame_refetches_that_symbol_alone(tmp_path: Path, market: Market) -> None:
    with running(tmp_path / "live.db", market=market) as rig:
        wait_for_updates(rig)
        broken, untouched = rig.symbols
        rig.simulator.faults.drop_frame(market.exchange, broken, market.channel)
        wait_until(lambda: rig.snapshots(broken) == 2, "verified again")
        wait_for_updates(rig)
        assert rig.collector.stop().good
        assert causes(rig, broken) == ["checksum" if market.exchange == "kraken" else "sequence_gap", "stop"]
        assert causes(rig, untouched) == ["stop"]
        rig.check_rows(broken)


@each_market
@pytest.mark.parametrize(
    ("value", "part", "cause"),
    [("NaN", "price", "not_finite"), ("-1", "price", "out_of_range"), ("-1", "size", "out_of_range")],
)
def test_an_impossible_number_never_becomes_a_row(
    tmp_path: Path, market: Market, value: str, part: str, cause: str
) -> None:
    with running(tmp_path / "live.db", market=market) as rig:
        wait_for_updates(rig)
        broken, untouched = rig.symbols
        rig.simulator.faults.bad_number(market.exchange, broken, market.channel, value=value, part=part)
        wait_until(lambda: rig.snapshots(broken) == 2, "verified again")
        wait_for_updates(rig)
        assert rig.collector.stop().good
        found = causes(rig, broken)
        assert found in ([cause, "stop"], ["checksum", "stop"], ["sequence_gap", "stop"])
        assert causes(rig, untouched) == ["stop"]
        rig.check_rows(broken)


@each_market
def test_a_crossed_book_never_becomes_a_row(tmp_path: Path, market: Market) -> None:
    with running(tmp_path / "live.db", market=market) as rig:
        wait_for_updates(rig)
        crossed, untouched = rig.symbols
        rig.simulator.faults.crossed_book(market.exchange, crossed)
        wait_until(lambda: rig.snapshots(crossed) >= 2, "verified again")
        wait_for_updates(rig)
        assert rig.collector.stop().good
        assert causes(rig, crossed)[0] == "crossed"
        assert causes(rig, untouched) == ["stop"]
        for row in rig.rows(crossed):
            assert row["bid_price_1"] < row["ask_price_1"]


@each_market
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
