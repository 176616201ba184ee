"""Define a job, when it is due, how a run of it is ended, and what is known of its runs."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from collector.clock import NS_A_SECOND

DAY_S = 86_400.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Ending:
    """Says whether a run is to end, and why. Asked for by any thread, obeyed by the one that runs."""

    def __init__(self, break_off: Callable[[], None] = lambda: None) -> None:
        self._asked = threading.Event()
        self._break_off = break_off
        self.why: Result | None = None

    def ask(self, why: "Result") -> None:
        """End the run: at its next look, and what it waits for at once. May be called again."""
        self.why = self.why or why
        self._asked.set()
        self._break_off()

    @property
    def is_asked(self) -> bool:
        """Return whether the run is to end."""
        return self._asked.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait; return whether the run is to end."""
        return self._asked.wait(seconds)


class Result(StrEnum):
    """How a run ended."""

    DONE = "done"
    FAILED = "failed"
    OUT_OF_TIME = "out_of_time"  # broken off; what it had done stays done
    STOPPED = "stopped"  # because the collector stops
    LEFT_TO_ANOTHER = "left_to_another"  # another process does the same now

    @property
    def is_trouble(self) -> bool:
        """Return whether somebody should look at it."""
        return self in (Result.FAILED, Result.OUT_OF_TIME)


@dataclass(frozen=True, slots=True)
class Every:
    """Due again so long after it began."""

    seconds: float

    def wait_s(self, _now: datetime) -> float:
        """Return how long from now on it is due."""
        return self.seconds

    def __str__(self) -> str:
        """Return it in words."""
        return f"every {self.seconds:g} s"


@dataclass(frozen=True, slots=True)
class Daily:
    """Due once a day, so long after midnight, UTC; and after a start where that was missed."""

    after_midnight_s: float

    def wait_s(self, now: datetime) -> float:
        """Return how long from now on it is due."""
        today_s = (now - now.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
        wait_s = self.after_midnight_s - today_s
        return wait_s if wait_s > 0 else wait_s + DAY_S

    def is_missed(self, last: "JobState", now: datetime) -> bool:
        """Return whether nothing was done since it was due last; a run in the future is none."""
        due = now + timedelta(seconds=self.wait_s(now) - DAY_S)
        return last.last_result != Result.DONE or not ns_of(due) <= last.last_start_ns <= ns_of(now)

    def __str__(self) -> str:
        """Return it in words."""
        return f"daily at {_EPOCH + timedelta(seconds=self.after_midnight_s):%H:%M} UTC"


@dataclass(frozen=True, slots=True)
class Job:
    """Something to be done now and then; what it returns says in a few words what was done."""

    name: str
    what: str  # in one line
    work: Callable[[Ending], str]
    due: Every | Daily
    timeout_s: float
    turn: str = ""  # jobs of one turn wait for each other
    break_off: Callable[[], None] = lambda: None  # ends what the work waits for, from another thread
    quiet: bool = False  # what it does is worth no line of the log


@dataclass(frozen=True, slots=True)
class JobState:
    """What is known of a job and its runs; times are of the wall clock, 0 is never."""

    name: str
    what: str
    due: str
    timeout_s: float
    running: bool = False
    runs: int = 0  # ended, since the start
    failures: int = 0  # of these
    last_start_ns: int = 0
    last_s: float | None = None  # how long the last run took
    last_result: str = ""
    last_text: str = ""  # what it did, or its error
    last_error: str = ""  # of the last run that failed, and when; stays
    last_error_ns: int = 0
    next_ns: int = 0


def ns_of(moment: datetime) -> int:
    """Return a moment in ns since 1970."""
    return round(moment.timestamp() * NS_A_SECOND)
