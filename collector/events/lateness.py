"""Tell of handlers that do not return, and of those that lose events because they are too slow."""

import threading
from collections.abc import Callable

from collector.events.subscriber import Delivery, HandlerLate

LATE_AFTER_S = 10.0  # a call that takes longer is told once
LOOK_EVERY_S = 1.0  # at most
SPELL_S = 60.0  # losses that follow each other within it are told once


class LateWatch:
    """A thread that looks at what became of the events, from `start` to `stop`."""

    def __init__(
        self,
        look: Callable[[], list[Delivery]],
        tell: Callable[[HandlerLate], None],
        late_after_s: float,
    ) -> None:
        self._look = look
        self._tell = tell
        self._late_after_s = late_after_s
        self._every_s = min(LOOK_EVERY_S, late_after_s / 4)
        self._told_late: set[str] = set()  # of the call under way
        self._dropped: dict[str, int] = {}
        self._calm_s: dict[str, float] = {}  # for how long those that lost events have lost none
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread. Does nothing while it runs."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name="events watch", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread. Does nothing the second time."""
        thread, self._thread = self._thread, None
        self._stopping.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            self.check(self._look())

    def check(self, deliveries: list[Delivery]) -> None:
        """Tell what is new: once a call that takes long, and once a spell of losses."""
        for one in deliveries:
            name = one.subscriber
            is_late = one.busy_s >= self._late_after_s
            loses = one.dropped > self._dropped.get(name, 0) and not self._is_in_a_spell(name)
            if loses or (is_late and name not in self._told_late):
                self._tell(HandlerLate(name, one.busy_s if is_late else 0.0, one.waiting, one.dropped))
            if one.dropped > self._dropped.get(name, 0):
                self._dropped[name], self._calm_s[name] = one.dropped, 0.0
            elif name in self._calm_s:
                self._calm_s[name] += self._every_s
            (self._told_late.add if is_late else self._told_late.discard)(name)

    def _is_in_a_spell(self, name: str) -> bool:
        return self._calm_s.get(name, SPELL_S) < SPELL_S
