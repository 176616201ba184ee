"""Use an event bus that others may use as well: leave it, at the end, as it was found."""

from collections.abc import Callable
from typing import Any, TypeVar

from collector.events.bus import MOST_WAITING, STOP_WITHIN_S, EventBus, Receiver, Subscription
from collector.events.coroutines import Loop
from collector.events.subscriber import Alarm, Delivery, Subscriber

Event = TypeVar("Event")


class Hold(EventBus):
    """One user's hold on a bus: what it attaches it can detach alone, and it stops what nobody else holds.

    Subscriptions are the bus's own: they outlive a stop, and go by themselves.
    """

    def __init__(self, bus: EventBus) -> None:
        super().__init__()
        self._bus = bus
        self._detachers: list[Callable[[], None]] = []

    @property
    def leads(self) -> bool:
        """Whether it is the first of those who hold the bus: what all would tell, it tells alone."""
        return self._bus.holders[:1] in ((), (self,))

    def wanted(self, kind: type) -> bool:
        """Return whether there is a handler for this type of event."""
        return self._bus.wanted(kind)

    def publish(self, event: object) -> None:
        """Deliver an event to the handlers of its type."""
        self._bus.publish(event)

    def attach(self, kind: type[Event], handler: Callable[[Event], None]) -> Callable[[], None]:
        """Call a handler in the publisher's thread, until it is detached or `detach_all`."""
        detach = self._bus.attach(kind, handler)
        self._detachers.append(detach)
        return detach

    def detach_all(self) -> None:
        """Detach what was attached here."""
        detachers, self._detachers = self._detachers, []
        for detach in detachers:
            detach()

    def subscribe(
        self,
        kinds: Any,
        handler: Receiver,
        *,
        name: str | None = None,
        most_waiting: int = MOST_WAITING,
        alarm: Alarm | None = None,
        loop: Loop | None = None,
    ) -> Subscription:
        """Call a handler with every event of these types, in a thread of its own."""
        return self._bus.subscribe(
            kinds, handler, name=name, most_waiting=most_waiting, alarm=alarm, loop=loop
        )

    def remove(self, subscriber: Subscriber) -> None:
        """End a subscription and its thread."""
        self._bus.remove(subscriber)

    def use_loop(self, loop: Loop) -> None:
        """Run the coroutines of handlers on this loop, but of those that have one which runs."""
        self._bus.use_loop(loop)

    def start(self) -> None:
        """Have the bus run, for this user."""
        self._bus.hold(self)

    def stop(self, timeout_s: float = STOP_WITHIN_S) -> list[str]:
        """Let go of the bus; it stops if nobody else holds it."""
        return self._bus.release(self, timeout_s)

    def deliveries(self) -> list[Delivery]:
        """Count what became of the events, subscriber by subscriber."""
        return self._bus.deliveries()
