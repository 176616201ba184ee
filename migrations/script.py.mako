"""${message}."""

import sqlalchemy as sa
from alembic import context

from collector import migration as steps

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    live, hot_table = context.config.attributes["connection"], context.config.attributes["table_name"]


def downgrade() -> None:
    live, hot_table = context.config.attributes["connection"], context.config.attributes["table_name"]
