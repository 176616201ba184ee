"""Load: everything that was sent is taken in, in unbroken order, whatever the rate. Speed is not judged."""

import sys
from pathlib import Path

import numpy as np
import pytest

from collector.query.audit import run_audit

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from bench.collector_programs import without_database
from bench.programs import Running
from bench.server import BookServer
from rig import BYBIT_LINEAR, COMPARED, MARKETS, Market, Rig, as_row, on_markets, running

WITHOUT_OKX = [str(market) for market in MARKETS if market.exchange != "okx"]  # which the long run has

short_and_long = pytest.mark.parametrize("frames", [1_000, pytest.param(20_000, marks=pytest.mark.proof)])
BURST = 10  # updates of each of a hundred symbols at once
ROUND = 100_000  # updates
LEAST_KEPT_BYTES = 4.0  # half a pointer: nothing at all is kept of an update; a higher backlog is a step


def symbols_like(market: Market, count: int) -> list[str]:
    _, slash, rest = market.symbols[0].partition("/")
    return [f"X{number:03d}{slash}{rest}" for number in range(count)]


def stop_and_check_unbroken(rig: Rig, frames: int) -> None:
    """Nothing is lost; each book is one segment, whose rows are the published states in their order."""
    rig.simulator.pause()
    rig.wait_for_all()
    report = rig.collector.stop()
    assert report.good, report
    found = run_audit(rig.database)
    assert found.passed, found.findings
    for symbol in rig.symbols:
        (segment,) = rig.segments(symbol)
        rows = rig.rows(symbol)
        assert (segment["end_cause"], segment["rows"]) == ("stop", len(rows))
        assert len(rows) > frames
        states = list(rig.simulator.truth.books(rig.market.exchange, symbol, rig.market.channel))
        published = [(state.sequence, *as_row(state)) for state in states[-frames:]]
        assert [tuple(row[name] for name in ("sequence", *COMPARED)) for row in rows[-frames:]] == published


@pytest.mark.parametrize("frames", [400, pytest.param(20_000, marks=pytest.mark.proof)])
@on_markets("binance spot", "kraken spot")
def test_frames_flat_out_are_taken_in_unbroken(market: Market, frames: int, tmp_path: Path) -> None:
    symbol = market.symbols[0]
    with running(tmp_path / "live.db", [symbol], market=market, updates_per_s=0.0) as rig:
        rig.simulator.prepare(frames, symbol, market.exchange)
        assert rig.simulator.release() == frames
        assert rig.sent(symbol) >= frames
        stop_and_check_unbroken(rig, frames)


def bursts(tmp_path: Path, market: Market, symbols: int, frames: int) -> None:
    names = symbols_like(market, symbols)
    with running(tmp_path / "live.db", names, market=market, updates_per_s=0.0) as rig:
        for _ in range(frames // symbols // BURST):
            rig.simulator.prepare(BURST, exchange=market.exchange)
            rig.simulator.release()
        stop_and_check_unbroken(rig, frames // symbols)


@short_and_long
def test_a_hundred_symbols_in_bursts_are_taken_in_unbroken(tmp_path: Path, frames: int) -> None:
    bursts(tmp_path, BYBIT_LINEAR, 100, frames)


@pytest.mark.proof
@on_markets(*WITHOUT_OKX)
def test_a_hundred_symbols_in_long_bursts_on_every_market(market: Market, tmp_path: Path) -> None:
    bursts(tmp_path, market, 100, 100_000)


def memory_by_updates(
    tmp_path: Path, symbols: int, rounds: int, updates: int = ROUND
) -> tuple[list[float], int]:
    """Send rounds flat out to a collector in a process of its own: its MB after each, and what was lost."""
    memory_mb, lost = [], 0
    with (
        BookServer("bybit linear", symbols) as server,
        Running(without_database, server, tmp_path) as program,
    ):
        for _ in range(rounds):
            use = program.round(updates, 10)
            assert use.is_complete, use
            memory_mb.append(use.resident_mb)
            lost += use.sent - use.seen
    return memory_mb, lost


@pytest.mark.proof
@pytest.mark.timeout(3000)
def test_ten_million_updates_of_five_hundred_symbols_leave_memory_flat(tmp_path: Path) -> None:
    rounds = 100
    memory_mb, lost = memory_by_updates(tmp_path, 500, rounds)
    assert lost == 0
    settled = np.array(memory_mb[rounds // 5 :]) * 2**20
    growth_bytes_a_round = np.polyfit(np.arange(len(settled)), settled, 1)[0]
    assert growth_bytes_a_round / ROUND < LEAST_KEPT_BYTES, memory_mb


@pytest.mark.proof
@pytest.mark.parametrize("updates", [2_000, 20_000, ROUND])
def test_updates_of_five_hundred_symbols_are_all_taken_in(tmp_path: Path, updates: int) -> None:
    _, lost = memory_by_updates(tmp_path, 500, 1, updates)
    assert lost == 0
