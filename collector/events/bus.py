"""Publish and subscribe within the process: publishing never blocks and never raises."""

import threading
import time
from asyncio import AbstractEventLoop
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar, overload

from collector.errors import UserError
from collector.events.coroutines import Loop, is_async
from collector.events.lateness import LATE_AFTER_S, LateWatch
from collector.events.subscriber import Alarm, Delivery, HandlerFailure, HandlerLate, Subscriber

Event = TypeVar("Event")
Receiver = Callable[[Any], object]  # an `async def` is one too

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
    What handlers fail at (`HandlerFailure`) and that they are late (`HandlerLate`) is published as well.
    """

    def __init__(
        self,
        on_failure: Callable[[HandlerFailure], None] = lambda _: None,
        *,
        late_after_s: float = LATE_AFTER_S,  # a handler that does not return for so long is told
    ) -> None:
        self._on_failure = on_failure
        self._watch = LateWatch(self.deliveries, self.publish, late_after_s)
        self._lock = threading.Lock()
        # Guarded by _lock; publishing reads _receivers, which is replaced as a whole.
        self._receivers: dict[type, tuple[Receiver, ...]] = {}
        self._attached: list[Receiver] = []
        self._subscribers: list[Subscriber] = []
        self._holders: list[object] = []  # who started it, and wants it to run

    def wanted(self, kind: type) -> bool:
        """Return whether there is a handler for this type of event."""
        return kind in self._receivers

    def publish(self, event: object) -> None:
        """Deliver an event to the handlers of its type."""
        for receive in self._receivers.get(type(event), ()):
            receive(event)

    def attach(self, kind: type[Event], handler: Callable[[Event], None]) -> Callable[[], None]:
        """Call a handler in the publisher's thread: it must be quick. Returns a function that detaches it."""
        if is_async(handler):
            raise UserError(f"{_name_of(handler)} is async and would never run here; use subscribe for it")
        failures = 0

        def receive(event: Event) -> None:
            nonlocal failures
            try:
                handler(event)
            except Exception as error:  # noqa: BLE001  (the publisher has done nothing wrong)
                failures += 1
                self._failed(HandlerFailure(_name_of(handler), event, error, failures))

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
        handler: Callable[[Event], object],
        *,
        name: str | None = None,
        most_waiting: int = MOST_WAITING,
        alarm: Alarm | None = None,
        loop: Loop | None = None,
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
        loop: Loop | None = None,
    ) -> Subscription: ...

    def subscribe(
        self,
        kinds: type | tuple[type, ...],
        handler: Receiver,
        *,
        name: str | None = None,
        most_waiting: int = MOST_WAITING,
        alarm: Alarm | None = None,
        loop: Loop | None = None,
    ) -> Subscription:
        """Call a handler with every event of one type, or of several in their order, in a thread of its own.

        One that cannot keep up loses its oldest events, and one that raises goes on with the next; both are
        counted under `name` in `deliveries`. What an `async def` returns is run to its end before the next
        event: on `loop`, or the one that runs where this is called, else on one of its own. An `alarm` rings
        in the same thread when no event came until it was due. Returns the subscription.
        """
        if not callable(handler):
            raise UserError(f"the handler is {handler!r}; expected a function, plain or async")
        each = _each(kinds)
        _check_queue(most_waiting, loop)
        with self._lock:
            taken = {one.name for one in self._subscribers}
            name = _unique(name or _name_of(handler), taken)
            subscriber = Subscriber(name, handler, most_waiting, self._failed, alarm, loop)
            self._subscribers.append(subscriber)
            self._add(each, subscriber.put)
            if self._holders:
                subscriber.start()
                self._watch.start()
        return Subscription(self, subscriber)

    def remove(self, subscriber: Subscriber) -> None:
        """End a subscription and its thread."""
        self._detach([subscriber.put])
        with self._lock:
            if subscriber not in self._subscribers:
                return
            self._subscribers.remove(subscriber)
            is_last = not self._subscribers
        if is_last:
            self._watch.stop()
        subscriber.stop(time.monotonic() + STOP_WITHIN_S)

    def use_loop(self, loop: Loop) -> None:
        """Run the coroutines of handlers on this loop, but of those that have one which runs."""
        with self._lock:
            for subscriber in self._subscribers:
                subscriber.use_loop(loop)

    def start(self) -> None:
        """Start the subscribers' threads. Does nothing the second time."""
        self.hold(self)

    def hold(self, holder: object) -> None:
        """Start, and run for as long as any of those who hold it."""
        with self._lock:
            if not any(one is holder for one in self._holders):
                self._holders.append(holder)
            for subscriber in self._subscribers:
                subscriber.start()
            if self._subscribers:
                self._watch.start()

    def release(self, holder: object, timeout_s: float = STOP_WITHIN_S) -> list[str]:
        """Stop, if nobody else holds it."""
        with self._lock:
            others = [one for one in self._holders if one is not holder]
            if others or not self._holders:
                self._holders = others
                return []
        return self.stop(timeout_s)

    @property
    def holders(self) -> tuple[object, ...]:
        """Who wants it to run; the first alone tells what all of them would."""
        return tuple(self._holders)

    def stop(self, timeout_s: float = STOP_WITHIN_S) -> list[str]:
        """Deliver what is queued, then end the subscribers' threads; returns the names of those still alive.

        Subscriptions stay, for the next start. Does nothing the second time.
        """
        until_s = time.monotonic() + timeout_s
        with self._lock:
            self._holders = []
            subscribers = list(self._subscribers)
        self._watch.stop()
        return [one.name for one in subscribers if not one.stop(until_s)]

    def deliveries(self) -> list[Delivery]:
        """Count what became of the events, subscriber by subscriber."""
        with self._lock:
            return [one.delivery() for one in self._subscribers]

    def _failed(self, failure: HandlerFailure) -> None:
        """Tell of a failure; whoever is told of it must not end the handler's thread."""
        with suppress(Exception):
            self._on_failure(failure)
        if not isinstance(failure.event, HandlerFailure | HandlerLate):  # or a broken one would never end
            self.publish(failure)

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
    each = kinds if isinstance(kinds, tuple) else (kinds,)
    if not each or not all(isinstance(one, type) for one in each):  # no event would ever be of it
        raise UserError(f"found {kinds!r}, expected a type of event, such as L2Update, or a tuple of some")
    return each


def _check_queue(most_waiting: object, loop: object) -> None:
    """Refuse here what would raise in the thread that publishes."""
    if not isinstance(most_waiting, int) or isinstance(most_waiting, bool) or most_waiting < 1:
        raise UserError(f"most_waiting is {most_waiting!r}; expected a whole number from 1")
    if loop is not None and not isinstance(loop, AbstractEventLoop):
        raise UserError(f"loop is {loop!r}; expected an event loop of asyncio, or None")


def _name_of(handler: Callable[..., Any]) -> str:
    return getattr(handler, "__qualname__", None) or type(handler).__name__


def _unique(name: str, taken: set[str]) -> str:
    """Return the name, numbered when another subscriber has it."""
    numbered = (f"{name} #{number}" for number in range(2, len(taken) + 3))
    return name if name not in taken else next(one for one in numbered if one not in taken)
