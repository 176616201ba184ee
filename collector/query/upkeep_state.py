"""Read what housekeeping of a database could not do, and which archive files need a person."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from collector.database import DEFAULT_TABLE_NAME, Tables
from collector.query.database import Database, has_table, reading
from collector.query.rows import archived

TROUBLE = ("failed", "out_of_time")  # results of a run that somebody should look at


def job_runs(connection: sa.Connection, tables: Tables) -> list[dict[str, Any]]:
    """Return the last run of each job of this table's collectors, as they stand in the database."""
    jobs = tables.jobs
    if not has_table(connection, jobs):
        return []
    query = sa.select(jobs).where(jobs.c.table_name == tables.hot.name).order_by(jobs.c.name)
    return [{str(name): value for name, value in row.items()} for row in connection.execute(query).mappings()]


def last_job_runs(database: Database, *, table_name: str = DEFAULT_TABLE_NAME) -> list[dict[str, Any]]:
    """Return the last run of each job: when it began, how long it took, what came of it."""
    with reading(database, table_name) as both:
        return job_runs(*both)


def failing_chores(database: Database, *, table_name: str = DEFAULT_TABLE_NAME) -> list[dict[str, Any]]:
    """Return the jobs that failed when they ran last: chore, at_ns and problem.

    An older version kept no runs: there it is told by what happened in its newest session.
    """
    with reading(database, table_name) as (connection, tables):
        kept = job_runs(connection, tables)
        if kept:
            return [
                {"chore": one["name"], "at_ns": one["last_error_ns"], "problem": one["last_error"]}
                for one in kept
                if one["last_result"] in TROUBLE
            ]
        events, sessions = tables.events, tables.sessions
        if not has_table(connection, events):
            return []
        newest = sa.select(sessions.c.session_id).order_by(sessions.c.started_ns.desc()).limit(1)
        query = (
            sa.select(events.c.code, events.c.at_ns, events.c.detail)
            .where(events.c.kind == "housekeeping", events.c.session_id == newest.scalar_subquery())
            .order_by(events.c.id)
        )
        last = {row.code: row for row in connection.execute(query)}
    return [
        {"chore": row.code, "at_ns": row.at_ns, "problem": row.detail} for row in last.values() if row.detail
    ]


def archive_troubles(database: Database, *, table_name: str = DEFAULT_TABLE_NAME) -> list[str]:
    """Return a line for each kind of archive file that is read by nobody, or whose rows cannot be deleted."""
    with reading(database, table_name) as (connection, tables):
        archive = tables.archive
        if not has_table(connection, archive):
            return []
        mine = [
            row
            for table in (tables.hot, tables.levels, tables.trades)
            for row in archived(connection, tables, table)
        ]
        lost = []
        if any(column["name"] == "table_name" for column in sa.inspect(connection).get_columns(archive.name)):
            nameless = (
                sa.select(archive.c.path).where(archive.c.table_name.is_(None)).order_by(archive.c.path)
            )
            lost = sorted(connection.execute(nameless).scalars())
    begun = [row["path"] for row in mine if row["deleted_ns"] is None and not Path(row["path"]).is_file()]
    gone = [row["path"] for row in mine if row["deleted_ns"] is not None and not Path(row["path"]).is_file()]
    said = {
        "of no known table, or with rows that another file holds; no loader reads it": lost,
        "not here, and its rows are still being deleted: those days stay as they are until it is back": begun,
        "not here: loaders that need it raise an error": gone,
    }
    return [f"{_counted(paths)} {what}" for what, paths in said.items() if paths]


def _counted(paths: list[str]) -> str:
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{paths[0]}{more}:"
