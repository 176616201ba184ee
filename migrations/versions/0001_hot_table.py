"""Create the table of order-book states."""

import hashlib

import sqlalchemy as sa
from alembic import context
from sqlalchemy.dialects import postgresql

from collector import migration as steps

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TEXT = sa.TEXT()
REAL = sa.REAL().with_variant(postgresql.DOUBLE_PRECISION(), "postgresql")
INTEGER = sa.INTEGER().with_variant(sa.BIGINT(), "postgresql")
MOMENT = sa.DATETIME().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def _hot_table(name: str) -> sa.Table:
    return sa.Table(
        name,
        sa.MetaData(),
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
        sa.Index(_index_name(name), "symbol", "exchange", "timestamp"),
        sqlite_autoincrement=True,
    )


def _index_name(table_name: str) -> str:
    name = f"ix_{table_name}_symbol_exchange_timestamp"
    if len(name) <= 63:  # noqa: PLR2004  (PostgreSQL's limit)
        return name
    mark = hashlib.sha256(table_name.encode()).hexdigest()[:8]
    return f"ix_{table_name[:33]}_{mark}_symbol_time"


def upgrade() -> None:
    steps.create_or_complete(
        context.config.attributes["connection"], _hot_table(context.config.attributes["table_name"])
    )


def downgrade() -> None:
    steps.drop_table_if_empty(
        context.config.attributes["connection"], context.config.attributes["table_name"]
    )
