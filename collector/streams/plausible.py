"""Find implausible trades and bars: numbers out of range, times far from our clock. Pure."""

from math import isfinite

from collector.events import MAX_PRICE, MAX_SIZE, CandleMessage, TradeMessage, longest_ms

NOT_FINITE, OUT_OF_RANGE, TIME_FAR_OFF = "not_finite", "out_of_range", "time_far_off"
NOT_A_TRADE = "not_a_trade"


def trade_problem(trade: TradeMessage, received_at_ns: int, most_off_ms: float) -> tuple[str, str] | None:
    """Return why a trade is implausible, as a reason and a detail; None if it is not."""
    if trade.is_placeholder:
        return NOT_A_TRADE, f"an id without a trade: {trade.marked}"
    for name, value, limit in (("price", trade.price, MAX_PRICE), ("size", trade.size, MAX_SIZE)):
        if not 0.0 < value < limit:
            return _reason(value), f"{name} {value!r}: more than 0 and less than {limit:g} expected"
    off_ms = trade.exchange_ms - received_at_ns / 1e6
    if off_ms > most_off_ms or (off_ms < -most_off_ms and not trade.past):
        return TIME_FAR_OFF, f"{off_ms / 1e3:+.1f} s from our clock"
    return None


def candle_problem(candle: CandleMessage, received_at_ns: int, most_off_ms: float) -> tuple[str, str] | None:
    """Return why a bar is implausible, as a reason and a detail; None if it is not."""
    low, high, vwap = candle.low, candle.high, candle.vwap
    numbers = (candle.open, high, low, candle.close, candle.volume, *(() if vwap is None else (vwap,)))
    words = f"open, high, low, close, volume {numbers}"
    if not all(map(isfinite, numbers)):
        return NOT_FINITE, words
    around = low <= min(candle.open, candle.close) and max(candle.open, candle.close) <= high
    in_range = low > 0.0 and high < MAX_PRICE and 0.0 <= candle.volume < MAX_SIZE
    if not (around and in_range and 0.0 <= (vwap or 0.0) < MAX_PRICE and (candle.count or 0) >= 0):
        return OUT_OF_RANGE, words
    now_ms = received_at_ns / 1e6
    ahead_ms = candle.open_ms - now_ms
    behind_ms = now_ms - candle.open_ms - longest_ms(candle.interval)
    if ahead_ms > most_off_ms or (behind_ms > most_off_ms and not candle.past):
        return TIME_FAR_OFF, f"opened {-ahead_ms / 1e3:.1f} s ago by our clock"
    return None


def _reason(value: float) -> str:
    return OUT_OF_RANGE if isfinite(value) else NOT_FINITE
