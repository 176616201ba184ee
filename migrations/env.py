"""Run the migrations on the connection, and for the hot table, that the caller has set.

There is no alembic.ini: `collector.sinks.migrate` makes the configuration, holds the lock and owns the
transaction, so that all steps commit together or not at all.
"""

from alembic import context

from collector.sinks.migration_steps import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)

with context.begin_transaction():
    context.run_migrations()
