"""Notify the service manager (systemd) that the collector is ready, alive, or stopping.

The protocol is a datagram of NAME=value lines to the socket that NOTIFY_SOCKET names (sd_notify(3)).
"""

import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from collector.clock import seconds_since

if TYPE_CHECKING:
    from collector.app import View

MOST_EVERY_S = 10.0
LATE_S = 3.0  # who is called so much later than he asked for was held up by the machine
MOST_FORGIVEN = 10  # in a row, without a turn of the loop: it is what holds everybody up
MICROSECONDS = 1_000_000
SILENT_S = 30.0
MOST_NAMED = 5  # markets that are missing


class ServiceManager:
    """Notify the manager that started the process; do nothing where none did."""

    def __init__(
        self,
        environ: Mapping[str, str] = os.environ,
        *,
        wedged_after_s: float = 30.0,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wedged_after_s = wedged_after_s
        self._monotonic_s = monotonic_s
        self._looked_s: float | None = None
        self._forgives_until_s, self._forgiven = 0.0, 0
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._is_ready = False
        watchdog_s = _watchdog_s(environ)
        # Half of what is allowed, as sd_watchdog_enabled(3) advises.
        self.every_s = MOST_EVERY_S if watchdog_s is None else min(watchdog_s / 2, MOST_EVERY_S)

    @property
    def wanted(self) -> bool:
        """Return whether there is a service manager."""
        return bool(self._address)

    def show(self, view: "View") -> None:
        """Send the status; no sign of life when a thread has ended, or the loop that collects is wedged."""
        lines = [f"STATUS={status_text(view)}"]
        if not self._is_ready:
            lines.append("READY=1")
            self._is_ready = True
        if self._is_alive(view):
            lines.append("WATCHDOG=1")
        self._send(*lines)

    def _is_alive(self, view: "View") -> bool:
        """Return whether a restart would mend nothing.

        Who is late himself knows that the machine stood still, or is slow, and that a loop which has not
        turned meanwhile is not wedged for that: it is given the same time once more.
        """
        now_s, before_s = self._monotonic_s(), self._looked_s
        self._looked_s = now_s
        is_silent = view.loop_silent_s > self._wedged_after_s
        is_late = before_s is not None and now_s - before_s > self.every_s + LATE_S
        if not is_silent:
            self._forgiven = 0
        elif is_late and self._forgiven < MOST_FORGIVEN:
            self._forgiven += 1
            self._forgives_until_s = now_s + self._wedged_after_s
        is_wedged = is_silent and now_s >= self._forgives_until_s
        return view.writer.alive and not (view.loop_ended or is_wedged)

    def waiting(self, for_what: str) -> None:
        """Send that it waits: that is no reason to be restarted, so ready and alive are said as well."""
        if not self._is_ready:
            self._is_ready = True
            self._send("READY=1", f"STATUS=waiting for {for_what}")
        self._send("WATCHDOG=1")

    def stopping(self, deadline_s: float) -> None:
        """Notify that the collector is stopping, and how long that may take."""
        self._send("STOPPING=1", "STATUS=draining", f"EXTEND_TIMEOUT_USEC={int(deadline_s * MICROSECONDS)}")

    def close(self) -> None:
        """Do nothing: no socket stays open."""

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        # A leading @ means a name in the abstract space of Linux.
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as speaker:
                speaker.setblocking(False)
                speaker.sendto("\n".join(lines).encode(), address)
        except OSError:
            return  # a manager that is gone or slow is no reason to stop collecting


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    """Return the manager's watchdog interval; None when it has none."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        return int(environ["WATCHDOG_USEC"]) / MICROSECONDS
    except (KeyError, ValueError):
        return None


def status_text(view: "View") -> str:
    """Return in a line how much of what is asked for is verified, and what is missing."""
    verified = sum(stream.state == "verified" for stream in view.asked)
    rows = sum(one.counts.written for one in view.streams)  # of market data: events are no sign of any
    text = f"{verified} of {len(view.asked)} streams verified, {rows} rows written"
    newest_ns = max((one.glance.received_at_ns for one in view.streams if one.glance is not None), default=0)
    age_s = seconds_since(newest_ns, time.time_ns())
    if age_s is not None and age_s > SILENT_S:
        text += f", nothing new for {age_s:.0f} s"
    markets = list(dict.fromkeys(f"{one.key.exchange} {one.key.symbol}" for one in view.missing))
    if markets:
        more = len(markets) - MOST_NAMED
        text += f"; missing: {', '.join(markets[:MOST_NAMED])}" + (f" and {more} more" if more > 0 else "")
    return text if view.writer.last_error is None else f"{text}; database: {view.writer.last_error}"
