"""The past is brought in whatever becomes of a request, within the limits, and only where it is missing."""

import sys
import time
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from backfill_rig import (
    KEY,
    MINUTE_MS,
    NS_A_MS,
    NoLimits,
    bars_in,
    brought_in,
    configured,
    rows_of,
    simulated,
    small_pages,
    trades_in,
    true_bars,
    true_trades,
    whole_past,
)

from collector.app import wiring_backfill
from collector.backfilling import fetch
from collector.backfilling import plan as planning
from collector.network.budgets import Budgets
from collector.query.audit.run_checks import run_audit
from collector.query.covered import gaps
from collector.query.loaders import load_ohlcv, load_trades
from collector.retry import Backoff
from collector.simulator import Outage

PATHS = {"binance": "aggTrades", "bybit": "kline", "kraken": "Trades", "okx": "history-trades"}
TOO_MANY = '{"code":"50011","msg":"Too Many Requests"}'
COVERAGE = "SELECT start_ns, alive_until_ns, rows, verification, detail FROM collector_coverage"


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make pages of few rows, and no wait between tries."""
    monkeypatch.setattr(planning, "_past_of", planning._past_of)
    monkeypatch.setattr(fetch, "RETRY", Backoff(0.0, 0.0))
    small_pages(60)


@pytest.fixture
def past() -> tuple[int, int]:
    return whole_past()


def check(simulator: Any, path: Path, names: Any, past: tuple[int, int], *, aggregates: bool = True) -> None:
    for name in names:
        for symbol in simulator.symbols[name]:
            assert bars_in(path, name, symbol) == true_bars(simulator, name, symbol, *past), (name, symbol)
            if name != "bybit":
                of_them = aggregates and name == "binance"
                true = true_trades(simulator, name, symbol, *past, aggregates=of_them)
                assert trades_in(path, name, symbol) == true, (name, symbol)


@pytest.mark.usefixtures("pages")
def test_requests_that_fail_are_made_again(
    tmp_path: Path, past: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring_backfill, "TIMEOUT_S", 2.0)
    with simulated() as simulator:
        for name, path in PATHS.items():
            faults = simulator.faults
            faults.rest_status(name, 429, path=path, retry_after_s=1, after=1)
            faults.rest_status(name, 500, path=path, count=2, after=2, body="oops")
            faults.rest_html(name, path=path)
            faults.rest_truncated(name, path=path, count=2)
            faults.rest_nothing(name, path=path)
        simulator.faults.rest_status("binance", 418, path="klines", retry_after_s=1)
        simulator.faults.rest_slow("okx", 4.0, path="history-candles")
        _, progress = brought_in(configured(simulator, tmp_path), *past)
        assert progress is not None
        assert progress.problems == []
        assert progress.failures >= 4 * 5
        check(simulator, tmp_path / "past.db", simulator.symbols, past)
    assert list(run_audit(tmp_path / "past.db").findings) == []


@pytest.mark.usefixtures("pages")
def test_an_exchange_that_bans_is_left_alone_and_the_others_go_on(
    tmp_path: Path, past: tuple[int, int]
) -> None:
    with simulated() as simulator:
        settings = configured(simulator, tmp_path)
        ban: dict[str, Any] = {"path": "history-trades", "retry_after_s": 7200, "after": 3, "body": TOO_MANY}
        simulator.faults.rest_status("okx", 429, **ban)
        _, progress = brought_in(settings, *past)
        assert progress is not None
        (problem,) = progress.problems
        assert "okx refuses all requests until" in problem
        assert "goes on where it ended" in problem
        path = tmp_path / "past.db"
        check(simulator, path, ("bybit", "binance", "kraken"), past)
        assert len(trades_in(path, "okx", "BTC/USDT")) > 0
        _, progress = brought_in(settings, *past, budgets=NoLimits())
        assert progress is not None
        assert not progress.problems
        check(simulator, path, simulator.symbols, past)


@pytest.mark.usefixtures("pages")
def test_what_an_exchange_itself_lacks_is_recorded_and_not_asked_for_again(tmp_path: Path) -> None:
    now_ms = time.time_ns() // NS_A_MS // MINUTE_MS * MINUTE_MS
    past = now_ms - 60 * MINUTE_MS, now_ms - 20 * MINUTE_MS
    hole = now_ms - 45 * MINUTE_MS, now_ms - 40 * MINUTE_MS
    outages = [Outage(name, *hole, lost_ids=7, bars="missing") for name in ("binance", "kraken", "okx")]
    with simulated(outages=outages) as simulator:
        settings = configured(simulator, tmp_path)
        brought_in(settings, *past)
        path = tmp_path / "past.db"
        check(simulator, path, ("binance", "kraken", "okx"), past)
        planned, _ = brought_in(settings, *past, is_dry=True)
        assert [one for one in planned.stretches if one.key.exchange != "bybit"] == []
    query = f"{COVERAGE} WHERE detail IS NOT NULL AND exchange = ? AND channel = ?"
    for name in ("binance", "kraken", "okx"):
        for start_ns, until_ns, rows, verification, detail in rows_of(path, query, name, "ohlcv.1m"):
            assert (start_ns, until_ns) == (hole[0] * NS_A_MS, hole[1] * NS_A_MS)
            assert (rows, verification, detail) == (0, "rest", "the exchange has none of 5 bars")
    (lost,) = rows_of(path, query, "kraken", "trade")
    assert lost[0] < hole[0] * NS_A_MS < hole[1] * NS_A_MS <= lost[1]
    assert lost[2:4] == (0, "rest")
    assert "none of 7 trades" in lost[4]
    assert len(load_ohlcv(path, "BTC/USDT", interval="1m", exchange="binance")) == 35
    assert list(run_audit(path).findings) == []


def test_requests_keep_to_the_limits(tmp_path: Path, past: tuple[int, int]) -> None:
    """Each exchange counts as it publishes, and refuses what is too much: nothing is refused."""
    with simulated() as simulator:
        for name in simulator.symbols:
            simulator.faults.rest_allowance(name, None)
        _, progress = brought_in(configured(simulator, tmp_path), *past, budgets=Budgets())
        assert progress is not None
        assert (progress.failures, progress.problems) == (0, [])


@pytest.mark.usefixtures("pages")
def test_single_trades_come_by_a_key_from_before_what_tells_their_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """USD-M's aggregates reach back a day: what is older is found among all ids."""
    for name, value in KEY.items():
        monkeypatch.setenv(name, value)
    now_ms = time.time_ns() // NS_A_MS
    past = now_ms - 44 * 60 * MINUTE_MS, now_ms - 44 * 60 * MINUTE_MS + 10 * MINUTE_MS
    with simulated({"binance": ["BTC/USDT:USDT"]}) as simulator:
        _, progress = brought_in(configured(simulator, tmp_path, ["trade"]), *past)
        check_ = true_trades(simulator, "binance", "BTC/USDT:USDT", *past)
        assert trades_in(tmp_path / "past.db", "binance", "BTC/USDT:USDT") == check_
        assert progress is not None
        assert progress.requests < 25


def test_the_newest_trades_of_bybit_are_covered_as_far_as_they_reach(tmp_path: Path) -> None:
    now_ms = time.time_ns() // NS_A_MS
    with simulated({"bybit": ["BTC/USDT"]}) as simulator:
        settings = configured(simulator, tmp_path, ["trade"])
        planned, _ = brought_in(settings, now_ms - 30 * MINUTE_MS, now_ms)
        stored = trades_in(tmp_path / "past.db", "bybit", "BTC/USDT")
        true = true_trades(simulator, "bybit", "BTC/USDT", now_ms - 30 * MINUTE_MS, now_ms - 10_000)
        assert 30 < len(stored) < 60
        assert stored == true[-len(stored) :]
    assert planned.notes == (
        "bybit spot, trade: the exchange has the newest 60 trades only, whenever they were",
    )
    ((start_ns, *_),) = rows_of(tmp_path / "past.db", COVERAGE)
    assert start_ns // NS_A_MS == true[-len(stored) - 1][1] + 1


def test_loaders_cross_what_was_filled(tmp_path: Path, past: tuple[int, int]) -> None:
    with simulated({"kraken": ["BTC/USD"]}) as simulator:
        settings = configured(simulator, tmp_path)
        middle_ms = (past[0] + past[1]) // 2
        brought_in(settings, past[0], middle_ms)
        brought_in(settings, *past)
        true = true_trades(simulator, "kraken", "BTC/USD", *past)
    path = tmp_path / "past.db"
    trades = load_trades(path, "BTC/USD")
    assert [int(one) for one in trades["trade_id"]] == [int(one[0]) for one in true]
    assert len(gaps(path)) == 0
