"""Define the tables as they stand at the newest migration.

What each column means is told in docs/schema.md. The migrations are the history and do not import this
file; a test holds the two together on both databases.
"""

import hashlib
from dataclasses import dataclass
from functools import cache

import sqlalchemy as sa

from collector.database import bookkeeping_tables, market_tables
from collector.database.identifiers import check_table_name
from collector.database.market_tables import INTEGER, MOMENT, REAL, TEXT

DEFAULT_TABLE_NAME = "l2_training_data_practical"

_MAX_IDENTIFIER = 63


@dataclass(frozen=True, slots=True)
class Tables:
    """Every table that the program writes, at head."""

    hot: sa.Table
    sessions: sa.Table
    coverage: sa.Table
    accounting: sa.Table
    batches: sa.Table
    trades: sa.Table
    ohlcv: sa.Table
    ohlcv_corrections: sa.Table
    levels: sa.Table
    rejected: sa.Table
    events: sa.Table
    archive: sa.Table
    database: sa.Table
    stream_positions: sa.Table
    stream_sessions: sa.Table
    quality: sa.Table
    jobs: sa.Table


@cache
def make_tables(table_name: str) -> Tables:
    """Build the tables, the hot one under the name given."""
    metadata = sa.MetaData()
    return Tables(
        hot=_hot_table(check_table_name(table_name), metadata),
        sessions=bookkeeping_tables.sessions(metadata),
        coverage=bookkeeping_tables.coverage(metadata),
        accounting=bookkeeping_tables.accounting(metadata),
        batches=bookkeeping_tables.batches(metadata),
        trades=market_tables.trades(metadata),
        ohlcv=market_tables.ohlcv(metadata),
        ohlcv_corrections=market_tables.ohlcv_corrections(metadata),
        levels=market_tables.levels(metadata),
        rejected=bookkeeping_tables.rejected(metadata),
        events=bookkeeping_tables.events(metadata),
        archive=bookkeeping_tables.archive(metadata),
        database=bookkeeping_tables.database(metadata),
        stream_positions=bookkeeping_tables.stream_positions(metadata),
        stream_sessions=bookkeeping_tables.stream_sessions(metadata),
        quality=bookkeeping_tables.quality(metadata),
        jobs=bookkeeping_tables.jobs(metadata),
    )


def range_index_name(table_name: str) -> str:
    """Return the name of the index over symbol, exchange and time, within PostgreSQL's 63 bytes."""
    name = f"ix_{table_name}_symbol_exchange_timestamp"
    if len(name) <= _MAX_IDENTIFIER:
        return name
    mark = hashlib.sha256(table_name.encode()).hexdigest()[:8]
    return f"ix_{table_name[:33]}_{mark}_symbol_time"


def _hot_table(name: str, metadata: sa.MetaData) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        sa.Column("id", INTEGER, sa.Identity(), primary_key=True),
        sa.Column("timestamp", TEXT, nullable=False),
        sa.Column("symbol", TEXT, nullable=False),
        sa.Column("exchange", TEXT, server_default="bybit"),
        sa.Column("bid_price_1", REAL),
        sa.Column("bid_size_1", REAL),
        sa.Column("ask_price_1", REAL),
        sa.Column("ask_size_1", REAL),
        sa.Column("mid_price", REAL),
        sa.Column("spread", REAL),
        sa.Column("spread_bps", REAL),
        sa.Column("microprice", REAL),
        sa.Column("order_book_imbalance", REAL),
        sa.Column("total_bid_volume_10", REAL),
        sa.Column("total_ask_volume_10", REAL),
        sa.Column("sequence", INTEGER),
        sa.Column("exchange_timestamp", INTEGER),
        sa.Column("data_source", TEXT, server_default="live_trading"),
        sa.Column("data_quality_score", REAL, server_default=sa.text("1.0")),
        sa.Column("created_at", MOMENT, server_default=sa.func.current_timestamp()),
        sa.Column("received_at_ns", INTEGER),
        sa.Column("segment_id", INTEGER),
        sa.Column("depth", INTEGER),
        sa.Column("ofi", REAL),
        sa.Index(range_index_name(name), "symbol", "exchange", "timestamp"),
        sqlite_autoincrement=True,
    )


HOT_COLUMNS = tuple(column.name for column in make_tables(DEFAULT_TABLE_NAME).hot.columns)
ROW_COLUMNS = tuple(name for name in HOT_COLUMNS if name not in {"id", "created_at"})  # what a sink is given
