"""Report whether an ingestor does what it should, and if not, why."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from collector.app import VERIFIED, View
from collector.events import Delivery

STUCK_AFTER_S = 10.0  # that a callback does not return for


@dataclass(frozen=True, slots=True)
class Health:
    """True when all is well; otherwise `reasons` say what is not."""

    reasons: tuple[str, ...]

    def __bool__(self) -> bool:
        return not self.reasons

    def __str__(self) -> str:
        return "; ".join(self.reasons) or "healthy"


def reasons_of(view: View) -> Iterator[str]:
    """List what is wrong with a running collector."""
    if not view.answers:
        yield "the websocket thread or the writer thread does not answer"
    yield from (f"no answer from {text}" for text in view.unreached)
    yield from (f"refused: {text}" for text in view.refused)
    if view.answers and not view.asked:
        yield "no stream has begun"
    for stream in view.asked:
        if stream.state != VERIFIED:
            cause = f", since {stream.last_cause}" if stream.last_cause else ""
            yield f"{' '.join(stream.key)}: {stream.state}{cause}"
    yield from view.statuses
    if view.writer.last_error is not None:
        yield f"the database refuses: {view.writer.last_error}"
    if view.dropped:
        yield f"{view.dropped} events found no room and are lost"


def reasons_of_callbacks(deliveries: Iterable[Delivery]) -> Iterator[str]:
    """List the callbacks that do not return, and those that tried to end the program."""
    for one in deliveries:
        if one.busy_s >= STUCK_AFTER_S:
            late = f"has not returned for {one.busy_s:.0f} s, {one.waiting} events wait"
            yield f"the callback {one.subscriber} {late}"
        if one.asked_to_exit:
            yield f"the callback {one.subscriber} raised SystemExit, {one.asked_to_exit} times"
