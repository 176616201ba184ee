"""Open the log file anew when a rotation asks for it, and say so."""

from pathlib import Path

from collector.log.log_file import LogFile
from collector.loggers import get_logger

log = get_logger(__name__)


class _Current:
    """The log file of this process, and whether somebody asked for it to be opened anew."""

    file: LogFile | None = None
    is_asked = False


def opened(path: Path, max_bytes: int, keep: int) -> LogFile:
    """Open the log file of this process."""
    _Current.file = LogFile(path, max_bytes, keep, on_reopened=_tell)
    return _Current.file


def ask_to_reopen() -> None:
    """Have the log file opened anew, soon. Safe in a signal handler."""
    if _Current.file is not None:
        _Current.file.ask_to_reopen()
    _Current.is_asked = True


def look_at_file() -> None:
    """Do what was asked for, and notice that somebody moved the file."""
    was_asked, _Current.is_asked = _Current.is_asked, False
    if _Current.file is not None:
        _Current.file.look()
    elif was_asked:
        log.info("log.not_reopened", reason="lines go to no file of ours: logging.file is not set")


def _tell(path: Path, why: str) -> None:
    log.info("log.reopened", path=str(path), why=why)
