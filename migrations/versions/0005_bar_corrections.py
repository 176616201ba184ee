"""Add the table of confirmed bars that differ from how they were confirmed first."""

import sqlalchemy as sa
from alembic import context
from sqlalchemy.dialects import postgresql

from collector import migration as steps

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TEXT = sa.TEXT()
REAL = sa.REAL().with_variant(postgresql.DOUBLE_PRECISION(), "postgresql")
INTEGER = sa.INTEGER().with_variant(sa.BIGINT(), "postgresql")
MOMENT = sa.DATETIME().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def _corrections() -> sa.Table:
    bar = ("exchange", "symbol", "interval", "open_time")
    numbers = ("open", "high", "low", "close", "volume", "vwap", "count")
    return sa.Table(
        "collector_ohlcv_corrections",
        sa.MetaData(),
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
        sa.Index("ux_collector_ohlcv_corrections", *bar, "received_at_ns", *numbers, unique=True),
        sa.Index("ix_collector_ohlcv_corrections_symbol", "symbol", "exchange", "interval", "open_time"),
        sqlite_autoincrement=True,
    )


def upgrade() -> None:
    steps.create_or_complete(context.config.attributes["connection"], _corrections())


def downgrade() -> None:
    steps.drop_table_if_empty(context.config.attributes["connection"], "collector_ohlcv_corrections")
