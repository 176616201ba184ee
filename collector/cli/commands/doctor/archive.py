"""Check the files that rows of the database were moved to."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from collector.cli.commands.doctor.check_result import CheckResult
from collector.errors import CollectorError

if TYPE_CHECKING:
    from collector.settings import DatabaseSettings

ADVICE = "docs/schema.md, collector_archive: put files back, or record in table_name whose rows they hold"


def archive(settings: "DatabaseSettings") -> Iterator[CheckResult]:
    """Name the files that need a person; nothing where there are none."""
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    from collector.query import archive_troubles, failing_chores  # noqa: PLC0415

    try:
        troubles = archive_troubles(settings.url, table_name=settings.table_name)
        failing = failing_chores(settings.url, table_name=settings.table_name)
    except (CollectorError, SQLAlchemyError):
        return  # the check of the database says what there is to say
    for trouble in troubles:
        yield CheckResult("archive", "warn", trouble, ADVICE)
    for chore in failing:
        found = f"{chore['chore']} failed last: {chore['problem']}"
        yield CheckResult("housekeeping", "warn", found, "the log has each failure; it is tried again")
