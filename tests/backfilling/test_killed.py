"""What a back-fill that was killed again and again leaves is what the exchanges have: each row once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from backfill_rig import (
    HOUR_MS,
    KEY,
    NS_A_MS,
    SYMBOLS,
    bars_in,
    configured,
    rows_of,
    simulated,
    trades_in,
    true_bars,
    true_trades,
    whole_past,
)

from collector.query.audit.run_checks import run_audit
from collector.simulator import Simulator

ROOT, SCRIPT = Path(__file__).parents[2], Path(__file__).with_name("killed.py")


def bring_in(folder: Path, start_ms: int, end_ms: int, rows: int, *kills: int) -> None:
    words = (folder / "past.yaml", start_ms, end_ms, rows, *kills)
    environment = {**os.environ, **KEY, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, SCRIPT, *map(str, words)],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def check_against_truth(simulator: Simulator, path: Path, start_ms: int, end_ms: int) -> None:
    for exchange, symbols in simulator.symbols.items():
        for symbol in symbols:
            name = f"{exchange} {symbol}"
            bars = bars_in(path, exchange, symbol)
            assert bars == true_bars(simulator, exchange, symbol, start_ms, end_ms), name
            if exchange != "bybit":  # whose trades of the past nobody has
                trades = trades_in(path, exchange, symbol)
                assert trades == true_trades(simulator, exchange, symbol, start_ms, end_ms), name


def check_coverage(path: Path, start_ms: int, end_ms: int) -> None:
    """See that filled segments meet, from the start to the end."""
    query = "SELECT exchange, symbol, channel, start_ns, alive_until_ns, end_cause FROM collector_coverage"
    found = rows_of(path, f"{query} ORDER BY exchange, symbol, channel, start_ns")
    reached: dict[tuple[str, ...], int] = {}
    for *key, begin_ns, until_ns, cause in found:
        stream = tuple(key)
        assert cause == "filled"
        assert begin_ns <= reached.setdefault(stream, start_ms * NS_A_MS), stream
        reached[stream] = max(reached[stream], until_ns)
    for stream, until_ns in reached.items():
        assert until_ns >= end_ms * NS_A_MS, stream
    assert len(reached) == 2 * sum(map(len, SYMBOLS.values())) - len(SYMBOLS["bybit"])


def test_a_back_fill_that_is_killed_five_times_brings_in_what_is_true(tmp_path: Path) -> None:
    start_ms, end_ms = whole_past()
    with simulated() as simulator:
        configured(simulator, tmp_path)
        path = tmp_path / "past.db"
        bring_in(tmp_path, start_ms, end_ms, 60, 1, 4, 9, 2, 7)
        check_against_truth(simulator, path, start_ms, end_ms)
    check_coverage(path, start_ms, end_ms)
    ended = [cause for (cause,) in rows_of(path, "SELECT end_cause FROM collector_sessions")]
    assert sorted(ended) == [*["crash"] * 5, "stop"]
    assert list(run_audit(path).findings) == []


@pytest.mark.proof
def test_a_day_of_bars_and_an_hour_of_trades_of_ten_symbols_each(tmp_path: Path) -> None:
    bases = ("BTC", "ETH", "SOL", "XRP", "DOGE", "ADA", "LTC", "LINK", "DOT", "AVAX")
    spot, linear = [f"{one}/USDT" for one in bases[:5]], [f"{one}/USDT:USDT" for one in bases[5:]]
    symbols = dict.fromkeys(("bybit", "binance", "okx"), spot + linear)
    symbols["kraken"] = [f"{one}/USD" for one in bases]
    _, end_ms = whole_past()
    with simulated(symbols) as simulator:
        path = tmp_path / "past.db"
        for channel, begin_ms in (("ohlcv.1m", end_ms - 11 * HOUR_MS), ("trade", end_ms - HOUR_MS)):
            configured(simulator, tmp_path, [channel])
            bring_in(tmp_path, begin_ms, end_ms, 100, 3, 40, 20, 60, 30)
        for exchange, own in symbols.items():
            for symbol in own:
                bars = true_bars(simulator, exchange, symbol, end_ms - 11 * HOUR_MS, end_ms)
                assert bars_in(path, exchange, symbol) == bars
                trades = true_trades(simulator, exchange, symbol, end_ms - HOUR_MS, end_ms)
                assert exchange == "bybit" or trades_in(path, exchange, symbol) == trades
    assert list(run_audit(path).findings) == []
