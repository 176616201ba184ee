"""What a back-fill that was killed again and again leaves is what the exchanges have: each row once."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from backfill_rig import (
    HOUR_MS,
    KEY,
    MINUTE_MS,
    NS_A_MS,
    bars_in,
    configured,
    rows_of,
    simulated,
    trades_in,
    true_bars,
    true_trades,
    whole_past,
)

sys.path.insert(0, str(Path(__file__).parents[1]))
from ready_tables import lay_tables

from collector.query.audit.run_checks import run_audit
from collector.simulator import Simulator

FEW = {
    "bybit": ["BTC/USDT:USDT"],
    "binance": ["BTC/USDT"],
    "kraken": ["BTC/USD"],
    "okx": ["BTC/USDT:USDT"],
}
ROOT, SCRIPT = Path(__file__).parents[2], Path(__file__).with_name("killed.py")


def bring_in(folder: Path, start_ms: int, end_ms: int, rows: int, *kills: int) -> None:
    lay_tables(str(folder / "past.db"))
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
    assert len(reached) == 2 * len(FEW) - 1, "all but Bybit's trades"


@pytest.mark.parametrize(
    ("rows", "kills"), [(60, (1, 4)), pytest.param(30, (1, 5, 12, 3, 9), marks=pytest.mark.proof)]
)
def test_a_back_fill_that_is_killed_again_and_again_brings_in_what_is_true(
    tmp_path: Path, rows: int, kills: tuple[int, ...]
) -> None:
    start_ms, end_ms = whole_past()
    with simulated(FEW) as simulator:
        configured(simulator, tmp_path)
        path = tmp_path / "past.db"
        bring_in(tmp_path, start_ms, end_ms, rows, *kills)
        check_against_truth(simulator, path, start_ms, end_ms)
    check_coverage(path, start_ms, end_ms)
    ended = [cause for (cause,) in rows_of(path, "SELECT end_cause FROM collector_sessions")]
    assert sorted(ended) == [*["crash"] * len(kills), "stop"]
    assert list(run_audit(path).findings) == []


@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_a_day_of_bars_and_an_hour_of_trades_of_ten_symbols_each(tmp_path: Path) -> None:
    """Of Kraken, which has 720 bars, half a day; of Bybit, which has no trades of the past, only bars."""
    bases = ("BTC", "ETH", "SOL", "XRP", "DOGE", "ADA", "LTC", "LINK", "DOT", "AVAX")
    spot, linear = [f"{one}/USDT" for one in bases[:5]], [f"{one}/USDT:USDT" for one in bases[5:]]
    symbols = dict.fromkeys(("bybit", "binance", "okx"), spot + linear) | {
        "kraken": [f"{one}/USD" for one in bases]
    }
    path, (_, end_ms) = tmp_path / "past.db", whole_past()
    asked = [
        (["bybit", "binance", "okx"], "ohlcv.1m", end_ms - 24 * HOUR_MS),
        (["kraken"], "ohlcv.1m", end_ms - 11 * HOUR_MS),
        (["binance", "okx", "kraken"], "trade", end_ms - HOUR_MS),
    ]
    with simulated(symbols) as simulator:
        for names, channel, start_ms in asked:
            configured(simulator, tmp_path, [channel], names)
            bring_in(tmp_path, start_ms, end_ms, 100, 3, 40, 20, 60, 30)
            for name in names:
                for symbol in symbols[name]:
                    if channel == "trade":
                        true = true_trades(simulator, name, symbol, start_ms, end_ms)
                        assert trades_in(path, name, symbol) == true, (name, symbol)
                    else:
                        true = true_bars(simulator, name, symbol, start_ms, end_ms)
                        assert bars_in(path, name, symbol) == true, (name, symbol)
    assert list(run_audit(path).findings) == []


@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_a_year_of_bars_takes_no_more_memory_than_a_month(tmp_path: Path) -> None:
    names = {"binance": ["BTC/USDT", "ETH/USDT", "SOL/USDT"]}
    now_ms = time.time_ns() // NS_A_MS // MINUTE_MS * MINUTE_MS
    peaks = []
    with simulated(names, history_days=370.0, trades_a_minute=1) as simulator:
        configured(simulator, tmp_path, ["ohlcv.1m"])
        for days in (30, 365):
            script = (
                "import resource, sys; sys.path.insert(0, sys.argv[1]); import killed;"
                "killed.main(*sys.argv[2:]);"
                "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)"
            )
            words = (SCRIPT.parent, tmp_path / "past.yaml", now_ms - days * 24 * HOUR_MS, now_ms, 1000)
            done = subprocess.run(
                [sys.executable, "-c", script, *map(str, words)],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                check=True,
                timeout=1800,
            )
            peaks.append(int(done.stdout.split()[-1]))
    ((count,),) = rows_of(tmp_path / "past.db", "SELECT count(*) FROM collector_ohlcv")
    assert count >= 3 * 365 * 24 * 60 - 3
    assert peaks[1] < peaks[0] + 20, peaks  # MB
