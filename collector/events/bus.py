"""Publish and subscribe within the process; a subscriber that raises harms nobody and is counted."""

import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeVar

Event = TypeVar("Event")


class EventBus:
    """Hand each event to the handlers of its type, in the publisher's thread."""

    def __init__(self, on_failure: Callable[[object, Exception], None] | None = None) -> None:
        self._handlers: dict[type, tuple[Callable[[Any], None], ...]] = {}
        self._lock = threading.Lock()  # guards a change of _handlers; publishing reads a whole dict
        self._on_failure = on_failure
        self.failures: dict[str, int] = defaultdict(int)  # by the handler's name

    def subscribe(self, kind: type[Event], handler: Callable[[Event], None]) -> Callable[[], None]:
        """Call `handler` with every event of `kind`; returns what takes the subscription back."""
        with self._lock:
            self._handlers = {**self._handlers, kind: (*self._handlers.get(kind, ()), handler)}

        def unsubscribe() -> None:
            with self._lock:
                kept = tuple(one for one in self._handlers.get(kind, ()) if one is not handler)
                self._handlers = {**self._handlers, kind: kept}

        return unsubscribe

    def publish(self, event: object) -> None:
        """Call the handlers of the event's type."""
        for handler in self._handlers.get(type(event), ()):
            try:
                handler(event)
            except Exception as error:  # noqa: BLE001  (whatever a subscriber raises is its own affair)
                self.failures[getattr(handler, "__qualname__", repr(handler))] += 1
                if self._on_failure is not None:
                    self._on_failure(event, error)
