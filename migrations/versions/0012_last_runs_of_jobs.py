"""Add the table of the last run of each job, which outlives a restart."""

import sqlalchemy as sa
from alembic import context
from sqlalchemy.dialects import postgresql

from collector import migration as steps

revision = "0012"
down_revision = "0010"
branch_labels = None
depends_on = None

INTEGER = sa.INTEGER().with_variant(sa.BIGINT(), "postgresql")
REAL = sa.REAL().with_variant(postgresql.DOUBLE_PRECISION(), "postgresql")


def _jobs() -> sa.Table:
    return sa.Table(
        "collector_jobs",
        sa.MetaData(),
        *(sa.Column(name, sa.TEXT(), primary_key=True) for name in ("table_name", "name")),
        sa.Column("what", sa.TEXT(), nullable=False),
        sa.Column("due", sa.TEXT(), nullable=False),
        sa.Column("session_id", sa.TEXT()),
        sa.Column("last_start_ns", INTEGER, nullable=False),
        sa.Column("last_s", REAL),
        sa.Column("last_result", sa.TEXT(), nullable=False),
        sa.Column("last_text", sa.TEXT(), nullable=False),
        sa.Column("last_error", sa.TEXT(), nullable=False),
        sa.Column("last_error_ns", INTEGER, nullable=False),
    )


def upgrade() -> None:
    steps.create_or_complete(context.config.attributes["connection"], _jobs())


def downgrade() -> None:
    steps.drop_table_if_empty(context.config.attributes["connection"], "collector_jobs")
