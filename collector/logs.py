"""Set up what the program says: one line for a change of state, for people or for machines."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import structlog

from collector.errors import UserError
from collector.events.bus import EventBus
from collector.events.notices import ClockStep, PotentialHalt, SegmentChanged, SnapshotFailed, SystemState
from collector.events.subscriber import Failure
from collector.settings import LoggingSettings

log = structlog.get_logger()

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def set_up_logging(settings: LoggingSettings, stream: TextIO | None = None) -> None:
    """Write log lines to `stream` (standard error), or to the configured file."""
    target = _open(settings.file) if settings.file else stream or sys.stderr
    for_people = settings.format == "console" or (settings.format == "auto" and target.isatty())
    finish: list[structlog.typing.Processor]
    if for_people:
        finish = [structlog.dev.ConsoleRenderer(colors=target.isatty())]
    else:
        finish = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *finish,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[settings.level]),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=False,
    )


def _open(name: str) -> TextIO:
    path = Path(name).expanduser()
    try:
        return path.open("a", encoding="utf-8", buffering=1)
    except OSError as error:
        words = f"logging.file: {path} cannot be written: {error.strerror}"
        raise UserError(f"{words}; expected a file in a folder that exists") from None


def log_events(events: EventBus) -> None:
    """Log one line for each change of state."""
    events.attach(SystemState, _log_state)
    events.attach(SegmentChanged, _log_segment)
    events.attach(PotentialHalt, _log_halt)
    events.attach(SnapshotFailed, _log_snapshot)
    events.attach(ClockStep, lambda step: log.warning("clock.stepped", step_s=round(step.step_s, 3)))


def _log_state(event: SystemState) -> None:
    shown = {"cause": event.cause} if event.cause else {}
    log.info("stream.changed", connection=event.connection, state=event.state.value, **shown)


def _log_segment(event: SegmentChanged) -> None:
    stream = {"exchange": event.exchange, "symbol": event.symbol, "channel": event.channel}
    if event.verified:
        log.info("book.verified", **stream)
    else:
        log.info("book.ended", **stream, cause=event.cause, detail=event.detail)


def _log_halt(event: PotentialHalt) -> None:
    where = {"exchange": event.exchange, **({"symbol": event.symbol} if event.symbol else {})}
    log.warning("potential_halt", code=event.code, reason=event.reason, **where)


def _log_snapshot(event: SnapshotFailed) -> None:
    log.warning("snapshot.failed", exchange=event.exchange, symbol=event.symbol, detail=event.detail)


def log_unknown(exchange: str) -> Callable[[str, str, str], None]:
    """Return what logs the first of each kind of frame that nobody could read."""

    def show(reason: str, detail: str, start_of_frame: str) -> None:
        log.warning("frame.rejected", exchange=exchange, reason=reason, detail=detail, frame=start_of_frame)

    return show


def log_failed_subscriber(failure: Failure) -> None:
    """Log that a subscriber raised: the first time, the tenth, the hundredth ..."""
    count = failure.count
    if count == 10 ** (len(str(count)) - 1):
        event_type, error = type(failure.event).__name__, repr(failure.error)
        log.warning(
            "subscriber.failed",
            subscriber=failure.subscriber,
            event_type=event_type,
            error=error,
            times=count,
        )
