"""Add the tables of what is read from streams: how far each shard is read, and whose rows came of them."""

import sqlalchemy as sa
from alembic import context

from collector import migration as steps

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

INTEGER = sa.INTEGER().with_variant(sa.BIGINT(), "postgresql")


def _positions() -> sa.Table:
    return sa.Table(
        "collector_stream_positions",
        sa.MetaData(),
        sa.Column("source", sa.TEXT(), primary_key=True),
        sa.Column("shard", sa.TEXT(), primary_key=True),
        sa.Column("position", sa.TEXT(), nullable=False),
        sa.Column("finished", INTEGER, nullable=False),
        sa.Column("updated_ns", INTEGER, nullable=False),
    )


def _sessions() -> sa.Table:
    return sa.Table(
        "collector_stream_sessions",
        sa.MetaData(),
        sa.Column("session_id", sa.TEXT(), primary_key=True),
        sa.Column("source", sa.TEXT(), nullable=False),
        sa.Column("heard_ns", INTEGER, nullable=False),
        sa.Column("silent", INTEGER, nullable=False),
    )


def upgrade() -> None:
    for table in (_positions(), _sessions()):
        steps.create_or_complete(context.config.attributes["connection"], table)


def downgrade() -> None:
    for name in ("collector_stream_sessions", "collector_stream_positions"):
        steps.drop_table_if_empty(context.config.attributes["connection"], name)
