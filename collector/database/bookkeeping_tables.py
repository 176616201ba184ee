"""Define the tables that say how far the others can be trusted: coverage, accounting and the like."""

import sqlalchemy as sa

from collector.database.market_tables import INTEGER, MOMENT, REAL, TEXT

ARCHIVE_KEY = ("table_name", "kind", "exchange", "symbol", "date", "last_id")  # no two files hold one row
# What a file of the archive is of, as its `date` begins: a day, or an hour of one.
DAY_DIGITS, HOUR_DIGITS = len("2026-01-31"), len("2026-01-31T05")
QUALITY_KEY = ("table_name", "day", "exchange", "symbol", "channel")
# Why rows were given up: their reason in accounting, and the end of their segment, which shows the hole.
DAMAGED = "damaged"  # they could not be read back from the spool
POISON = "poison"  # the database refuses them for their content
NO_ROOM = "no_room"  # a follower had neither memory nor room in its spool for them
GIVEN_UP = frozenset({DAMAGED, POISON, NO_ROOM})


def database(metadata: sa.MetaData) -> sa.Table:
    """Define the table of what the database says of itself."""
    return sa.Table(
        "collector_database",
        metadata,
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("value", TEXT, nullable=False),
    )


def sessions(metadata: sa.MetaData) -> sa.Table:
    """Define the table of runs of the program."""
    return sa.Table(
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
    )


def coverage(metadata: sa.MetaData) -> sa.Table:
    """Define the table of coverage: what was received without a hole."""
    return sa.Table(
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
    )


def accounting(metadata: sa.MetaData) -> sa.Table:
    """Define the table of accounting: what became of every event."""
    return sa.Table(
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
    )


def batches(metadata: sa.MetaData) -> sa.Table:
    """Define the table of the batches that are stored."""
    return sa.Table(
        "collector_batches",
        metadata,
        sa.Column("batch_id", TEXT, primary_key=True),
        sa.Column("session_id", TEXT, nullable=False),
        sa.Column("committed_ns", INTEGER, nullable=False),
        sa.Column("rows", INTEGER, nullable=False),
    )


def rejected(metadata: sa.MetaData) -> sa.Table:
    """Define the table of the rows that were refused, in their original form."""
    return sa.Table(
        "collector_rejected",
        metadata,
        sa.Column("id", INTEGER, sa.Identity(), primary_key=True),
        sa.Column("session_id", TEXT),
        sa.Column("batch_id", TEXT),
        sa.Column("exchange", TEXT),
        sa.Column("symbol", TEXT),
        sa.Column("channel", TEXT),
        sa.Column("reason", TEXT),
        sa.Column("detail", TEXT),
        sa.Column("original", TEXT),
        sa.Column("at_ns", INTEGER),
        sa.Column("created_at", MOMENT, server_default=sa.func.current_timestamp()),
        sqlite_autoincrement=True,
    )


def events(metadata: sa.MetaData) -> sa.Table:
    """Define the table of the collector's own events."""
    return sa.Table(
        "collector_events",
        metadata,
        sa.Column("id", INTEGER, sa.Identity(), primary_key=True),
        sa.Column("session_id", TEXT),
        sa.Column("at_ns", INTEGER),
        sa.Column("kind", TEXT),
        sa.Column("exchange", TEXT),
        sa.Column("symbol", TEXT),
        sa.Column("code", TEXT),
        sa.Column("detail", TEXT),
        sa.Column("created_at", MOMENT, server_default=sa.func.current_timestamp()),
        sqlite_autoincrement=True,
    )


def archive(metadata: sa.MetaData) -> sa.Table:
    """Define the table of the rows that were moved from this database to files."""
    return sa.Table(
        "collector_archive",
        metadata,
        sa.Column("path", TEXT, primary_key=True),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("exchange", TEXT, nullable=False),
        sa.Column("symbol", TEXT, nullable=False),
        sa.Column("date", TEXT, nullable=False),
        sa.Column("rows", INTEGER, nullable=False),
        sa.Column("last_id", INTEGER, nullable=False),
        sa.Column("sha256", TEXT, nullable=False),
        sa.Column("segments", TEXT, nullable=False),
        sa.Column("archived_ns", INTEGER, nullable=False),
        sa.Column("deleted_ns", INTEGER),
        sa.Column("table_name", TEXT),
        sa.Index("ux_collector_archive", *ARCHIVE_KEY, unique=True),
    )


def stream_positions(metadata: sa.MetaData) -> sa.Table:
    """Define the table of how far the shards of a stream are read into this database."""
    return sa.Table(
        "collector_stream_positions",
        metadata,
        sa.Column("source", TEXT, primary_key=True),
        sa.Column("shard", TEXT, primary_key=True),
        sa.Column("position", TEXT, nullable=False),
        sa.Column("finished", INTEGER, nullable=False),
        sa.Column("updated_ns", INTEGER, nullable=False),
    )


def stream_sessions(metadata: sa.MetaData) -> sa.Table:
    """Define the table of the sessions whose rows came of a stream: their collectors do not write here."""
    return sa.Table(
        "collector_stream_sessions",
        metadata,
        sa.Column("session_id", TEXT, primary_key=True),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("heard_ns", INTEGER, nullable=False),
        sa.Column("silent", INTEGER, nullable=False),
    )


def quality(metadata: sa.MetaData) -> sa.Table:
    """Define the table of the daily report: how good the day of a stream was."""
    return sa.Table(
        "collector_day_quality",
        metadata,
        *(sa.Column(name, TEXT, primary_key=True) for name in QUALITY_KEY),
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


def jobs(metadata: sa.MetaData) -> sa.Table:
    """Define the table of the last run of each job."""
    return sa.Table(
        "collector_jobs",
        metadata,
        *(sa.Column(name, TEXT, primary_key=True) for name in ("table_name", "name")),
        sa.Column("what", TEXT, nullable=False),
        sa.Column("due", TEXT, nullable=False),
        sa.Column("session_id", TEXT),
        sa.Column("last_start_ns", INTEGER, nullable=False),
        sa.Column("last_s", REAL),
        sa.Column("last_result", TEXT, nullable=False),
        sa.Column("last_text", TEXT, nullable=False),
        sa.Column("last_error", TEXT, nullable=False),
        sa.Column("last_error_ns", INTEGER, nullable=False),
    )
