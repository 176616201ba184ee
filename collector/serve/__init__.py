"""Show a running collector, read-only: over HTTP in a thread of its own, and its metrics in CloudWatch."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.serve.access import Access
    from collector.serve.limits import HttpLimits
    from collector.serve.server import Server
    from collector.serve.shown import Phase, Shown
    from collector.serve.wiring import report_metrics, server_of, server_of_database
else:
    __getattr__, __dir__ = face(__name__, __file__)
