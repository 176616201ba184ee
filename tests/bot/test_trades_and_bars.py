"""Trades, candles and live bars on the way from a socket: what a bot sees is what is stored."""

import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from collector import Bar, Candle, Trade, create_data_ingestor
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from bot_rig import config, wait_until

MARKETS = [("bybit", "BTC/USDT:USDT"), ("binance", "BTC/USDT"), ("kraken", "BTC/USD")]
INTERVAL_MS = 250


def rows(path: Path, question: str) -> list[Any]:
    with sqlite3.connect(path) as connection:
        found = connection.execute(question).fetchall()
    connection.close()
    return found


@pytest.mark.parametrize(("exchange", "symbol"), MARKETS)
def test_trades_candles_and_live_bars_are_those_of_the_tables(
    tmp_path: Path, exchange: str, symbol: str
) -> None:
    trades: list[Trade] = []
    candles: list[Candle] = []
    closed: list[Bar] = []
    with Simulator(updates_per_s=300.0) as simulator:
        channels = ["trade", "ohlcv.1m"]
        ingestor = create_data_ingestor(
            config(simulator, tmp_path, exchange=exchange, symbol=symbol, channels=channels)
        )
        ingestor.events.subscribe(Trade, trades.append)
        ingestor.events.subscribe(Candle, candles.append)
        ingestor.bars("250ms").on_close(closed.append)
        with ingestor:
            wait_until(lambda: len(trades) > 30 and candles and len(closed) > 4, "trades, candles and bars")
            assert ingestor.ticks.trade(symbol) is not None
        assert ingestor.report is not None
        assert ingestor.report.good

    path = tmp_path / "trading_bot_live.db"
    columns = "trade_id, price, size, side, exchange_timestamp, received_at_ns"
    stored = rows(path, f"SELECT {columns} FROM collector_trades ORDER BY id")
    seen = [
        (one.trade_id, one.price, one.size, one.side, one.exchange_ms, one.received_at_ns) for one in trades
    ]
    assert seen == stored

    newest: dict[int, Candle] = {candle.open_ms: candle for candle in candles}
    bars = rows(
        path,
        "SELECT open_time, open, high, low, close, volume, confirmed FROM collector_ohlcv ORDER BY open_time",
    )
    assert bars == [
        (c.open_ms, c.open, c.high, c.low, c.close, c.volume, int(c.confirmed))
        for _, c in sorted(newest.items())
    ]

    complete = [bar for bar in closed if bar.complete]
    assert len(complete) >= 3
    for bar in complete:
        of_bar = [t for t in trades if bar.open_ms <= (t.exchange_ms or 0) < bar.open_ms + INTERVAL_MS]
        prices = [t.price for t in of_bar]
        assert (bar.open, bar.high, bar.low, bar.close) == (prices[0], max(prices), min(prices), prices[-1])
        assert bar.volume == pytest.approx(sum(t.size for t in of_bar))
        assert bar.count == len(of_bar)
