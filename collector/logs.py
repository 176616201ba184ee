"""Set up what the program says: one line for a change of state, for people or for machines."""

import logging
import sys
from pathlib import Path
from typing import TextIO

import structlog

from collector.settings import LoggingSettings

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
    return path.open("a", encoding="utf-8", buffering=1)
