"""Programs get the past as frames without a database, or in one."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from backfill_rig import MINUTE_MS, configured, simulated, true_bars, true_trades, whole_past

from collector.backfilling.plan import Plan
from collector.backfilling.run import Progress
from collector.bot.past import backfill, fetch_ohlcv, fetch_trades
from collector.errors import UserError


def moments(past: tuple[int, int]) -> dict[str, Any]:
    return dict(zip(("start", "end"), pd.to_datetime(past, unit="ms", utc=True), strict=True))


def test_frames_are_what_the_exchange_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    past = whole_past()
    with simulated({"okx": ["BTC/USDT:USDT"]}) as simulator:
        configured(simulator, tmp_path)
        more = moments(past) | {"config": tmp_path / "past.yaml"}
        bars = fetch_ohlcv("okx", "BTC/USDT:USDT", **more)
        trades = fetch_trades("okx", "BTC/USDT:USDT", **more)
        true = true_bars(simulator, "okx", "BTC/USDT:USDT", *past)
        columns = ["open", "high", "low", "close", "volume"]
        assert [(int(at.timestamp() * 1000), *row, 1) for at, *row in bars[columns].itertuples()] == true
        assert trades["trade_id"].tolist() == [
            one[0] for one in true_trades(simulator, "okx", "BTC/USDT:USDT", *past)
        ]
        assert bars.attrs == {"notes": [], "lacking": []}
        assert sorted(path.name for path in tmp_path.iterdir()) == ["past.yaml"]


def test_a_program_with_a_loop_of_its_own_fills_a_database(tmp_path: Path) -> None:
    past = whole_past()
    with simulated({"kraken": ["BTC/USD"]}) as simulator:
        configured(simulator, tmp_path)
        more: dict[str, Any] = {"config": tmp_path / "past.yaml", "channels": "ohlcv.1m"}

        async def notebook() -> tuple[Plan, Progress | None]:
            return backfill(*moments(past).values(), **more)

        planned, progress = asyncio.run(notebook())
        assert len(planned.stretches) == 1
        assert progress is not None
        assert progress.rows == len(true_bars(simulator, "kraken", "BTC/USD", *past))


def test_what_cannot_be_had_is_an_error_that_says_what_can(tmp_path: Path) -> None:
    start_ms, _ = whole_past()
    old = moments((start_ms - 3000 * MINUTE_MS, start_ms - 2000 * MINUTE_MS))
    with simulated({"kraken": ["BTC/USD"]}) as simulator:
        configured(simulator, tmp_path)
        with pytest.raises(UserError, match=r"the newest 720 only, from .* can be built from its trades"):
            fetch_ohlcv("kraken", "BTC/USD", **old, config=tmp_path / "past.yaml")
    with pytest.raises(UserError, match="is not after start"):
        fetch_ohlcv("kraken", "BTC/USD", start="2026-01-02", end="2026-01-01")
