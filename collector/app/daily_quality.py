"""Keep the report of each finished day in the database, and make up those that were missed."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

from collector.app.housekeeping import result_of
from collector.app.jobs import Ending
from collector.database import make_tables
from collector.sinks import Slice, keep_quality


class DailyQuality:
    """Computes the days that are due, one after the other, and gives each to the writer as a whole."""

    def __init__(
        self,
        database: str,
        table_name: str,
        submit: Callable[[Slice], Future[int]],
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._database = database
        self._table_name = table_name
        self._submit = submit
        self._now_ns = now_ns

    def keep(self, ending: Ending) -> str:
        """Keep what is due; return which days."""
        from collector.query import days_due, reading  # noqa: PLC0415  (numpy and more, in the job's thread)

        with reading(self._database, self._table_name) as (connection, tables):
            due = days_due(connection, tables, self._now_ns())
        kept = []
        for day in due:
            rows = list(self._rows_of(day, ending))
            if ending.is_asked:  # half a day is none
                break
            if rows:
                result_of(self._submit(keep_quality(make_tables(self._table_name), rows)), ending)
                kept.append(day)
        return "" if not kept else f"{len(kept)} day{'s'[: len(kept) != 1]} up to {kept[-1]}"

    def _rows_of(self, day: str, ending: Ending) -> Iterator[dict[str, Any]]:
        """Yield the rows of a day, all of one moment; end early if the run is to end."""
        from collector.query import quality_of_day, reading  # noqa: PLC0415

        with reading(self._database, self._table_name) as (connection, tables):
            for row in quality_of_day(connection, tables, day, self._now_ns()):
                if ending.is_asked:
                    return
                yield row
