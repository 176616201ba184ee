"""Notify the service manager (systemd) that the collector is ready, alive, or stopping.

The protocol is a datagram of NAME=value lines to the socket that NOTIFY_SOCKET names (sd_notify(3)).
"""

import os
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collector.app import View

MOST_EVERY_S = 10.0
MICROSECONDS = 1_000_000
MOST_NAMED = 5  # markets that are missing


class ServiceManager:
    """Notify the manager that started the process; do nothing where none did."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
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
        """Send the status; no sign of life when a thread does not answer."""
        lines = [f"STATUS={status_text(view)}"]
        if not self._is_ready:
            lines.append("READY=1")
            self._is_ready = True
        if view.answers:
            lines.append("WATCHDOG=1")
        self._send(*lines)

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
    text = f"{verified} of {len(view.asked)} streams verified, {view.writer.rows} rows written"
    markets = list(dict.fromkeys(f"{one.key.exchange} {one.key.symbol}" for one in view.missing))
    if markets:
        more = len(markets) - MOST_NAMED
        text += f"; missing: {', '.join(markets[:MOST_NAMED])}" + (f" and {more} more" if more > 0 else "")
    return text if view.writer.last_error is None else f"{text}; database: {view.writer.last_error}"
