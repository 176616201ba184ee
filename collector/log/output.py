"""Set up where log lines go and how they look: for people or for machines, and without secrets."""

import atexit
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO, cast

from collector.lean import importing_without

with importing_without("rich"):
    import structlog
    from structlog.typing import EventDict, Processor

from collector.log.log_file import Quiet
from collector.log.options import LogOptions
from collector.log.reopening import opened
from collector.loggers import pass_to
from collector.masking import MASK, mask_url, names_a_secret, without

FOR_PEOPLE = "%Y-%m-%d %H:%M:%S"
FIRST = ("timestamp", "level", "event", "logger")
PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "exception": 3, "critical": 2}
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class _Stderr:
    """Standard error at the moment of writing: a live table may have replaced it."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def set_up_logging(options: LogOptions, stream: TextIO | None = None, *, secrets: Iterable[str] = ()) -> None:
    """Send log lines to the configured file, or to `stream` (standard error), with `secrets` masked."""
    pass_to(None)
    structlog.configure(
        processors=_processors(options, stream, secrets),
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[options.level]),
        logger_factory=_Factory(_target(options, stream)),
        cache_logger_on_first_use=False,
    )


def logger_of(
    options: LogOptions, stream: TextIO | None = None, *, secrets: Iterable[str] = ()
) -> Callable[[str], Any]:
    """Return what makes loggers that write as `set_up_logging` says, and leave structlog as it is."""
    processors, target = _processors(options, stream, secrets), _target(options, stream)
    wrapper_class = structlog.make_filtering_bound_logger(LEVELS[options.level])
    factory = _Factory(target)
    return lambda name: structlog.wrap_logger(
        factory(name), processors=processors, wrapper_class=wrapper_class
    )


def _processors(options: LogOptions, stream: TextIO | None, secrets: Iterable[str]) -> list[Processor]:
    on_terminal = not options.file and is_terminal(stream or sys.stderr)
    for_people = options.format == "console" or (options.format == "auto" and on_terminal)
    return [
        structlog.processors.TimeStamper(fmt=FOR_PEOPLE if for_people else "iso", utc=True),
        structlog.processors.add_log_level,
        _add_module,
        *([_one_line_errors] if on_terminal and options.level != "debug" else []),
        structlog.processors.format_exc_info,
        Masking(secrets),
        _in_order,
        _for_people(colours=on_terminal) if for_people else structlog.processors.JSONRenderer(),
        *(
            [cast("Processor", _with_priority)]
            if not options.file and is_journal(stream or sys.stderr)
            else []
        ),
    ]


def write_line(text: str) -> None:
    """Write a line as it is to where log lines go, whatever level they must have."""
    structlog.get_config()["logger_factory"]().info(text)


def is_terminal(stream: TextIO) -> bool:
    """Return whether a stream is a terminal that can place its cursor."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def is_journal(stream: TextIO) -> bool:
    """Return whether a stream goes to systemd's journal, which takes a priority at the start of a line."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):  # no file at all, or a closed one
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _with_priority(_logger: Any, method: str, text: str) -> str:
    """Put the priority of syslog(3) before each line: the journal takes the lines one by one."""
    priority = PRIORITIES.get(method, PRIORITIES["error"])
    return "\n".join(f"<{priority}>{line}" for line in text.split("\n"))


def _one_line_errors(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Leave of a traceback what a person at a terminal needs: the error, and where it was raised."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)
        where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
        event["raised"] = f"{error!r}{where}"
    return event


class _NamedLogger(structlog.WriteLogger):
    """Writes lines of one module."""

    name = ""


class _Factory:
    """Makes loggers that write to one target and know their module."""

    def __init__(self, target: TextIO) -> None:
        self.target = target

    def __call__(self, name: str = "") -> _NamedLogger:
        logger = _NamedLogger(self.target)
        logger.name = name
        return logger


def _in_order(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Put first what every line has, then the other fields as they were given."""
    first = {name: event.pop(name) for name in FIRST if name in event}
    return {**first, **event}


def _add_module(logger: Any, _method: str, event: EventDict) -> EventDict:
    name = getattr(logger, "name", "")
    if name:
        event["logger"] = name
    return event


class Masking:
    """Mask values of secret names, known secret values, and passwords in URLs."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(secrets)

    def __call__(self, _logger: Any, _method: str, event: EventDict) -> EventDict:
        """Return the fields of a line with what is secret masked."""
        return {
            name: MASK if name != "event" and names_a_secret(name) else self._masked(value)
            for name, value in event.items()
        }

    def _masked_text(self, text: str) -> str:
        return without(mask_url(text) if "://" in text else text, self._secrets)

    def _masked(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return self._masked_text(value)
        if isinstance(value, Mapping):
            return {
                self._masked_text(str(name)): MASK if names_a_secret(name) else self._masked(one)
                for name, one in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self._masked(one) for one in value]
        return self._masked_text(repr(value))  # an exception, or anything else that would be printed as it is


def _for_people(*, colours: bool) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=colours and "NO_COLOR" not in os.environ,
        pad_event_to=24,
        sort_keys=False,
        exception_formatter=structlog.dev.plain_traceback,  # the other one shows what variables hold
    )


def _target(options: LogOptions, stream: TextIO | None) -> TextIO:
    if options.file:
        path = Path(options.file).expanduser()
        file = opened(path, options.max_bytes, options.keep_files)
        atexit.register(file.close)
        return cast("TextIO", file)
    return cast("TextIO", Quiet(stream or cast("TextIO", _Stderr())))
