"""Serve what is done now and then, and have it done at once; and the daily report that comes of it."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from collector.app import JobState
from collector.query import kept_days, kept_quality
from collector.serve.api import shapes
from collector.serve.api.answers import ERRORS, Reading, answers_with, json_answer
from collector.serve.api.asked import Tokens, check_token, refused
from collector.serve.api.source import Source

MOST_DAYS = 31

JobName = Annotated[
    str, Path(max_length=40, description="A job, as `/api/jobs` names it.", examples=["tidy"])
]


DayName = Annotated[
    str | None, Query(pattern=r"^\d{4}-\d{2}-\d{2}$", description="This day of UTC, like 2026-01-31.")
]
Days = Annotated[int, Query(ge=1, le=MOST_DAYS, description="So many days at most, where none is named.")]


def job_routes(source: Source, tokens: Tokens, reading: Reading) -> APIRouter:
    """Return the routes."""
    router = APIRouter()

    @router.get("/api/jobs", tags=["now"], responses=answers_with(shapes.Jobs))
    async def jobs() -> Response:
        """Return what is done now and then: when it ran, what came of it, when it runs again.

        The last run may be of before the start; where nobody collects it is all that is known.
        """
        listed = [job_of(one, source) for one in await source.jobs()]
        return json_answer({"session_id": source.session_id, "jobs": listed})

    @router.post(
        "/api/jobs/{name}",
        tags=["change"],
        status_code=int(HTTPStatus.ACCEPTED),
        responses={int(HTTPStatus.ACCEPTED): {"model": shapes.Job}, **ERRORS},
    )
    async def begin(request: Request, name: JobName) -> Response:
        """Have a job run as soon as its turn comes; wants the token, on loopback as well.

        What is returned is its state before: the run is over when `runs` has grown.
        """
        check_token(request, tokens)
        known = [one.name for one in await source.jobs()]
        if source.is_live and name not in known:
            raise refused(HTTPStatus.NOT_FOUND, "there is no such job", f"one of {', '.join(known)}")
        return json_answer(job_of(await source.begin_job(name), source), int(HTTPStatus.ACCEPTED))

    @router.get("/api/quality", tags=["stored"], responses=answers_with(shapes.Quality))
    async def quality(day: DayName = None, days: Days = 1) -> Response:
        """Return the report of a finished day, or of the last ones that have one, the newest first.

        `kept` names the days that have one, the newest first.
        """

        def found(*both: Any) -> dict[str, Any]:
            return {"days": kept_quality(*both, day=day, days=days), "kept": kept_days(*both)}

        return json_answer(await reading(found))

    return router


def job_of(state: JobState, source: Source) -> shapes.Job:
    """Return a job as it is shown."""
    return {
        "name": state.name,
        "what": state.what,
        "due": state.due,
        "running": state.running,
        "runs": state.runs,
        "failures": state.failures,
        "last_start_ns": state.last_start_ns or None,
        "last_s": state.last_s,
        "last_result": state.last_result or None,
        "last_text": source.masked(state.last_text),
        "last_error": source.masked(state.last_error),
        "last_error_ns": state.last_error_ns or None,
        "next_ns": state.next_ns or None,
        "timeout_s": state.timeout_s or None,
    }
