"""Hold the numbers of stored rows against the states, trades and bars that the simulated markets had."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from send_truth import Stream

from collector.simulator import Simulator

TOUCH = ("bid_price_1", "bid_size_1", "ask_price_1", "ask_size_1")
TOTALS = ("total_bid_volume_10", "total_ask_volume_10")
BOOKS = f"""
SELECT sequence, exchange_timestamp, received_at_ns, {", ".join((*TOUCH, *TOTALS))}
FROM l2_training_data_practical WHERE exchange = :exchange AND symbol = :symbol AND depth = :depth
"""
TRADES = """
SELECT trade_id, exchange_timestamp, price, size, side FROM collector_trades
WHERE exchange = :exchange AND symbol = :symbol
"""
BAR_NUMBERS = ("open", "high", "low", "close", "volume")
BARS = f"""
SELECT open_time, {", ".join(BAR_NUMBERS)} FROM collector_ohlcv
WHERE exchange = :exchange AND symbol = :symbol AND "interval" = :interval AND confirmed = 1
"""


def wrong_rows(simulator: Simulator, url: str, streams: Sequence[Stream]) -> list[str]:
    """List the rows that are no state, trade or bar of the market, in words."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    found = []
    with engine.connect() as connection:
        for exchange, symbol, channel in streams:
            kind, _, detail = channel.partition(".")
            check = {"trade": _wrong_trades, "ohlcv": _wrong_bars}.get(kind, _wrong_books)
            question = {"trade": TRADES, "ohlcv": BARS}.get(kind, BOOKS)
            asked = {"exchange": exchange, "symbol": symbol}
            if kind == "ohlcv":
                asked["interval"] = detail
            elif kind != "trade":
                asked["depth"] = int(detail or 1)
            rows = [dict(row) for row in connection.execute(sa.text(question), asked).mappings()]
            found += [
                f"{exchange} {symbol} {channel}: {row}"
                for row in check(simulator, exchange, symbol, channel, rows)
            ]
    return found


def _wrong_books(
    simulator: Simulator, exchange: str, symbol: str, channel: str, rows: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """List rows that are no state of the market under their number, or of their millisecond."""
    states: dict[int | None, set[tuple[float, ...]]] = defaultdict(set)
    # A subscription to best prices begins with the present ones, whatever the last step left as it was.
    whole = channel != "bbo" or exchange == "bybit"
    for state in simulator.truth.books(exchange, symbol, channel if whole else "book.10"):
        sums = tuple(sum_in_order(side[:10]) for side in (state.bids, state.asks))
        key = state.exchange_ms if state.sequence is None else state.sequence
        states[key].add((*state.bids[0], *state.asks[0], *sums))
    wrong = []
    for row in rows:
        key = row["exchange_timestamp"] if row["sequence"] is None else row["sequence"]
        touch, totals = (tuple(row[name] for name in names) for names in (TOUCH, TOTALS))
        known = {state[: len(TOUCH)] for state in states[key]}
        # Best prices have no ten levels; beyond the edge of a snapshot nobody knows them.
        if touch not in known or (None not in totals and (*touch, *totals) not in states[key]):
            wrong.append(row)
    return wrong


def sum_in_order(levels: Sequence[tuple[float, float]]) -> float:
    """Add sizes, the best first."""
    total = 0.0
    for _, size in levels:
        total += size
    return total


def _wrong_trades(
    simulator: Simulator, exchange: str, symbol: str, channel: str, rows: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    trades = simulator.truth.trades(exchange, symbol, channel)
    known = {one.trade_id: (one.exchange_ms, one.price, one.size, str(one.side)) for one in trades}
    began_ms = min((one.exchange_ms for one in trades), default=0)
    return [
        row
        for row in rows
        if known.get(row["trade_id"])
        != tuple(row[name] for name in ("exchange_timestamp", "price", "size", "side"))
        and not (row["trade_id"] not in known and row["exchange_timestamp"] <= began_ms)
    ]


def _wrong_bars(
    simulator: Simulator, exchange: str, symbol: str, channel: str, rows: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    bars = {one.open_ms: one for one in simulator.truth.bars(exchange, symbol, channel)}
    began_ms = min(bars)
    return [
        row
        for row in rows
        if row["open_time"] > began_ms
        and tuple(row[name] for name in BAR_NUMBERS)
        != tuple(getattr(bars.get(row["open_time"]), name, None) for name in BAR_NUMBERS)
    ]
