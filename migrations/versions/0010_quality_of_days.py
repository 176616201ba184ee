"""Add the table of the daily report: a row for each stream and day."""

import sqlalchemy as sa
from alembic import context
from sqlalchemy.dialects import postgresql

from collector import migration as steps

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

INTEGER = sa.INTEGER().with_variant(sa.BIGINT(), "postgresql")
REAL = sa.REAL().with_variant(postgresql.DOUBLE_PRECISION(), "postgresql")


def _quality() -> sa.Table:
    return sa.Table(
        "collector_quality",
        sa.MetaData(),
        *(sa.Column(name, sa.TEXT(), primary_key=True) for name in ("day", "exchange", "symbol", "channel")),
        sa.Column("rows", INTEGER),
        sa.Column("bytes", INTEGER),
        sa.Column("covered_s", REAL, nullable=False),
        sa.Column("covered", REAL),
        sa.Column("filled", REAL),
        sa.Column("holes", INTEGER, nullable=False),
        sa.Column("holes_s", REAL, nullable=False),
        sa.Column("holes_by_cause", sa.TEXT(), nullable=False),
        sa.Column("resyncs", INTEGER, nullable=False),
        sa.Column("witnessed", INTEGER, nullable=False),
        sa.Column("disagreed", INTEGER, nullable=False),
        sa.Column("lag_p50_ms", REAL),
        sa.Column("lag_p95_ms", REAL),
        sa.Column("lag_p99_ms", REAL),
        sa.Column("computed_ns", INTEGER, nullable=False),
    )


def upgrade() -> None:
    steps.create_or_complete(context.config.attributes["connection"], _quality())


def downgrade() -> None:
    steps.drop_table_if_empty(context.config.attributes["connection"], "collector_quality")
