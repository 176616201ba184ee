"""Tell the error callbacks what goes wrong: alarms, and callbacks that raise or do not return."""

from collector.app import log_failed_subscriber
from collector.errors import IngestorError
from collector.events import HandlerFailure, HandlerLate, Hold, PotentialHalt, State, SystemState
from collector.loggers import get_logger

log = get_logger(__name__)


class Told:
    """Turns events of a bus into errors on it. Of several ingestors on one, the first tells of callbacks."""

    def __init__(self, hold: Hold) -> None:
        self._hold = hold
        self.last_trouble = ""  # of this session, in words

    def listen(self) -> None:
        """Attach to the bus."""
        self._hold.attach(PotentialHalt, self.on_halt)
        self._hold.attach(SystemState, self.on_state)
        self._hold.attach(HandlerFailure, self.on_failure)
        self._hold.attach(HandlerLate, self.on_late)

    def on_halt(self, event: PotentialHalt) -> None:
        """Tell of an alarm."""
        where = " ".join(part for part in (event.exchange, event.symbol) if part)
        self.last_trouble = f"{event.code}: {event.reason}"
        self._hold.publish(IngestorError(event.code, f"{where}: {event.reason}", cause=event))

    def on_state(self, event: SystemState) -> None:
        """Note a connection that is lost."""
        if event.state in (State.DISCONNECTED, State.ERROR):
            self.last_trouble = f"{event.connection} {event.state.value}: {event.cause}"

    def on_failure(self, failure: HandlerFailure) -> None:
        """Log and tell that a callback raised."""
        if not self._hold.leads:
            return
        log_failed_subscriber(failure)
        if isinstance(failure.event, IngestorError):  # told to a broken error callback it would never end
            return
        text = f"{failure.subscriber} raised {failure.error!r}"
        if isinstance(failure.error, SystemExit):
            text += ": a callback cannot end the program, call stop() and return from main"
        self._hold.publish(IngestorError("callback_failed", text, cause=failure.error))

    def on_late(self, late: HandlerLate) -> None:
        """Log and tell that a callback does not return, or is too slow for what comes."""
        if not self._hold.leads:
            return
        if late.for_s:
            word, text = "stuck", f"has not returned for {late.for_s:.0f} s"
        else:
            word, text = "slow", f"is too slow for what comes: {late.dropped} events dropped so far"
        log.warning(
            "subscriber.late",
            what=word,
            subscriber=late.subscriber,
            for_s=round(late.for_s, 1),
            waiting=late.waiting,
            dropped=late.dropped,
        )
        text = f"{late.subscriber} {text}; {late.waiting} wait"
        self._hold.publish(IngestorError(f"callback_{word}", text, cause=late))
