"""Database tables, migrations, engines and URLs: what writing and reading share."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.database.advisory_locks import lock_key, session_key, sessions_with_a_lock
    from collector.database.backup import Backup, back_up, make_durable
    from collector.database.bookkeeping_tables import (
        DAMAGED,
        DAY_DIGITS,
        GIVEN_UP,
        HOUR_DIGITS,
        NO_ROOM,
        POISON,
    )
    from collector.database.engine import Driver, make_engine, reading_uri
    from collector.database.faults import is_from_a_database, may_come_back, opening_error, sink_error
    from collector.database.file_lock import WriterLock, file_holder
    from collector.database.held_log import LogReader, database_bytes, log_bytes, log_readers
    from collector.database.identifiers import check_table_name
    from collector.database.interrupt import break_off
    from collector.database.market_tables import BAR, LEVEL_COLUMNS, STORED_LEVELS
    from collector.database.migrate import (
        bring_to_head,
        downgrade,
        newest_revision,
        sql_preview,
        status,
        upgrade,
    )
    from collector.database.migration_steps import (
        add_columns,
        create_or_complete,
        drop_columns_if_empty,
        drop_table_if_empty,
    )
    from collector.database.moved_file import MovedFile, complete_moved_file
    from collector.database.revisions import VERSION_TABLE, serves
    from collector.database.sqlite_file import SqliteFile, sqlite_library, sqlite_version, use_newest_sqlite
    from collector.database.tables import DEFAULT_TABLE_NAME, HOT_COLUMNS, Tables, make_tables
    from collector.database.url import address_of, database_url, shown, sqlite_path, without_password
else:
    __getattr__, __dir__ = face(__name__, __file__)
