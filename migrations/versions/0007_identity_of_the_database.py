"""Add the table of what a database says of itself: first of all its identity."""

import sqlalchemy as sa
from alembic import context

from collector import migration as steps

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def _database() -> sa.Table:
    return sa.Table(
        "collector_database",
        sa.MetaData(),
        sa.Column("name", sa.TEXT(), primary_key=True),
        sa.Column("value", sa.TEXT(), nullable=False),
    )


def upgrade() -> None:
    steps.create_or_complete(context.config.attributes["connection"], _database())


def downgrade() -> None:
    steps.drop_table_if_empty(context.config.attributes["connection"], "collector_database")
