"""Log now and then what a collector does, so that a log without a line says that it is dead."""

import structlog

from collector.app.jobs import Ending
from collector.app.monitor import Monitor, health_now
from collector.app.view import VERIFIED

log = structlog.get_logger()


class LogHeartbeat:
    """Logs what was checked last, and what came since the line before."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._received = self._written = 0

    def beat(self, _ending: Ending) -> str:
        """Log one line."""
        checked = self._monitor.latest
        if checked is None:
            return ""
        view = checked.view
        state, reasons = health_now(checked, self._monitor.checked_ago_s or 0.0, self._monitor.limits.every_s)
        received = sum(one.counts.received for one in view.streams)
        written = sum(one.counts.written for one in view.streams)
        log.info(
            "collector.alive",
            state=state.value,
            reasons="; ".join(reasons),
            streams=len(view.asked),
            verified=sum(one.state == VERIFIED for one in view.asked),
            received=received - self._received,
            written=written - self._written,
            pending=view.pending,
            dropped=view.dropped,
            uptime_s=round(view.uptime_s),
        )
        self._received, self._written = received, written
        return f"{state.value}: {len(view.asked)} streams, {received:,} received, {written:,} written"
