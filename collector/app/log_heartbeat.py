"""Log now and then what a collector does, so that a log without a line says that it is dead."""

from typing import NamedTuple

from collector.app.jobs import Ending
from collector.app.monitor import Monitor, health_now
from collector.app.view import VERIFIED, View
from collector.loggers import get_logger

log = get_logger(__name__)


class _Sums(NamedTuple):
    """What came since the start."""

    received: int
    written: int
    holes: int
    reconnects: int


class LogHeartbeat:
    """Logs what was checked last, and what came since the line before."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._before = _Sums(0, 0, 0, 0)

    def beat(self, _ending: Ending) -> str:
        """Log one line."""
        checked = self._monitor.latest
        if checked is None:
            return ""
        view = checked.view
        state, reasons = health_now(checked, self._monitor.checked_ago_s or 0.0, self._monitor.limits.every_s)
        sums, before = _sums(view), self._before
        memory = checked.machine.memory_bytes
        log.info(
            "collector.alive",
            state=state.value,
            **({"reasons": "; ".join(reasons)} if reasons else {}),
            streams=len(view.asked),
            verified=sum(one.state == VERIFIED for one in view.asked),
            received=sums.received - before.received,
            committed=sums.written - before.written,
            holes=sums.holes - before.holes,
            reconnects=sums.reconnects - before.reconnects,
            pending=view.pending,
            dropped=view.dropped,
            spooled=view.writer.spooled_rows,
            memory_mb=None if memory is None else round(memory / 1e6),
            uptime_s=round(view.uptime_s),
        )
        self._before = sums
        counts = f"{sums.received:,} received, {sums.written:,} written"
        return f"{state.value}: {len(view.asked)} streams, {counts}"


def _sums(view: View) -> _Sums:
    return _Sums(
        sum(one.counts.received for one in view.streams),
        sum(one.counts.written for one in view.streams),
        sum(view.holes.values()),
        sum(view.reconnects.values()),
    )
