"""A long table of book rows, made without a collector: one symbol, some segments, some holes."""

from pathlib import Path

import numpy as np
import sqlalchemy as sa

from collector.database.engine import make_engine
from collector.database.tables import DEFAULT_TABLE_NAME, make_tables
from collector.database.url import database_url
from collector.events.instants import iso_texts
from collector.sinks.sql import multi_row
from collector.sinks.sql.sink import SqlSink

SYMBOL = "BTC/USDT:USDT"
START_NS = 1_700_000_000_000_000_000
SPACING_NS = 40_000_000  # on the average: 25 rows a second
ROWS_A_SEGMENT = 1_000_000
HOLE_NS = 60_000_000_000
_CHUNK = 50_000


def make(path: Path, rows: int) -> None:
    """Write so many rows and the segments that they belong to."""
    sink = SqlSink(str(path), synchronous="OFF")
    sink.open()
    sink.close()
    engine = make_engine(database_url(str(path)), synchronous="OFF")
    known = make_tables(DEFAULT_TABLE_NAME)
    at_ns, mid, random = START_NS, 30_000.0, np.random.default_rng(1)
    for done in range(0, rows, _CHUNK):
        if done and done % ROWS_A_SEGMENT == 0:
            at_ns += HOLE_NS
        count = min(_CHUNK, rows - done)
        received = at_ns + np.cumsum(random.integers(1, 2 * SPACING_NS, count))
        mids = mid + np.cumsum(random.choice([-0.1, 0.0, 0.0, 0.1], count))
        at_ns, mid = int(received[-1]), float(mids[-1])
        with engine.begin() as connection:
            multi_row.insert(connection, known.hot, _columns(received, mids, done, random))
    _cover(engine, known.hot, known.coverage)
    engine.dispose()


def _columns(
    received: np.ndarray, mids: np.ndarray, done: int, random: np.random.Generator
) -> dict[str, list[object]]:
    count = len(received)
    bid, ask = np.round(mids - 0.05, 2), np.round(mids + 0.05, 2)
    bid_size, ask_size = random.random(count).round(3) + 0.001, random.random(count).round(3) + 0.001
    bids, asks = random.random(count) * 50, random.random(count) * 50
    mid = (bid + ask) / 2
    return {
        "timestamp": iso_texts(received),
        "symbol": [SYMBOL] * count,
        "exchange": ["bybit"] * count,
        "bid_price_1": bid.tolist(),
        "bid_size_1": bid_size.tolist(),
        "ask_price_1": ask.tolist(),
        "ask_size_1": ask_size.tolist(),
        "mid_price": mid.tolist(),
        "spread": (ask - bid).tolist(),
        "spread_bps": ((ask - bid) / mid * 1e4).tolist(),
        "microprice": ((bid * ask_size + ask * bid_size) / (bid_size + ask_size)).tolist(),
        "order_book_imbalance": ((bids - asks) / (bids + asks)).tolist(),
        "total_bid_volume_10": bids.tolist(),
        "total_ask_volume_10": asks.tolist(),
        "sequence": list(range(done + 1, done + count + 1)),
        "exchange_timestamp": (received // 1_000_000).tolist(),
        "data_source": ["simulator"] * count,
        "data_quality_score": [1.0] * count,
        "received_at_ns": received.tolist(),
        "segment_id": [1 + done // ROWS_A_SEGMENT] * count,
        "depth": [50] * count,
        "ofi": random.normal(size=count).tolist(),
    }


def _cover(engine: sa.Engine, hot: sa.Table, coverage: sa.Table) -> None:
    with engine.begin() as connection:
        found = connection.execute(
            sa.select(
                hot.c.segment_id,
                sa.func.min(hot.c.received_at_ns),
                sa.func.max(hot.c.received_at_ns),
                sa.func.count(),
            ).group_by(hot.c.segment_id)
        ).all()
        for segment, first_ns, last_ns, count in found:
            connection.execute(
                sa.insert(coverage).values(
                    segment_id=segment,
                    session_id="bench",
                    exchange="bybit",
                    symbol=SYMBOL,
                    channel="book.50",
                    start_ns=first_ns,
                    end_ns=last_ns,
                    alive_until_ns=last_ns,
                    rows=count,
                    witnessed=0,
                    disagreed=0,
                    verification="sequence",
                )
            )
