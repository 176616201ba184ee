"""Say of each trade and bar how it came: live, or by REST afterwards."""

import sqlalchemy as sa
from alembic import context

from collector import migration as steps

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES = ("collector_trades", "collector_ohlcv", "collector_ohlcv_corrections")


def upgrade() -> None:
    for name in TABLES:
        steps.add_columns(context.config.attributes["connection"], name, [sa.Column("origin", sa.TEXT())])


def downgrade() -> None:
    """Keep the column where it is filled: it says where the rows stand in time."""
    for name in TABLES:
        steps.drop_columns_if_empty(context.config.attributes["connection"], name, ["origin"])
