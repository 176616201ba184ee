"""Give each module a logger that carries its name; where the lines go is decided in one place, and later.

A program of our own configures structlog. Within somebody else's, lines are passed to what `pass_to` was
given, and structlog is left as it was found.
"""

import sys
from collections.abc import Callable
from typing import Any, Literal

from collector.lean import importing_without

Level = Literal["debug", "info", "warning", "error", "exception"]
Take = Callable[[str, Level, str, dict[str, Any]], None]  # the module, how loud, the event, its fields

_taken_by: Take | None = None  # None: structlog, as it is configured


class Logger:
    """The logger of one module, perhaps with fields that all its lines have."""

    def __init__(self, name: str, fields: dict[str, Any] | None = None) -> None:
        self._name = name
        self._fields = fields or {}

    def bind(self, **fields: Any) -> "Logger":
        """Return a logger whose lines have these fields as well."""
        return Logger(self._name, {**self._fields, **fields})

    def debug(self, event: str, **fields: Any) -> None:
        """Log what only those who look closely want to see."""
        self._log("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """Log that something happened as it should."""
        self._log("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Log that something is not as it should be."""
        self._log("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Log that something is lost, or has ended."""
        self._log("error", event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """Log an error with the traceback of the exception that is handled."""
        self._log("exception", event, fields)

    def _log(self, level: Level, event: str, fields: dict[str, Any]) -> None:
        told = {**self._fields, **fields}
        if _taken_by is not None:
            _taken_by(self._name, level, event, told)
            return
        with importing_without("rich"):
            import structlog  # noqa: PLC0415  (who configures it imports it; nobody else waits for it)

        if structlog.is_configured():
            getattr(structlog.get_logger(self._name), level)(event, **told)
        else:  # somebody who only reads: a line is no result of theirs
            getattr(structlog.wrap_logger(structlog.PrintLogger(sys.stderr)), level)(event, **told)


def get_logger(name: str) -> Logger:
    """Return the logger of a module, by its `__name__`."""
    return Logger(name)


def pass_to(take: Take | None) -> None:
    """Pass all lines of this process to a function; None: to structlog, as it is configured."""
    global _taken_by  # noqa: PLW0603  (loggers are made where modules are imported, long before)
    _taken_by = take
