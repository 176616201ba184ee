"""Set up what the program says: one line for a change of state, for people or for machines."""

import atexit
import logging
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor

from collector.app.log_file import LogFile, Quiet
from collector.events.bus import EventBus
from collector.events.notices import (
    ClockStep,
    DatabaseState,
    FirstContact,
    MarketRepeated,
    MarketsChosen,
    PotentialHalt,
    SegmentChanged,
    SnapshotFailed,
    SystemState,
    WitnessDisagreed,
)
from collector.events.subscriber import Failure
from collector.settings import LoggingSettings
from collector.settings.secrets import MASK, mask_url, names_a_secret, without

log = structlog.get_logger()

FOR_PEOPLE = "%Y-%m-%d %H:%M:%S"
WITHOUT_NETWORK = "tries go on; `python run.py demo` needs no network"
MOST_NAMES = 8  # on one line
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class _Stderr:
    """Standard error as it is at the moment of writing: a live table puts itself in its place."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def set_up_logging(
    settings: LoggingSettings, stream: TextIO | None = None, *, secrets: Iterable[str] = ()
) -> None:
    """Write log lines to `stream` (standard error), or to the configured file; `secrets` appear in none."""
    on_terminal = not settings.file and is_terminal(stream or sys.stderr)
    for_people = settings.format == "console" or (settings.format == "auto" and on_terminal)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt=FOR_PEOPLE if for_people else "iso", utc=True),
            structlog.processors.format_exc_info,
            _Masking(secrets),
            _for_people(colours=on_terminal) if for_people else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[settings.level]),
        logger_factory=structlog.WriteLoggerFactory(_target(settings, stream)),
        cache_logger_on_first_use=False,
    )


def is_terminal(stream: TextIO) -> bool:
    """Say whether a stream leads to a terminal that can place its cursor."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


class _Masking:
    """Blot out what is a secret by its name, what is one by its value, and passwords in URLs."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(secrets)

    def __call__(self, _logger: Any, _method: str, event: EventDict) -> EventDict:
        return {
            name: MASK if name != "event" and names_a_secret(name) else self._masked(value)
            for name, value in event.items()
        }

    def _masked(self, value: Any) -> Any:
        if isinstance(value, str):
            return without(mask_url(value) if "://" in value else value, self._secrets)
        if isinstance(value, list | tuple):
            return [self._masked(one) for one in value]
        return value


def _for_people(*, colours: bool) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=colours and "NO_COLOR" not in os.environ,
        pad_event_to=24,
        exception_formatter=structlog.dev.plain_traceback,  # the other one shows what variables hold
    )


def _target(settings: LoggingSettings, stream: TextIO | None) -> TextIO:
    if settings.file:
        path = Path(settings.file).expanduser()
        file = LogFile(path, settings.max_bytes, settings.keep_files)
        atexit.register(file.close)
        return cast("TextIO", file)
    return cast("TextIO", Quiet(stream or cast("TextIO", _Stderr())))


def log_events(events: EventBus) -> None:
    """Log one line for each change of state."""
    events.attach(SystemState, _log_state)
    events.attach(SegmentChanged, _log_segment)
    events.attach(PotentialHalt, _log_halt)
    events.attach(SnapshotFailed, _log_snapshot)
    events.attach(WitnessDisagreed, _log_witness)
    events.attach(MarketsChosen, _log_choices)
    events.attach(MarketRepeated, _log_repeated)
    events.attach(FirstContact, _log_contact)
    events.attach(ClockStep, lambda step: log.warning("clock.stepped", step_s=round(step.step_s, 3)))


def _log_state(event: SystemState) -> None:
    shown = {"cause": event.cause} if event.cause else {}
    log.info("stream.changed", connection=event.connection, state=event.state.value, **shown)


def _log_segment(event: SegmentChanged) -> None:
    stream = {"exchange": event.exchange, "symbol": event.symbol, "channel": event.channel}
    if event.verified:
        log.info("coverage.begun", **stream)
    else:
        log.info("coverage.ended", **stream, cause=event.cause, detail=event.detail)


def _log_halt(event: PotentialHalt) -> None:
    where = {"exchange": event.exchange, **({"symbol": event.symbol} if event.symbol else {})}
    log.warning("potential_halt", code=event.code, reason=event.reason, **where)


def _log_database(event: DatabaseState) -> None:
    if event.state == "half_open":
        log.debug("database.tried", state=event.state)
    else:
        shown = {"cause": event.cause} if event.cause else {}
        log.warning("database.breaker", state=event.state, **shown)


def _log_snapshot(event: SnapshotFailed) -> None:
    log.warning("snapshot.failed", exchange=event.exchange, symbol=event.symbol, detail=event.detail)


def _log_witness(event: WitnessDisagreed) -> None:
    stream = {"exchange": event.exchange, "symbol": event.symbol, "channel": event.channel}
    log.warning("witness.disagreed", **stream, detail=event.detail)


def _log_choices(event: MarketsChosen) -> None:
    """Log in one line what names were taken for, and how to have the other kind."""
    first = event.choices[0]
    other, other_kind = first.others[0]
    log.info(
        "markets.chosen",
        exchange=event.exchange,
        name=_some([one.name for one in event.choices]),
        market=_some([one.symbol for one in event.choices]),
        kind=_some(list(dict.fromkeys(one.kind for one in event.choices))),
        also=_some([symbol for one in event.choices for symbol, _ in one.others]),
        for_the_other=f"market: {other_kind} of {event.exchange}, or write {other}",
    )


def _log_repeated(event: MarketRepeated) -> None:
    names = ", ".join(event.names)
    log.warning(
        "markets.repeated", exchange=event.exchange, market=event.symbol, names=names, collected="once"
    )


def _log_contact(event: FirstContact) -> None:
    where = {"exchange": event.exchange, "address": event.address}
    if event.why is None:
        log.info("exchange.reached", **where)
    else:
        log.warning("exchange.unreachable", **where, why=event.why, what_next=WITHOUT_NETWORK)


def _some(texts: Sequence[str]) -> str:
    more = len(texts) - MOST_NAMES
    return ", ".join(texts[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


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
