"""Publish and subscribe within the process: publishing never blocks and never raises."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, overload

from collector.events.subscriber import Alarm, Delivery, HandlerFailure, Subscriber

Event = TypeVar("Event")
Receiver = Callable[[Any], None]

MOST_WAITING = 10_000  # events; a slower subscriber loses its oldest
STOP_WITHIN_S = 2.0  # for a handler to work off what waits for it


class Subscription:
    """A handler's subscription. Call it to end it."""

    def __init__(self, bus: "EventBus", subscriber: Subscriber) -> None:
        self._bus = bus
        self._subscriber = subscriber

    def __call__(self) -> None:
        """End the subscription; returns when the handler has returned. Does nothing the second time."""
        self._bus.remove(self._subscriber)

    def delivery(self) -> Delivery:
        """Count what became of the events so far."""
        return self._subscriber.delivery()


class EventBus:
    """Deliver each event to the handlers of its type.

    `subscribe` is for everybody: a bounded queue and a thread for each handler, from `start` to `stop`.
    `attach` is for parts of ours that are quick and never wait: they are called in the publisher's thread.
    """

    def __init__(self, on_failure: Callable[[HandlerFailure], None] = lambda _: None) -> None:
        self._on_failure = on_failure
        self._lock = threading.Lock()
        # Guarded by _lock; publishing reads _receivers, which is replaced as a whole.
        self._receivers: dict[type, tuple[Receiver, ...]] = {}
        self._attached: list[Receiver] = []
        self._subscribers: list[Subscriber] = []
        self._running = False

    def wanted(self, kind: type) -> bool:
        """Return whether there is a handler for this type of event."""
        return kind in self._receivers

    def publish(self, event: object) -> None:
        """Deliver an event to the handlers of its type."""
        for receive in self._receivers.get(type(event), ()):
            receive(event)

    def attach(self, kind: type[Event], handler: Callable[[Event], None]) -> Callable[[], None]:
        """Call a handler in the publisher's thread: it must be quick. Returns a function that detaches it."""
        failures = 0

        def receive(event: Event) -> None:
            nonlocal failures
            try:
                handler(event)
            except Exception as error:  # noqa: BLE001  (the publisher has done nothing wrong)
                failures += 1
                self._on_failure(HandlerFailure(_name_of(handler), event, error, failures))

        with self._lock:
            self._attached.append(receive)
            self._add((kind,), receive)
        return lambda: self._detach([receive])

    def detach_all(self) -> None:
        """Detach all attached handlers. Subscriptions stay."""
        self._detach(list(self._attached))

    @overload
    def subscribe(
        self,
        kinds: type[Event],
        handler: Callable[[Event], None],
        *,
        name: str | None = None,
        most_waiting: int = MOST_WAITING,
        alarm: Alarm | None = None,
    ) -> Subscription: ...

    @overload
    def subscribe(
        self,
        kinds: tuple[type, ...],
        handler: Receiver,
        *,
        name: str | None = None,
        most_waiting: int = MOST_WAITING,
        alarm: Alarm | None = None,
    ) -> Subscription: ...

    def subscribe(
        self,
        kinds: type | tuple[type, ...],
        handler: Receiver,
        *,
        name: str | None = None,
        most_waiting: int = MOST_WAITING,
        alarm: Alarm | None = None,
    ) -> Subscription:
        """Call a handler with every event of one type, or of several in their order, in a thread of its own.

        One that cannot keep up loses its oldest events, and one that raises goes on with the next; both are
        counted under `name` in `deliveries`. An `alarm` rings in the same thread when no event came until it
        was due. Returns the subscription.
        """
        with self._lock:
            taken = {one.name for one in self._subscribers}
            name = _unique(name or _name_of(handler), taken)
            subscriber = Subscriber(name, handler, most_waiting, self._on_failure, alarm)
            self._subscribers.append(subscriber)
            self._add(_each(kinds), subscriber.put)
            if self._running:
                subscriber.start()

        return Subscription(self, subscriber)

    def remove(self, subscriber: Subscriber) -> None:
        """End a subscription and its thread."""
        self._detach([subscriber.put])
        with self._lock:
            if subscriber not in self._subscribers:
                return
            self._subscribers.remove(subscriber)
        subscriber.stop(time.monotonic() + STOP_WITHIN_S)

    def start(self) -> None:
        """Start the subscribers' threads. Does nothing the second time."""
        with self._lock:
            self._running = True
            for subscriber in self._subscribers:
                subscriber.start()

    def stop(self, timeout_s: float = STOP_WITHIN_S) -> list[str]:
        """Deliver what is queued, then end the subscribers' threads; returns the names of those still alive.

        Subscriptions stay, for the next start. Does nothing the second time.
        """
        until_s = time.monotonic() + timeout_s
        with self._lock:
            self._running = False
            subscribers = list(self._subscribers)
        return [one.name for one in subscribers if not one.stop(until_s)]

    def deliveries(self) -> list[Delivery]:
        """Count what became of the events, subscriber by subscriber."""
        with self._lock:
            return [one.delivery() for one in self._subscribers]

    def _add(self, kinds: tuple[type, ...], receive: Receiver) -> None:
        added = {kind: (*self._receivers.get(kind, ()), receive) for kind in kinds}
        self._receivers = {**self._receivers, **added}

    def _detach(self, leaving: Sequence[Receiver]) -> None:
        with self._lock:
            self._attached = [one for one in self._attached if one not in leaving]
            kept = {
                kind: tuple(one for one in receivers if one not in leaving)
                for kind, receivers in self._receivers.items()
            }
            self._receivers = {kind: receivers for kind, receivers in kept.items() if receivers}


def _each(kinds: type | tuple[type, ...]) -> tuple[type, ...]:
    return kinds if isinstance(kinds, tuple) else (kinds,)


def _name_of(handler: Callable[..., Any]) -> str:
    return getattr(handler, "__qualname__", None) or type(handler).__name__


def _unique(name: str, taken: set[str]) -> str:
    """Return the name, numbered when another subscriber has it."""
    numbered = (f"{name} #{number}" for number in range(2, len(taken) + 3))
    return name if name not in taken else next(one for one in numbered if one not in taken)
