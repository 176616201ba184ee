"""Add the table of the last run of each job, and make the daily report one of each book table.

Reports of before are taken for those of the book table that is configured.
"""

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

from collector import migration as steps

revision = "0012"
down_revision = "0011"
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


TEXT = sa.TEXT()
BEFORE, NOW = "collector_quality", "collector_day_quality"
KEY_BEFORE = ("day", "exchange", "symbol", "channel")
NUMBERS = (
    sa.Column("rows", INTEGER),
    sa.Column("bytes", INTEGER),
    sa.Column("covered_s", REAL, nullable=False),
    sa.Column("covered", REAL),
    sa.Column("filled", REAL),
    sa.Column("holes", INTEGER, nullable=False),
    sa.Column("holes_s", REAL, nullable=False),
    sa.Column("holes_by_cause", TEXT, nullable=False),
    sa.Column("resyncs", INTEGER, nullable=False),
    sa.Column("witnessed", INTEGER, nullable=False),
    sa.Column("disagreed", INTEGER, nullable=False),
    sa.Column("lag_p50_ms", REAL),
    sa.Column("lag_p95_ms", REAL),
    sa.Column("lag_p99_ms", REAL),
    sa.Column("computed_ns", INTEGER, nullable=False),
)


def _quality(name: str, key: tuple[str, ...]) -> sa.Table:
    own = [sa.Column(column, TEXT, primary_key=True) for column in key]
    numbers = [sa.Column(one.name, one.type, nullable=one.nullable) for one in NUMBERS]
    return sa.Table(name, sa.MetaData(), *own, *numbers)


def upgrade() -> None:
    live = context.config.attributes["connection"]
    steps.create_or_complete(live, _jobs())
    before, now = _quality(BEFORE, KEY_BEFORE), _quality(NOW, ("table_name", *KEY_BEFORE))
    steps.create_or_complete(live, now)
    if not sa.inspect(live).has_table(BEFORE):
        return
    name = sa.literal(context.config.attributes["table_name"], TEXT)
    is_there = sa.exists().where(
        now.c.table_name == name, *(now.c[column] == before.c[column] for column in KEY_BEFORE)
    )
    moved = sa.select(name, *before.columns).where(~is_there)
    op.execute(now.insert().from_select(["table_name", *before.columns.keys()], moved))
    op.drop_table(BEFORE)


def downgrade() -> None:
    """Leave the reports where they are: an older version makes up its own of the last year."""
    live = context.config.attributes["connection"]
    steps.create_or_complete(live, _quality(BEFORE, KEY_BEFORE))
    steps.drop_table_if_empty(live, NOW)
    steps.drop_table_if_empty(live, "collector_jobs")
