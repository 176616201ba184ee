"""Run the jobs of one process by one scheduler.

The scheduler goes by the wall clock. A thread of ours, which goes by the monotonic clock, looks every second
whether the wall clock was stepped, and has every job reckoned anew; the same thread ends runs that are over
their time. A job touches the database only through who writes it, or by reading.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.events import EVENT_JOB_MAX_INSTANCES, JobSubmissionEvent
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from collector.app.jobs.job import Daily, Ending, Job, JobState, Result, ns_of
from collector.clock import Clock
from collector.database import may_come_back
from collector.errors import CollectorError, DatabaseInUse, UserError, in_one_line
from collector.events import ChoreState
from collector.nearest import did_you_mean

FIRST_AFTER_S = 60.0  # a start has other things to do
LOOK_S = 0.1  # whether to stop, while a job waits for its turn
WATCH_S = 1.0  # between two looks at the clock and at what runs
STOP_WITHIN_S = 30.0
LIBRARY = "apscheduler"  # the name of its own logger

log = structlog.get_logger()


class Jobs:
    """Runs each job when it is due, or when asked to; no job runs twice at once."""

    def __init__(
        self, jobs: Iterable[Job] = (), *, publish: Callable[[ChoreState], None] = lambda _: None
    ) -> None:
        self._publish = publish
        self._jobs: dict[str, Job] = {}
        self._turns: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        # Guarded by _lock: the two below.
        self._states: dict[str, JobState] = {}
        self._running: dict[str, tuple[Ending, float | None]] = {}  # and when its time is over
        self._failing: set[str] = set()
        self._stopping = threading.Event()
        self._watch = threading.Thread(target=self._watch_over, name="jobs-watch", daemon=True)
        self._scheduler = BackgroundScheduler(timezone=UTC, daemon=True)
        self._scheduler.add_listener(_log_overlap, EVENT_JOB_MAX_INSTANCES)
        # What it would say itself is told here; without a handler it would go to standard error as it is.
        logging.getLogger(LIBRARY).addHandler(logging.NullHandler())
        for job in jobs:
            self.add(job)

    def add(self, job: Job) -> None:
        """Add a job, before the start."""
        self._jobs[job.name] = job
        self._turns.setdefault(job.turn or job.name, threading.Lock())
        self._states[job.name] = JobState(job.name, job.what, str(job.due), job.timeout_s)

    def start(self) -> None:
        """Start the scheduler's threads."""
        self._scheduler.start()
        now = datetime.now(UTC)
        for name, job in self._jobs.items():
            # A daily one at once as well: days may have been missed.
            first_s = FIRST_AFTER_S if isinstance(job.due, Daily) else min(job.due.seconds, FIRST_AFTER_S)
            self._scheduler.add_job(
                self._run_scheduled,
                _Trigger(job),
                [name],
                id=name,
                next_run_time=now + timedelta(seconds=first_s),
                coalesce=True,
                max_instances=1,
                misfire_grace_time=None,  # late is better than never
            )
        self._watch.start()

    def states(self) -> tuple[JobState, ...]:
        """Return what is known of each job. For any thread."""
        next_ns: dict[str, int] = {}
        if self._scheduler.running:
            scheduled = [self._scheduler.get_job(name) for name in self._jobs]
            next_ns = {one.id: ns_of(one.next_run_time) for one in scheduled if one is not None}
        with self._lock:
            return tuple(replace(state, next_ns=next_ns.get(name, 0)) for name, state in self._states.items())

    def state(self, name: str) -> JobState:
        """Return what is known of one job. Raises UserError for a name that none has."""
        self._known(name)
        return next(one for one in self.states() if one.name == name)

    def begin(self, name: str) -> JobState:
        """Have a job run as soon as its turn comes, in a thread of the scheduler; return its state before.

        Raises UserError for a name that no job has, and for one that runs or waits already.
        """
        job = self._known(name)
        state = self.state(name)
        with self._lock:
            if name in self._running:
                raise UserError(f"{name} runs already; expected one run at a time")
            if self._stopping.is_set() or not self._scheduler.running:
                raise UserError(f"{name} cannot run now: the collector is stopping; expected a running one")
            self._running[name] = Ending(job.break_off), None
        self._scheduler.add_job(self._run_taken, args=[name], misfire_grace_time=None)
        return state

    def run(self, name: str) -> JobState:
        """Run a job now, in this thread; return its state afterwards. Raises UserError as `begin` does."""
        job = self._known(name)
        with self._lock:
            if name in self._running:
                raise UserError(f"{name} runs already; expected one run at a time")
            self._running[name] = Ending(job.break_off), None
        self._run_taken(name)
        return self.state(name)

    def clock_stepped(self, step_s: float) -> None:
        """Reckon every job anew, by the wall clock as it is now."""
        for name, job in self._jobs.items():
            scheduled = self._scheduler.get_job(name)
            if scheduled is None:
                continue
            now = datetime.now(UTC)
            latest = now + timedelta(seconds=job.due.wait_s(now))
            is_daily = isinstance(job.due, Daily)
            before = scheduled.next_run_time if is_daily else _later(scheduled.next_run_time, step_s, latest)
            scheduled.modify(next_run_time=max(now, min(before, latest)))

    def ask_to_stop(self) -> None:
        """Begin nothing more, and end what runs."""
        self._stopping.set()
        self._end_runs(Result.STOPPED)

    def stop(self, within_s: float = STOP_WITHIN_S) -> None:
        """Stop the scheduler; what does not end in time is left to end by itself. Idempotent."""
        until_s = time.monotonic() + within_s
        self.ask_to_stop()
        while self._names_running() and time.monotonic() < until_s:
            time.sleep(LOOK_S)
            self.ask_to_stop()  # what it had begun since the last time
        late = self._names_running()
        if late:
            log.warning("job.not_ended", jobs=late, within_s=within_s)
        if self._scheduler.running:
            self._scheduler.shutdown(wait=not late)
        if self._watch.ident is not None:
            self._watch.join()

    def _known(self, name: str) -> Job:
        if name not in self._jobs:
            known = (", ".join(self._jobs) or "none") + did_you_mean(name, self._jobs)
            raise UserError(f"there is no job {name!r}; expected one of {known}")
        return self._jobs[name]

    def _names_running(self) -> list[str]:
        with self._lock:
            return list(self._running)

    def _run_scheduled(self, name: str) -> None:
        with self._lock:
            if name in self._running:  # by hand
                log.info("job.still_running", job=name)
                return
            self._running[name] = Ending(self._jobs[name].break_off), None
        self._run_taken(name)

    def _run_taken(self, name: str) -> None:
        """Run a job that is marked as running, when its turn comes."""
        job, ending = self._jobs[name], self._running[name][0]
        turn = self._turns[job.turn or job.name]
        try:
            while not turn.acquire(timeout=LOOK_S):
                if self._stopping.is_set():
                    return
            try:
                self._run_in_turn(job, ending)
            finally:
                turn.release()
        finally:
            with self._lock:
                self._running.pop(name, None)
                self._states[name] = replace(self._states[name], running=False)

    def _run_in_turn(self, job: Job, ending: Ending) -> None:
        began_s = time.monotonic()
        with self._lock:
            self._running[job.name] = ending, began_s + job.timeout_s
            self._states[job.name] = replace(
                self._states[job.name], running=True, last_start_ns=time.time_ns()
            )
        if self._stopping.is_set():
            ending.ask(Result.STOPPED)
        result, text = _outcome(job, ending)
        self._note(job.name, result, text, time.monotonic() - began_s)

    def _note(self, name: str, result: Result, text: str, took_s: float) -> None:
        with self._lock:
            before = self._states[name]
            after = replace(
                before, runs=before.runs + 1, last_s=took_s, last_result=result.value, last_text=text
            )
            if result.is_trouble:
                now_ns = time.time_ns()
                after = replace(after, failures=before.failures + 1, last_error=text, last_error_ns=now_ns)
            self._states[name] = after
        if result is Result.LEFT_TO_ANOTHER:
            log.info("job.left_to_another", job=name, reason=text)
        elif result is Result.DONE and text:
            tell = log.debug if self._jobs[name].quiet else log.info
            tell("job.done", job=name, did=text, took_s=round(took_s, 3))
        if result is not Result.STOPPED:
            self._tell(name, text if result.is_trouble else "")

    def _tell(self, name: str, problem: str) -> None:
        """Publish a failure each time, and once that it is over."""
        if problem or name in self._failing:
            self._publish(ChoreState(name, time.time_ns(), problem))
        (self._failing.add if problem else self._failing.discard)(name)

    def _watch_over(self) -> None:
        clock = Clock()
        while not self._stopping.wait(WATCH_S):
            step_ns = clock.check()
            if step_ns is not None:
                self.clock_stepped(step_ns / 1e9)
            self._end_runs(Result.OUT_OF_TIME)

    def _end_runs(self, why: Result) -> None:
        """Ask runs to end: all of them, or those that are over their time."""
        now_s = time.monotonic()
        with self._lock:
            running = list(self._running.values())
        for ending, until_s in running:
            if why is Result.STOPPED or (until_s is not None and now_s > until_s):
                ending.ask(why)


class _Trigger(BaseTrigger):  # type: ignore[misc]  # the library has no types
    """Reckons from now on, never from the last time: no row of runs to make up, however the clock jumps."""

    def __init__(self, job: Job) -> None:
        self._due = job.due

    def get_next_fire_time(self, _previous: datetime | None, now: datetime) -> datetime:
        return now + timedelta(seconds=self._due.wait_s(now))


def _later(moment: datetime, by_s: float, latest: datetime) -> datetime:
    """Return a moment moved by a step of the clock, which may lead out of what a date can be."""
    try:
        return moment + timedelta(seconds=by_s)
    except OverflowError:
        return latest


def _outcome(job: Job, ending: Ending) -> tuple[Result, str]:
    """Run the work; return how it ended and what there is to say. What it raises is logged."""
    try:
        text = job.work(ending)
    except DatabaseInUse as other:
        return Result.LEFT_TO_ANOTHER, str(other)
    except Exception as error:
        if ending.why is None:
            problem = str(error) if isinstance(error, CollectorError) else in_one_line(error)
            unforeseen = not (isinstance(error, CollectorError) or may_come_back(error))
            log.exception("job.failed", job=job.name, error=problem, exc_info=unforeseen)
            return Result.FAILED, problem
        text = ""  # what was broken off is no other failure
    if ending.why is Result.OUT_OF_TIME:
        problem = f"broken off after {job.timeout_s:g} s, its time; the next run goes on"
        log.error("job.failed", job=job.name, error=problem)
        return Result.OUT_OF_TIME, problem
    return ending.why or Result.DONE, text


def _log_overlap(event: JobSubmissionEvent) -> None:
    log.info("job.still_running", job=event.job_id)
