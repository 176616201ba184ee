"""Keep the last run of each job in the database, by who writes it: the next start knows of it then."""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future
from typing import Any

from collector.app.jobs.job import JobState
from collector.database import Tables
from collector.loggers import get_logger
from collector.sinks import Slice, forget_job_runs, keep_job_runs

OF_A_RUN = ("last_start_ns", "last_s", "last_result", "last_text", "last_error", "last_error_ns")
KEPT_OF_A_JOB = ("name", "what", "due", *OF_A_RUN)

log = get_logger(__name__)


class LastRuns:
    """Has runs written; while the database is away only the last of each job waits, in one task."""

    def __init__(
        self, tables: Tables, session_id: str | None, submit: Callable[[Slice], Future[int]]
    ) -> None:
        self._tables = tables
        self._session_id = session_id
        self._submit = submit
        self._lock = threading.Lock()
        # Guarded by _lock: the two below.
        self._due: dict[str, JobState] = {}
        self._is_given = False

    def note(self, state: JobState) -> None:
        """Keep what is known of a job whose run has ended. Waits for nothing; for any thread."""
        with self._lock:
            self._due[state.name] = state
            if self._is_given:
                return
            self._is_given = True
        self._give()

    def recall(self, take: Callable[[Mapping[str, Mapping[str, Any]]], None]) -> None:
        """Have the runs before this start given to `take`, by name, once the database can be read."""

        def read(connection: Any) -> int:
            from collector.query import job_runs  # noqa: PLC0415  (in the writer's thread, not at the start)

            found = {one["name"]: one for one in job_runs(connection, self._tables)}
            take({name: {field: one[field] for field in OF_A_RUN} for name, one in found.items()})
            return len(found)

        self._submit(read).add_done_callback(_tell)

    def forget_others(self, names: Collection[str]) -> None:
        """Delete what is kept of jobs that are none any more."""
        self._submit(forget_job_runs(self._tables, names)).add_done_callback(_tell)

    def _give(self) -> None:
        taken: list[JobState] = []

        def take() -> list[dict[str, Any]]:
            with self._lock:
                taken[:] = self._due.values()
            return list(self._rows(taken))

        def done(given: "Future[int]") -> None:
            failed = given.cancelled() or given.exception() is not None
            with self._lock:
                for one in () if failed else taken:
                    if self._due.get(one.name) is one:
                        del self._due[one.name]
                self._is_given = bool(self._due) and not failed  # what came meanwhile; else with the next run
                again = self._is_given
            _tell(given)
            if again:
                self._give()

        self._submit(keep_job_runs(self._tables, take)).add_done_callback(done)

    def _rows(self, states: Iterable[JobState]) -> Iterable[dict[str, Any]]:
        for one in states:
            yield {field: getattr(one, field) for field in KEPT_OF_A_JOB} | {"session_id": self._session_id}


def _tell(given: "Future[int]") -> None:
    """Log why runs were neither kept nor recalled; nothing else depends on it."""
    error = None if given.cancelled() else given.exception()
    if error is not None:
        log.warning("job.runs_not_kept", error=str(error))
