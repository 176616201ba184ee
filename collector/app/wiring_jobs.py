"""Build the jobs of a collector, and those of a database that nobody writes, from the settings."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from collector.app.clock_check import Ask, ClockCheck
from collector.app.daily_quality import DailyQuality
from collector.app.disk_room import DiskRoom
from collector.app.housekeeping import Housekeeping, housekeeping_of
from collector.app.jobs import Daily, Every, Job, Jobs, LastRuns
from collector.app.log_heartbeat import LogHeartbeat
from collector.app.machine import Machine
from collector.app.markets_look import MarketsLook
from collector.app.monitor import Monitor
from collector.app.wiring_feeds import source_of
from collector.app.wiring_fill_holes import HoleFilling
from collector.app.wiring_writer import store_of
from collector.database import make_tables
from collector.errors import UserError
from collector.events import EventBus, PotentialHalt
from collector.ids import SegmentIds, new_id
from collector.live import StreamThread
from collector.settings import ExchangeSettings, Settings
from collector.sinks import SessionState, SqlSink, Store
from collector.writer import Follower, Task

SHORT_S = 60.0  # for a job that waits for nothing
ANSWER_S = 10.0  # for an exchange to tell its time
NOBODY = SessionState("", 0, "", "", 0, "{}")
REPORT_AFTER_S = 900.0  # midnight: a day is finished some minutes after its end

Submit = Callable[[Task], Future[int]]


def jobs_of(
    settings: Settings,
    store: Store[object],
    session: SessionState,
    submit: Submit,
    events: EventBus,
    monitor: Monitor,
    stream: StreamThread,
    segment_ids: SegmentIds | None = None,
    followers: Sequence[Follower] = (),
) -> Jobs:
    """Build the jobs of a collector, not started."""
    housekeeping = _housekeeping_of(settings, store, session.session_id, submit)
    if housekeeping is not None and store.file is not None:
        kept = settings.retention
        archive = Path(kept.path).expanduser() if kept.is_on else None
        room = DiskRoom(store.file, events, archive=archive)
        housekeeping.add("disk_room", "tell how long the disk lasts, and warn before", room.chore)
    jobs = Jobs(
        _of_any_database(settings, store, submit, housekeeping, events.publish),
        publish=events.publish,
        last_runs=_last_runs_of(settings, store, session.session_id, submit),
    )
    look = MarketsLook(stream, settings.stream.markets_timeout_s).look
    due = Every(settings.stream.markets_every_s)
    timeout_s = SHORT_S + settings.stream.markets_timeout_s
    jobs.add(Job("markets", "look at what the exchanges list by now", look, due, timeout_s, quiet=True))
    every_s = settings.jobs.fill_holes_every_s
    if every_s is not None and isinstance(store, SqlSink):
        ids = segment_ids or SegmentIds()
        fill = HoleFilling(settings, session, store, submit, stream, ids, followers).fill
        what = "close holes of trades and bars by REST"
        jobs.add(Job("fill_holes", what, fill, Every(every_s), settings.jobs.timeout_s))
    every_s = settings.jobs.heartbeat_every_s
    if every_s is not None:
        beat = LogHeartbeat(monitor).beat
        jobs.add(Job("heartbeat", "log what is collected", beat, Every(every_s), SHORT_S, quiet=True))
    return jobs


def configured_jobs(settings: Settings) -> list[dict[str, str]]:
    """Return what a collector of these settings would do now and then: name, due and what. Opens nothing."""
    monitor, events = Monitor(settings.health, Machine([]), (), lambda _: None), EventBus()
    stream = StreamThread(lambda _: (), events)
    jobs = jobs_of(settings, store_of(settings), NOBODY, _nobody_writes, events, monitor, stream)
    return [{"name": one.name, "due": one.due, "what": one.what} for one in jobs.states()]


@contextmanager
def jobs_of_database(settings: Settings) -> Iterator[Jobs]:
    """Yield the jobs of a database that nobody writes, to be run by hand; they write it in this thread.

    Raises DatabaseInUse where a collector writes it, UserError where it cannot be opened.
    """
    store = store_of(settings)
    if not isinstance(store, SqlSink):
        raise UserError(f"there are jobs of SQLite and PostgreSQL only, not of {store.name}")
    store.open()
    try:
        housekeeping = _housekeeping_of(settings, store, new_id(), _in_this_thread)
        last_runs = _last_runs_of(settings, store, None, _in_this_thread)
        jobs = Jobs(_of_any_database(settings, store, _in_this_thread, housekeeping), last_runs=last_runs)
        jobs.recall()
        yield jobs
    finally:
        store.close()


def _of_any_database(
    settings: Settings,
    store: Store[object],
    submit: Submit,
    housekeeping: Housekeeping | None,
    publish: Callable[[PotentialHalt], None] = lambda _: None,
) -> Iterator[Job]:
    """Yield what can be done whether or not somebody collects."""
    if housekeeping is not None:
        yield from housekeeping.jobs
    if settings.jobs.quality and isinstance(store, SqlSink):
        where = settings.database.url, settings.database.table_name
        keep = DailyQuality(*where, lambda one: submit(partial(store.maintain, one))).keep
        what = "keep a row for each stream of each finished day: how good it was"
        yield Job("quality", what, keep, Daily(REPORT_AFTER_S), settings.jobs.timeout_s)
    every_s = settings.jobs.clock_every_s
    asks = {name: _asks_time(name, one) for name, one in settings.exchanges.items() if one.is_collected}
    if every_s is not None and asks:
        check = ClockCheck(asks, most_off_s=settings.health.clock_off_s, publish=publish).check
        what = "compare this clock with the exchanges'"
        yield Job("clock", what, check, Every(every_s), SHORT_S + ANSWER_S * len(asks))


def _last_runs_of(
    settings: Settings, store: Store[object], session_id: str | None, submit: Submit
) -> LastRuns | None:
    if not isinstance(store, SqlSink):
        return None
    tables = make_tables(settings.database.table_name)
    return LastRuns(tables, session_id, lambda one: submit(partial(store.maintain, one)))


def _asks_time(name: str, exchange: ExchangeSettings) -> Ask:
    from collector.network import ask_the_time  # noqa: PLC0415

    return partial(ask_the_time, source_of(name, exchange), ANSWER_S)


def _housekeeping_of(
    settings: Settings, store: Store[object], session_id: str, submit: Submit
) -> Housekeeping | None:
    return housekeeping_of(
        store,
        settings.database.url,
        settings.database.table_name,
        session_id,
        submit,
        upkeep=settings.housekeeping,
        retention=settings.retention,
        timeout_s=settings.jobs.timeout_s,
        checkpoint_every_s=settings.jobs.checkpoint_every_s,
    )


def _in_this_thread(task: Task) -> "Future[int]":
    done: Future[int] = Future()
    try:
        done.set_result(task())
    except Exception as error:  # noqa: BLE001  (raised where the result is awaited)
        done.set_exception(error)
    return done


def _nobody_writes(_task: Task) -> "Future[int]":
    raise AssertionError("a job that is only listed was run")
