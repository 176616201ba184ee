"""Name the four types that columns have, each as wide on one database as on the other."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

# The names that SQLite shows in its schema; PostgreSQL's REAL and INTEGER would be too narrow.
TEXT = sa.TEXT()
REAL: sa.types.TypeEngine[float] = sa.REAL().with_variant(postgresql.DOUBLE_PRECISION(), "postgresql")
INTEGER = sa.INTEGER().with_variant(sa.BIGINT(), "postgresql")
MOMENT = sa.DATETIME().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
