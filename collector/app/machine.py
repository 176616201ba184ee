"""Measure what the process takes of its machine: memory, processor, disk, network."""

import shutil
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from collector.health import MachineFacts

WINDOW_S = 60.0  # over which the share of the processor is taken


class Machine:
    """Measures when asked. For one thread."""

    def __init__(self, written: Sequence[Path], *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._written = tuple(written)  # files that grow
        self._monotonic_s = monotonic_s
        self._process = psutil.Process()
        self._spent: deque[tuple[float, float]] = deque()  # when, and how much processor time until then

    def measure(self) -> MachineFacts:
        """Return the figures of now; None for what this machine does not tell."""
        cpu_s = self._cpu_s()
        network = None
        with suppress(OSError, psutil.Error):
            network = psutil.net_io_counters()
        memory = None
        with suppress(psutil.Error):
            memory = self._process.memory_info().rss
        return MachineFacts(
            memory_bytes=memory,
            cpu_cores=self._cpu_cores(cpu_s),
            cpu_s=cpu_s,
            disk_free_bytes=self._disk_free_bytes(),
            network_received_bytes=None if network is None else network.bytes_recv,
            network_sent_bytes=None if network is None else network.bytes_sent,
        )

    def _cpu_s(self) -> float:
        times = time.process_time()  # of all threads
        return float(times)

    def _cpu_cores(self, cpu_s: float) -> float | None:
        """Return the cores taken on average over the window; None at first."""
        now_s = self._monotonic_s()
        self._spent.append((now_s, cpu_s))
        while len(self._spent) > 2 and now_s - self._spent[1][0] >= WINDOW_S:  # noqa: PLR2004  (two make a span)
            self._spent.popleft()
        since_s, before_s = self._spent[0]
        return None if now_s <= since_s else (cpu_s - before_s) / (now_s - since_s)

    def _disk_free_bytes(self) -> int | None:
        """Return the room on the fullest of the disks that are written; None where there is none."""
        free = []
        for path in self._written:
            with suppress(OSError):
                free.append(shutil.disk_usage(path.absolute().parent).free)
        return min(free, default=None)
