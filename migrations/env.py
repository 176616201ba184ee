"""Run the migrations on the connection, and for the hot table, that the caller has set.

`collector.database.migrate` makes the configuration, holds the lock and owns the transaction, so that all
steps commit together or not at all. What pyproject.toml says to Alembic is for writing new revisions only.
"""

from alembic import context

from collector.database.revisions import VERSION_TABLE

if "connection" not in context.config.attributes:
    raise SystemExit("databases are migrated by the program: python run.py migrate up --db URL")

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)

with context.begin_transaction():
    context.run_migrations()
