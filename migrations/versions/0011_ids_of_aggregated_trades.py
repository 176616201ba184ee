"""Say of each aggregate of trades which single trades are in it, by their ids."""

import sqlalchemy as sa
from alembic import context

from collector import migration as steps

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLE, NAMES = "collector_trades", ("first_trade_id", "last_trade_id")


def upgrade() -> None:
    integer = sa.INTEGER().with_variant(sa.BIGINT(), "postgresql")
    columns = [sa.Column(name, integer) for name in NAMES]
    steps.add_columns(context.config.attributes["connection"], TABLE, columns)


def downgrade() -> None:
    """Keep the columns where they are filled: they say where aggregates and single trades meet."""
    steps.drop_columns_if_empty(context.config.attributes["connection"], TABLE, list(NAMES))
