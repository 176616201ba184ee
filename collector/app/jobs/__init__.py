"""Run what has to be done now and then: bounded in time, never twice at once, whatever the clock does."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.app.jobs.job import Daily, Ending, Every, Job, JobState, Result
    from collector.app.jobs.jobs import Jobs
    from collector.app.jobs.last_runs import KEPT_OF_A_JOB, LastRuns
else:
    __getattr__, __dir__ = face(__name__, __file__)
