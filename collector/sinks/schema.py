"""Define the tables as they stand at the newest migration.

What each column means is told in docs/schema.md. The migrations are the history and do not import this
file; a test holds the two together on both databases.
"""

import hashlib
from dataclasses import dataclass
from functools import cache

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from collector.sinks.identifiers import check_table_name

DEFAULT_TABLE_NAME = "l2_training_data_practical"

# The names that SQLite shows in its schema; PostgreSQL's REAL and INTEGER would be too narrow.
TEXT = sa.TEXT()
REAL: sa.types.TypeEngine[float] = sa.REAL().with_variant(postgresql.DOUBLE_PRECISION(), "postgresql")
INTEGER = sa.INTEGER().with_variant(sa.BIGINT(), "postgresql")
MOMENT = sa.DATETIME().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")

_MAX_IDENTIFIER = 63


@dataclass(frozen=True, slots=True)
class Tables:
    """Every table that the program writes, at head."""

    hot: sa.Table
    sessions: sa.Table
    coverage: sa.Table
    accounting: sa.Table
    batches: sa.Table


@cache
def tables(table_name: str) -> Tables:
    """Build the tables, the hot one under the name given."""
    metadata = sa.MetaData()
    return Tables(
        hot=_hot_table(check_table_name(table_name), metadata),
        sessions=_sessions(metadata),
        coverage=_coverage(metadata),
        accounting=_accounting(metadata),
        batches=_batches(metadata),
    )


def range_index_name(table_name: str) -> str:
    """Name the index over symbol, exchange and time, within PostgreSQL's 63 bytes."""
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


def _sessions(metadata: sa.MetaData) -> sa.Table:
    return sa.Table(
        "collector_sessions",
        metadata,
        sa.Column("session_id", TEXT, primary_key=True),
        sa.Column("started_ns", INTEGER, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("host", TEXT, nullable=False),
        sa.Column("pid", INTEGER, nullable=False),
        sa.Column("wanted", TEXT, nullable=False),
        sa.Column("ended_ns", INTEGER),
        sa.Column("end_cause", TEXT),
    )


def _coverage(metadata: sa.MetaData) -> sa.Table:
    return sa.Table(
        "collector_coverage",
        metadata,
        sa.Column("segment_id", INTEGER, primary_key=True, autoincrement=False),
        sa.Column("session_id", TEXT, nullable=False),
        sa.Column("exchange", TEXT, nullable=False),
        sa.Column("symbol", TEXT, nullable=False),
        sa.Column("channel", TEXT, nullable=False),
        sa.Column("start_ns", INTEGER, nullable=False),
        sa.Column("end_ns", INTEGER, nullable=False),
        sa.Column("alive_until_ns", INTEGER, nullable=False),
        sa.Column("first_sequence", INTEGER),
        sa.Column("last_sequence", INTEGER),
        sa.Column("rows", INTEGER, nullable=False),
        sa.Column("witnessed", INTEGER, nullable=False),
        sa.Column("disagreed", INTEGER, nullable=False),
        sa.Column("verification", TEXT, nullable=False),
        sa.Column("end_cause", TEXT),
        sa.Column("detail", TEXT),
        sa.Index("ix_collector_coverage_stream", "exchange", "symbol", "channel", "start_ns"),
    )


def _accounting(metadata: sa.MetaData) -> sa.Table:
    return sa.Table(
        "collector_accounting",
        metadata,
        sa.Column("session_id", TEXT, primary_key=True),
        sa.Column("exchange", TEXT, primary_key=True),
        sa.Column("symbol", TEXT, primary_key=True),
        sa.Column("channel", TEXT, primary_key=True),
        sa.Column("received", INTEGER, nullable=False),
        sa.Column("carried_in", INTEGER, nullable=False),
        sa.Column("written", INTEGER, nullable=False),
        sa.Column("merged", INTEGER, nullable=False),
        sa.Column("sampled_out", INTEGER, nullable=False),
        sa.Column("rejected", INTEGER, nullable=False),
        sa.Column("rejected_reasons", TEXT, nullable=False),
        sa.Column("dropped", INTEGER, nullable=False),
        sa.Column("pending", INTEGER, nullable=False),
        sa.Column("updated_ns", INTEGER, nullable=False),
    )


def _batches(metadata: sa.MetaData) -> sa.Table:
    return sa.Table(
        "collector_batches",
        metadata,
        sa.Column("batch_id", TEXT, primary_key=True),
        sa.Column("session_id", TEXT, nullable=False),
        sa.Column("committed_ns", INTEGER, nullable=False),
        sa.Column("rows", INTEGER, nullable=False),
    )


HOT_COLUMNS = tuple(column.name for column in tables(DEFAULT_TABLE_NAME).hot.columns)
ROW_COLUMNS = tuple(name for name in HOT_COLUMNS if name not in {"id", "created_at"})  # what a sink is given
