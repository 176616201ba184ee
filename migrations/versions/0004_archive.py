"""Add the table of what was moved out of this database into files."""

import sqlalchemy as sa
from alembic import context

from collector import migration as steps

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TEXT = sa.TEXT()
INTEGER = sa.INTEGER().with_variant(sa.BIGINT(), "postgresql")


def _archive() -> sa.Table:
    return sa.Table(
        "collector_archive",
        sa.MetaData(),
        sa.Column("path", TEXT, primary_key=True),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("exchange", TEXT, nullable=False),
        sa.Column("symbol", TEXT, nullable=False),
        sa.Column("date", TEXT, nullable=False),
        sa.Column("rows", INTEGER, nullable=False),
        sa.Column("last_id", INTEGER, nullable=False),
        sa.Column("sha256", TEXT, nullable=False),
        sa.Column("segments", TEXT, nullable=False),
        sa.Column("archived_ns", INTEGER, nullable=False),
        sa.Column("deleted_ns", INTEGER),
    )


def upgrade() -> None:
    steps.create_or_complete(context.config.attributes["connection"], _archive())


def downgrade() -> None:
    steps.drop_table_if_empty(context.config.attributes["connection"], "collector_archive")
