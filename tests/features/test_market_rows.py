"""Trades and bars as columns of their tables: stream by stream, NULL where nothing was told."""

from array import array

from collector.events.batch import Batch, StreamKey
from collector.events.columns import NO_INT, NO_NUMBER, CandleColumns, TradeColumns
from collector.events.settled import Settled
from collector.features.market_rows import MarketRows
from collector.features.stream_facts import StreamFacts

KEYS = [
    StreamKey("binance", "BTC/USDT:USDT", "trade"),
    StreamKey("bybit", "ETH/USDT", "trade"),
    StreamKey("bybit", "ETH/USDT", "ohlcv.5m"),
]
AT_NS = 1_700_000_000_123_456_789


def settled(trades: TradeColumns | None = None, candles: CandleColumns | None = None) -> list[Settled]:
    rows = MarketRows(lambda number: StreamFacts(KEYS[number], 0, "replay"))
    nothing = array("d"), array("q"), (), (), {}, {}
    return list(rows.settle(Batch(*nothing, trades or TradeColumns(), candles or CandleColumns())))


def only_row(rows: Settled) -> dict[str, object]:
    ((_, columns),) = rows.tables
    assert len(rows) == 1
    return {name: column[0] for name, column in columns.items()}


def test_trades_are_told_apart_by_stream_in_the_order_of_receipt() -> None:
    trades = TradeColumns()
    trades.append((10.5, 2.0), (AT_NS, 7, 4, 0, 70, 0, 0), "4", "ADL")
    trades.append((20.5, 3.0), (AT_NS + 1, 8, NO_INT, 1, 71, 1, 0), "x-y", None)
    trades.append((11.5, 4.0), (AT_NS + 2, 9, 5, 0, 70, 1, 1), "5", None)
    binance, bybit = settled(trades)
    assert (binance.stream, bybit.stream) == (KEYS[0], KEYS[1])
    ((table, columns),) = binance.tables
    assert table == "trades"
    assert (columns["trade_id"], columns["marked"]) == (["4", "5"], ["ADL", None])
    assert (columns["price"], columns["size"]) == ([10.5, 11.5], [2.0, 4.0])
    assert (columns["side"], columns["kind"]) == (["sell", "buy"], ["trade", "agg"])
    assert binance.sequences.tolist() == [4, 5]
    assert only_row(bybit) == {
        "timestamp": "2023-11-14T22:13:20.123456Z",
        "exchange": "bybit",
        "symbol": "ETH/USDT",
        "exchange_timestamp": 8,
        "received_at_ns": AT_NS + 1,
        "segment_id": 71,
        "data_source": "replay",
        "kind": "trade",
        "trade_id": "x-y",
        "price": 20.5,
        "size": 3.0,
        "side": "buy",
        "marked": None,
    }


def test_what_a_bar_does_not_tell_is_null() -> None:
    candles = CandleColumns()
    candles.append((1.0, 4.0, 0.5, 2.0, 9.0, NO_NUMBER), (AT_NS, NO_INT, 300_000, 2, 72, 1, NO_INT))
    (bars,) = settled(candles=candles)
    row = only_row(bars)
    assert (row["interval"], row["open_time"], row["confirmed"]) == ("5m", 300_000, 1)
    assert [row[name] for name in ("open", "high", "low", "close", "volume")] == [1.0, 4.0, 0.5, 2.0, 9.0]
    assert (row["vwap"], row["count"], row["exchange_timestamp"]) == (None, None, None)


def test_without_trades_and_bars_there_is_nothing() -> None:
    assert settled() == []
