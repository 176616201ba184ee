"""Whole collectors whose books Python keeps, and such whose books the kernel keeps: the same promises."""

import json
import sys
from pathlib import Path

import pytest

from collector.book import CompiledBook
from collector.errors import UserError

sys.path.insert(0, str(Path(__file__).parent))
from rig import Market, Rig, on_markets, running, stop_and_check, wait_until
from test_nasty import FEW, SHORT_S, check, live_through


def kept_by_kernel(rig: Rig) -> set[bool]:
    """Look at the books: whether compiled code keeps them."""
    (feed,) = rig.collector.stream.feeds
    books = [stream._book.book for stream in feed._connections.streams]
    return {isinstance(book, CompiledBook) for book in books}


@on_markets("bybit linear", "binance spot")
def test_rows_are_the_truth_before_and_after_a_gap(
    tmp_path: Path, market: Market, either_kernel: str
) -> None:
    has_kernel = either_kernel.startswith("compiled") and market.exchange in {"bybit", "binance"}
    with running(tmp_path / "live.db", market=market) as rig:
        assert kept_by_kernel(rig) == {has_kernel}
        for symbol in rig.symbols:
            wait_until(lambda symbol=symbol: rig.written(symbol) > 50, "updates")
            rig.simulator.faults.drop_frame(market.exchange, symbol, market.channel)
        rig.wait_until_verified_again()
        for symbol in rig.symbols:
            before = rig.written(symbol)
            wait_until(lambda symbol=symbol, before=before: rig.written(symbol) > before + 50, "more updates")
        report = rig.collector.stop()
        rig.check(report, all_came=False)
        causes = {one["end_cause"] for symbol in rig.symbols for one in rig.segments(symbol)}
        assert causes == {"stop", "sequence_gap" if market.exchange != "kraken" else "checksum"}
    assert {one["books"] for one in json.loads(rig.collector.session.wanted).values()} == {either_kernel}


def test_a_burst_is_stored_whole_by_the_kernel(tmp_path: Path, either_kernel: str) -> None:
    with running(tmp_path / "live.db", ["BTC/USDT:USDT"], updates_per_s=0.0) as rig:
        rig.simulator.publish(300, "BTC/USDT:USDT")
        report = stop_and_check(rig)
        assert report.good
        assert len(rig.rows("BTC/USDT:USDT")) == 301
    assert either_kernel


def test_no_start_without_the_kernel_that_is_required(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "collector_kernel", None)
    with (
        pytest.raises(UserError, match="no kernel is installed"),
        running(tmp_path / "live.db", stream__kernel="required"),
    ):
        pass


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(3, 9))
def test_coverage_is_true_in_a_nasty_market_with_either(
    tmp_path: Path, seed: int, either_kernel: str
) -> None:
    outcome = live_through(f"sqlite:///{tmp_path / 'live.db'}", seed, SHORT_S, FEW)
    assert outcome.reckoning.rows > 500, (either_kernel, outcome)
    check(outcome)
