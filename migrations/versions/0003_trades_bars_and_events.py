"""Add the tables of trades, bars, deep levels, rejected originals and events."""

import sqlalchemy as sa
from alembic import context
from sqlalchemy.dialects import postgresql

from collector import migration as steps

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TEXT = sa.TEXT()
REAL = sa.REAL().with_variant(postgresql.DOUBLE_PRECISION(), "postgresql")
INTEGER = sa.INTEGER().with_variant(sa.BIGINT(), "postgresql")
MOMENT = sa.DATETIME().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def _level_columns() -> list[str]:
    return [
        f"{side}_{what}_{level}"
        for side in ("bid", "ask")
        for what in ("price", "size")
        for level in range(1, 11)
    ]


def _new_tables() -> list[sa.Table]:
    metadata = sa.MetaData()
    return [
        sa.Table(
            "collector_trades",
            metadata,
            sa.Column("id", INTEGER, sa.Identity(), primary_key=True),
            sa.Column("timestamp", TEXT, nullable=False),
            sa.Column("exchange", TEXT, nullable=False),
            sa.Column("symbol", TEXT, nullable=False),
            sa.Column("kind", TEXT, nullable=False),
            sa.Column("trade_id", TEXT, nullable=False),
            sa.Column("price", REAL, nullable=False),
            sa.Column("size", REAL, nullable=False),
            sa.Column("side", TEXT),
            sa.Column("marked", TEXT),
            sa.Column("exchange_timestamp", INTEGER),
            sa.Column("received_at_ns", INTEGER),
            sa.Column("segment_id", INTEGER),
            sa.Column("data_source", TEXT),
            sa.Column("created_at", MOMENT, server_default=sa.func.current_timestamp()),
            sa.Index("ux_collector_trades", "exchange", "symbol", "kind", "trade_id", unique=True),
            sa.Index("ix_collector_trades_symbol_exchange_timestamp", "symbol", "exchange", "timestamp"),
            sqlite_autoincrement=True,
        ),
        sa.Table(
            "collector_ohlcv",
            metadata,
            sa.Column("id", INTEGER, sa.Identity(), primary_key=True),
            sa.Column("timestamp", TEXT, nullable=False),
            sa.Column("exchange", TEXT, nullable=False),
            sa.Column("symbol", TEXT, nullable=False),
            sa.Column("interval", TEXT, nullable=False),
            sa.Column("open_time", INTEGER, nullable=False),
            sa.Column("open", REAL, nullable=False),
            sa.Column("high", REAL, nullable=False),
            sa.Column("low", REAL, nullable=False),
            sa.Column("close", REAL, nullable=False),
            sa.Column("volume", REAL, nullable=False),
            sa.Column("vwap", REAL),
            sa.Column("count", INTEGER),
            sa.Column("confirmed", INTEGER, nullable=False),
            sa.Column("exchange_timestamp", INTEGER),
            sa.Column("received_at_ns", INTEGER),
            sa.Column("segment_id", INTEGER),
            sa.Column("data_source", TEXT),
            sa.Column("created_at", MOMENT, server_default=sa.func.current_timestamp()),
            sa.Index("ux_collector_ohlcv", "exchange", "symbol", "interval", "open_time", unique=True),
            sa.Index("ix_collector_ohlcv_symbol", "symbol", "exchange", "interval", "open_time"),
            sqlite_autoincrement=True,
        ),
        sa.Table(
            "collector_l2_levels",
            metadata,
            sa.Column("id", INTEGER, sa.Identity(), primary_key=True),
            sa.Column("timestamp", TEXT, nullable=False),
            sa.Column("exchange", TEXT, nullable=False),
            sa.Column("symbol", TEXT, nullable=False),
            sa.Column("depth", INTEGER),
            sa.Column("sequence", INTEGER),
            sa.Column("received_at_ns", INTEGER),
            sa.Column("segment_id", INTEGER),
            sa.Column("data_source", TEXT),
            sa.Column("created_at", MOMENT, server_default=sa.func.current_timestamp()),
            *(sa.Column(name, REAL) for name in _level_columns()),
            sa.Column("imbalance_5", REAL),
            sa.Column("imbalance_10", REAL),
            *(sa.Column(f"ofi_{level}", REAL) for level in range(1, 11)),
            sa.Index("ix_collector_l2_levels_symbol_exchange_timestamp", "symbol", "exchange", "timestamp"),
            sqlite_autoincrement=True,
        ),
        sa.Table(
            "collector_rejected",
            metadata,
            sa.Column("id", INTEGER, sa.Identity(), primary_key=True),
            sa.Column("session_id", TEXT),
            sa.Column("batch_id", TEXT),
            sa.Column("exchange", TEXT),
            sa.Column("symbol", TEXT),
            sa.Column("channel", TEXT),
            sa.Column("reason", TEXT),
            sa.Column("detail", TEXT),
            sa.Column("original", TEXT),
            sa.Column("at_ns", INTEGER),
            sa.Column("created_at", MOMENT, server_default=sa.func.current_timestamp()),
            sqlite_autoincrement=True,
        ),
        sa.Table(
            "collector_events",
            metadata,
            sa.Column("id", INTEGER, sa.Identity(), primary_key=True),
            sa.Column("session_id", TEXT),
            sa.Column("at_ns", INTEGER),
            sa.Column("kind", TEXT),
            sa.Column("exchange", TEXT),
            sa.Column("symbol", TEXT),
            sa.Column("code", TEXT),
            sa.Column("detail", TEXT),
            sa.Column("created_at", MOMENT, server_default=sa.func.current_timestamp()),
            sqlite_autoincrement=True,
        ),
    ]


def upgrade() -> None:
    for table in _new_tables():
        steps.create_or_complete(context.config.attributes["connection"], table)


def downgrade() -> None:
    for table in reversed(_new_tables()):
        steps.drop_table_if_empty(context.config.attributes["connection"], table.name)
