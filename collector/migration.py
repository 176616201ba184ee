"""Export the steps of revisions under a stable name.

Revisions, ours and a user's own, import them from here: `from collector import migration as steps`.
"""

from collector.database.migration_steps import (
    VERSION_TABLE,
    add_columns,
    create_or_complete,
    drop_columns_if_empty,
    drop_table_if_empty,
    serves,
)

__all__ = [
    "VERSION_TABLE",
    "add_columns",
    "create_or_complete",
    "drop_columns_if_empty",
    "drop_table_if_empty",
    "serves",
]
