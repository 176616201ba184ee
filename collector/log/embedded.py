"""Send log lines where the program reads them that a collector is part of."""

import logging
import traceback
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import structlog

from collector.errors import SettingsError
from collector.log.options import LogOptions
from collector.log.output import LEVELS, Masking, logger_of
from collector.loggers import Level, pass_to

METHODS = ("debug", "info", "warning", "error", "bind")  # of a logger of structlog, as far as is needed
ExcInfo = BaseException | tuple[type[BaseException], BaseException, TracebackType | None] | bool | None


def log_as_embedded(options: LogOptions, logger: object = None, *, secrets: Iterable[str] = ()) -> None:
    """Send log lines of this process to `logger`, of the standard library or of structlog.

    None: to `logging.file` where that is set; else to structlog, if the program has configured it; else to
    the standard library's loggers named as our modules are, `collector.app.connection_log` and so on.
    """
    masking = Masking(secrets)
    if isinstance(logger, logging.Logger):
        pass_to(_ToStandard(options, masking, logger))
    elif logger is not None:
        if not all(callable(getattr(logger, name, None)) for name in METHODS):
            found = f"expected a logging.Logger or a logger of structlog, found {type(logger).__name__}"
            raise SettingsError([f"logger: {found}"])
        pass_to(_ToStructlog(options, masking, logger))
    elif options.file is not None:
        ours = logger_of(options, secrets=secrets)
        pass_to(lambda name, level, event, fields: getattr(ours(name), level)(event, **fields))
    elif structlog.is_configured():
        pass_to(None)
    else:
        pass_to(_ToStandard(options, masking, None))


class _ToStandard:
    """Passes lines to the standard library: `event field=value ...`, and the fields as `record.collector`."""

    def __init__(self, options: LogOptions, masking: Masking, logger: logging.Logger | None) -> None:
        self._least = LEVELS[options.level]
        self._masking = masking
        self._logger = logger  # None: one for each module

    def __call__(self, name: str, level: Level, event: str, fields: dict[str, Any]) -> None:
        number = LEVELS["error" if level == "exception" else level]
        logger = self._logger or logging.getLogger(name)
        if number < self._least or not logger.isEnabledFor(number):
            return
        trace = _traceback_of(fields.pop("exc_info", level == "exception"))
        if self._logger is not None:
            fields["logger"] = name
        masked = self._masking(None, level, {"event": event, **fields, "exception": trace})
        trace = masked.pop("exception")
        text = " ".join([masked["event"], *(f"{key}={_plain(masked[key])}" for key in fields)])
        logger.log(number, "%s", f"{text}\n{trace}" if trace else text, extra={"collector": dict(masked)})


class _ToStructlog:
    """Passes lines to a logger of structlog, with the module as `logger`."""

    def __init__(self, options: LogOptions, masking: Masking, logger: Any) -> None:
        self._least = LEVELS[options.level]
        self._masking = masking
        self._logger = logger

    def __call__(self, name: str, level: Level, event: str, fields: dict[str, Any]) -> None:
        method = "error" if level == "exception" else level
        if LEVELS[method] < self._least:
            return
        trace = _traceback_of(fields.pop("exc_info", level == "exception"))
        shown = {"exception": trace} if trace else {}
        masked = self._masking(None, method, {"event": event, **fields, **shown})
        getattr(self._logger, method)(masked.pop("event"), logger=name, **masked)


def _traceback_of(exc_info: ExcInfo) -> str:
    """Return the traceback of what `exc_info` means, as text, so that secrets in it can be masked."""
    if isinstance(exc_info, BaseException):
        return "".join(traceback.format_exception(exc_info)).rstrip()
    if isinstance(exc_info, tuple):
        return "".join(traceback.format_exception(exc_info[1])).rstrip()
    return traceback.format_exc().rstrip() if exc_info else ""


def _plain(value: Any) -> str:
    """Return a value as it stands after `name=`: with quotes where its end would not be seen."""
    text = str(value)
    return repr(text) if not text or any(one in text for one in " \"'=\n") else text
