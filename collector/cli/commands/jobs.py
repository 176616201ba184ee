"""Define the commands `jobs` and `jobs run`."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from collector.cli.options import AsJson, ConfigFile, ConfiguredDatabase
from collector.cli.plain import instant
from collector.cli.table import Column, print_table, print_text
from collector.nearest import did_you_mean

if TYPE_CHECKING:
    from collector.settings import Settings

EXIT_FAILED = 1
POLL_S = 0.2
NO_ANSWER = 20  # polls in a row: it stops, or is gone
TOKEN = "COLLECTOR_SERVE__TOKEN"  # noqa: S105  (its name)

jobs = typer.Typer(
    name="jobs", help="Show what is done now and then; run it at once.", invoke_without_command=True
)


@jobs.callback()
def show(
    context: typer.Context,
    *,
    config: ConfigFile = None,
    db: ConfiguredDatabase = None,
    as_json: AsJson = False,
) -> int:
    """Show what is done now and then: by the collector that runs, or by one of this configuration.

    The last run of each is kept in the database, and shown after a restart as well.

    Example: python run.py jobs --config live.yaml

    `jobs run NAME` has one of them done at once.
    """
    if context.invoked_subcommand is not None:
        return 0
    from collector.app import configured_jobs  # noqa: PLC0415
    from collector.cli.options import configured  # noqa: PLC0415
    from collector.cli.running_api import jobs_of_running  # noqa: PLC0415
    from collector.masking import mask_url  # noqa: PLC0415

    settings = configured(config, db=db).settings
    running = jobs_of_running(settings)
    listed = _with_last_runs(configured_jobs(settings), settings) if running is None else running
    if as_json:
        print(json.dumps({"running": running is not None, "jobs": listed}))
        return 0
    if running is None:
        rows = [[one["name"], one["due"], _instant(one["last_start_ns"]), _came(one)] for one in listed]
        columns = [Column("job", "name"), Column("due", "text"), Column("last", "text")]
        print_table([*columns, Column("what came of it", "note")], rows)
        print_text(f"configured; no collector that writes {mask_url(settings.database.url)} answers")
        return 0
    rows = [[one["name"], one["due"], *_of_runs(one), _came(one)] for one in listed]
    times = (Column("last", "text"), Column("next", "text"))
    due = Column("due", "text", wide=True)
    columns = [Column("job", "name"), due, Column("runs"), Column("failed"), *times]
    print_table([*columns, Column("what came of it", "note")], rows)
    return 0


@jobs.command("run")
def run(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A job, as `jobs` names it.")],
    *,
    config: ConfigFile = None,
    db: ConfiguredDatabase = None,
) -> int:
    """Have a job done at once: by the collector that runs on the database, or else by this process.

    Example: python run.py jobs run tidy --db ./demo.db

    A running collector is asked over HTTP, which wants COLLECTOR_SERVE__TOKEN, the same here and there.

    Exit codes: 0 done; 1 it failed; 2 it cannot be run now, and why.
    """
    from collector.cli.options import configured  # noqa: PLC0415
    from collector.cli.running_api import jobs_of_running  # noqa: PLC0415
    from collector.log import set_up_logging  # noqa: PLC0415

    settings = configured(config, db=db).settings
    set_up_logging(settings.logging, secrets=settings.secrets())
    before = jobs_of_running(settings)
    if before is not None:
        return _ask(settings, name, before)
    return _run_here(settings, name)


def _with_last_runs(jobs: Sequence[Mapping[str, Any]], settings: "Settings") -> list[dict[str, Any]]:
    """Return the jobs with their last run, as the database has it."""
    from collector.errors import CollectorError  # noqa: PLC0415
    from collector.query import last_job_runs  # noqa: PLC0415

    try:
        found = last_job_runs(settings.database.url, table_name=settings.database.table_name)
    except CollectorError:
        found = []  # there is no database yet, or it is away
    kept = {one["name"]: one for one in found}
    names = ("last_start_ns", "last_s", "last_result", "last_text", "last_error", "last_error_ns")
    never = dict.fromkeys(names)
    return [{**job, **{name: kept.get(job["name"], never)[name] for name in names}} for job in jobs]


def _ask(settings: "Settings", name: str, before: Sequence[Mapping[str, Any]]) -> int:
    """Have the running collector do it, and wait until it is done."""
    from collector.cli.running_api import jobs_of_running, running_api  # noqa: PLC0415
    from collector.errors import UserError  # noqa: PLC0415

    _refuse_unknown(name, before)
    api = running_api(settings)
    assert api is not None  # noqa: S101  (it answered)
    if api.token is None:
        raise UserError(
            f"a collector that runs writes the database, and is asked at {api.address} only with its token; "
            f"expected {TOKEN} in the environment, the same as the collector's"
        )
    began = api.post(f"/api/jobs/{name}")
    unanswered = 0
    while began is not None and unanswered < NO_ANSWER:
        time.sleep(POLL_S)
        now = next((one for one in jobs_of_running(settings) or [] if one["name"] == name), None)
        unanswered = unanswered + 1 if now is None else 0
        if now is not None and now["runs"] > began["runs"]:
            return _tell(name, now["last_result"], now["last_text"], now["last_s"])
    raise UserError(f"the collector at {api.address} answers no longer; whether {name} is done is not known")


def _refuse_unknown(name: str, jobs: Sequence[Mapping[str, Any]]) -> None:
    from collector.errors import UserError  # noqa: PLC0415

    known = [one["name"] for one in jobs]
    if name not in known:
        hint = did_you_mean(name, known)
        raise UserError(f"there is no job {name!r}; expected one of {', '.join(known)}{hint}")


INSTEAD = {"fill_holes": "; python run.py backfill --holes --start TIME is for a database that nobody writes"}


def _run_here(settings: "Settings", name: str) -> int:
    from collector.app import configured_jobs, jobs_of_database  # noqa: PLC0415
    from collector.cli.running_api import running_api  # noqa: PLC0415
    from collector.errors import DatabaseInUse, UserError  # noqa: PLC0415

    configured = configured_jobs(settings)
    _refuse_unknown(name, configured)
    try:
        with jobs_of_database(settings) as found:
            if name not in {one.name for one in found.states()}:
                instead = INSTEAD.get(name, "")
                raise UserError(f"{name!r} is done by a collector only, while it runs{instead}")
            state = found.run(name)
    except DatabaseInUse as error:
        api = running_api(settings)
        where = "serve.enabled is false, or serve.port 0" if api is None else f"nor answers at {api.address}"
        raise DatabaseInUse(f"{error}; it cannot be asked to run {name}: {where}") from None
    return _tell(name, state.last_result, state.last_text, state.last_s)


def _tell(name: str, result: str, text: str, took_s: float | None) -> int:
    print_text(f"{name}: {result.replace('_', ' ')}, {text or 'nothing to do'} ({took_s or 0.0:.2f} s)")
    return 0 if result == "done" else EXIT_FAILED


def _of_runs(job: Mapping[str, Any]) -> list[str]:
    last = "running" if job["running"] else _instant(job["last_start_ns"])
    return [f"{job['runs']:,}", f"{job['failures']:,}", last, _instant(job["next_ns"])]


def _came(job: Mapping[str, Any]) -> str:
    if job["last_result"] is None:
        return ""
    took = f"{job['last_s']:.2f} s"
    return ", ".join(filter(None, [job["last_result"].replace("_", " "), took, job["last_text"]]))


def _instant(at_ns: int | None) -> str:
    return "" if at_ns is None else instant(at_ns)
