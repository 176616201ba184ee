"""Publish and subscribe within the process: publishing never blocks and never raises."""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from collector.events.subscriber import Delivery, Failure, Subscriber

Event = TypeVar("Event")
Kinds = type[Event] | tuple[type[Event], ...]
Receiver = Callable[[Any], None]

MOST_WAITING = 10_000  # events; a slower subscriber loses its oldest
STOP_WITHIN_S = 2.0  # for a handler to work off what waits for it


class EventBus:
    """Hand each event to those who asked for its type.

    `subscribe` is for everybody: a bounded queue and a thread for each handler, from `start` to `stop`.
    `attach` is for parts of ours that are quick and never wait: they are called in the publisher's thread.
    """

    def __init__(self, on_failure: Callable[[Failure], None] = lambda _: None) -> None:
        self._on_failure = on_failure
        self._lock = threading.Lock()
        # Guarded by _lock; publishing reads _receivers, which is replaced as a whole.
        self._receivers: dict[type, tuple[Receiver, ...]] = {}
        self._subscribers: list[Subscriber] = []
        self._running = False

    def wanted(self, kind: type) -> bool:
        """Say whether anybody would hear an event of this type."""
        return kind in self._receivers

    def publish(self, event: object) -> None:
        """Hand an event on."""
        for receive in self._receivers.get(type(event), ()):
            receive(event)

    def attach(self, kinds: Kinds[Event], handler: Callable[[Event], None]) -> Callable[[], None]:
        """Call a handler in the publisher's thread: it must be quick. Returns what detaches it."""
        failures = 0

        def receive(event: Event) -> None:
            nonlocal failures
            try:
                handler(event)
            except Exception as error:  # noqa: BLE001  (the publisher has done nothing wrong)
                failures += 1
                self._on_failure(Failure(_name_of(handler), event, error, failures))

        with self._lock:
            self._add(_each(kinds), receive)
        return lambda: self._detach(receive)

    def subscribe(
        self,
        kinds: Kinds[Event],
        handler: Callable[[Event], None],
        *,
        name: str | None = None,
        most_waiting: int = MOST_WAITING,
    ) -> Callable[[], None]:
        """Call a handler with every event of one type, or of several in their order, in a thread of its own.

        One that cannot keep up loses its oldest events, and one that raises goes on with the next; both are
        counted under `name` in `deliveries`. Returns what takes the subscription back.
        """
        with self._lock:
            taken = {one.name for one in self._subscribers}
            subscriber = Subscriber(
                _unlike(name or _name_of(handler), taken), handler, most_waiting, self._on_failure
            )
            self._subscribers.append(subscriber)
            self._add(_each(kinds), subscriber.put)
            if self._running:
                subscriber.start()

        def unsubscribe() -> None:
            self._detach(subscriber.put)
            with self._lock:
                if subscriber not in self._subscribers:
                    return
                self._subscribers.remove(subscriber)
            subscriber.stop(time.monotonic() + STOP_WITHIN_S)

        return unsubscribe

    def start(self) -> None:
        """Start the subscribers' threads. Does nothing the second time."""
        with self._lock:
            self._running = True
            for subscriber in self._subscribers:
                subscriber.start()

    def stop(self, timeout_s: float = STOP_WITHIN_S) -> list[str]:
        """Let the subscribers have what waits and end their threads; names those that did not return.

        Subscriptions stay, for the next start. Does nothing the second time.
        """
        until_s = time.monotonic() + timeout_s
        with self._lock:
            self._running = False
            subscribers = list(self._subscribers)
        return [one.name for one in subscribers if not one.stop(until_s)]

    def deliveries(self) -> list[Delivery]:
        """Tell, subscriber by subscriber, what became of the events."""
        with self._lock:
            return [one.delivery() for one in self._subscribers]

    def _add(self, kinds: tuple[type, ...], receive: Receiver) -> None:
        added = {kind: (*self._receivers.get(kind, ()), receive) for kind in kinds}
        self._receivers = {**self._receivers, **added}

    def _detach(self, receive: Receiver) -> None:
        with self._lock:
            kept = {
                kind: tuple(one for one in all_ if one != receive) for kind, all_ in self._receivers.items()
            }
            self._receivers = {kind: receivers for kind, receivers in kept.items() if receivers}


def _each(kinds: Kinds[Any]) -> tuple[type, ...]:
    return kinds if isinstance(kinds, tuple) else (kinds,)


def _name_of(handler: Callable[..., Any]) -> str:
    return getattr(handler, "__qualname__", None) or type(handler).__name__


def _unlike(name: str, taken: set[str]) -> str:
    """Return the name, numbered when another subscriber has it."""
    numbered = (f"{name} #{number}" for number in range(2, len(taken) + 3))
    return name if name not in taken else next(one for one in numbered if one not in taken)
