"""Write log lines: where they go, how they look, and without secrets."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.log.embedded import log_as_embedded
    from collector.log.options import LogOptions
    from collector.log.output import is_terminal, set_up_logging, write_line
    from collector.log.reopening import ask_to_reopen, look_at_file
else:
    __getattr__, __dir__ = face(__name__, __file__)
