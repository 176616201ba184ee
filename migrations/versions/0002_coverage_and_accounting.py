"""Add what ties rows to coverage, and the tables of sessions, coverage, accounting and batches."""

import sqlalchemy as sa
from alembic import context
from sqlalchemy.dialects import postgresql

from collector import migration as steps

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TEXT = sa.TEXT()
REAL = sa.REAL().with_variant(postgresql.DOUBLE_PRECISION(), "postgresql")
INTEGER = sa.INTEGER().with_variant(sa.BIGINT(), "postgresql")


def _added_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("received_at_ns", INTEGER),
        sa.Column("segment_id", INTEGER),
        sa.Column("depth", INTEGER),
        sa.Column("ofi", REAL),
    ]


def _new_tables() -> list[sa.Table]:
    metadata = sa.MetaData()
    return [
        sa.Table(
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
        ),
        sa.Table(
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
        ),
        sa.Table(
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
        ),
        sa.Table(
            "collector_batches",
            metadata,
            sa.Column("batch_id", TEXT, primary_key=True),
            sa.Column("session_id", TEXT, nullable=False),
            sa.Column("committed_ns", INTEGER, nullable=False),
            sa.Column("rows", INTEGER, nullable=False),
        ),
    ]


def upgrade() -> None:
    live = context.config.attributes["connection"]
    steps.add_columns(live, context.config.attributes["table_name"], _added_columns())
    for table in _new_tables():
        steps.create_or_complete(live, table)


def downgrade() -> None:
    live = context.config.attributes["connection"]
    for table in reversed(_new_tables()):
        steps.drop_table_if_empty(live, table.name)
    names = [column.name for column in _added_columns()]
    steps.drop_columns_if_empty(live, context.config.attributes["table_name"], names)
