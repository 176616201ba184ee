"""Log connections and their coverage: one line for what befalls all streams of a connection at once.

What becomes of each stream is a line at `debug`. The lines at `info` and above wait a moment for what
belongs to them: a connection of 200 streams that is lost is one line, and one when all are verified again.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from collector.app.alarm import DOUBTS
from collector.events import EventBus, Reconnecting, SegmentChanged, State, SystemState
from collector.loggers import get_logger

QUIET_S = 1.0  # without another stream: what began, or ended, is complete
HELD_S = 5.0, 60.0  # what still grows is logged after so long; each time after twice as long, up to this
BEGUN, LOST, STOPPED = "", "disconnect", "stop"  # causes: none, and those with lines of their own
MOST_NAMES = 8  # on one line
TROUBLE = DOUBTS | {"no_room", "time_far_off", LOST}  # causes that are no wish of anybody

log = get_logger(__name__)


@dataclass(slots=True)
class _Gathered:
    """Streams of one connection that began, or ended for one cause, and are not logged yet."""

    names: list[str]
    first_s: float
    last_s: float
    longest_s: float = 0.0  # for which one that began had been without


@dataclass(slots=True)
class _Connection:
    """What is remembered of one connection."""

    gathered: dict[str, _Gathered] = field(default_factory=dict)  # by cause
    ended_s: dict[str, float] = field(default_factory=dict)  # when each stream that is not verified ended
    held_s: float = HELD_S[0]
    is_up: bool = False
    lost_s: float | None = None  # since when it is lost
    attempts: int = 0  # to make it again


class ConnectionLog:
    """Takes events in whatever thread they come; `look` logs what is due."""

    def __init__(self, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._connections: dict[str, _Connection] = {}
        self._statuses: dict[str, State] = {}  # what exchanges said last of themselves

    def listen(self, events: EventBus) -> None:
        """Attach to the event bus."""
        events.attach(SegmentChanged, self._on_segment)
        events.attach(SystemState, self._on_state)
        events.attach(Reconnecting, self._on_reconnecting)

    def look(self) -> None:
        """Log what has been complete for a moment, or was held long enough."""
        now_s = self._monotonic_s()
        with self._lock:
            for name, one in self._connections.items():
                if any(_is_due(cause, some, one.held_s, now_s) for cause, some in one.gathered.items()):
                    self._log_gathered(name, one)

    def finish(self) -> None:
        """Log what is held back."""
        with self._lock:
            for name, one in self._connections.items():
                self._log_gathered(name, one)

    def _on_segment(self, event: SegmentChanged) -> None:
        stream = {"exchange": event.exchange, "symbol": event.symbol, "channel": event.channel}
        if event.verified:
            log.debug("stream.verified", **stream)
        else:
            log.debug("stream.unverified", **stream, cause=event.cause, detail=event.detail)
        cause, now_s = BEGUN if event.verified else event.cause, self._monotonic_s()
        with self._lock:
            one = self._connections.setdefault(event.connection or event.exchange, _Connection())
            some = one.gathered.setdefault(cause, _Gathered([], now_s, now_s))
            name = f"{event.symbol} {event.channel}"
            some.names.append(name)
            some.last_s = now_s
            if event.verified:
                some.longest_s = max(some.longest_s, now_s - one.ended_s.pop(name, now_s))
            elif event.cause in TROUBLE:
                one.ended_s[name] = now_s

    def _on_state(self, event: SystemState) -> None:
        """Log what an exchange says of itself, and that a connection is closed; its loss is told later."""
        shown = {"cause": event.cause} if event.cause else {}
        if event.state is State.STOPPED:
            with self._lock:
                streams = self._take(event.connection, STOPPED)
                self._log_gathered(event.connection, self._of(event.connection))
                del self._connections[event.connection]
            log.info("connection.closed", connection=event.connection, streams=streams)
        elif event.state is State.ERROR:
            return  # of a thread, which has a line with its traceback
        elif event.state in (State.CONNECTED, State.DISCONNECTED):
            with self._lock:
                self._of(event.connection).is_up |= event.state is State.CONNECTED
            log.debug("connection.state", connection=event.connection, state=event.state.value, **shown)
        else:
            before = self._statuses.get(event.exchange)
            self._statuses[event.exchange] = event.state
            tell = log.info if event.state is State.ONLINE else log.warning
            if event.state is before or (before is None and event.state is State.ONLINE):
                tell = log.debug  # each connection hears it
            tell("exchange.status", exchange=event.exchange, status=event.state.value, **shown)

    def _on_reconnecting(self, event: Reconnecting) -> None:
        """Log the loss, and of the attempts that follow the first, second, fourth, eighth ..."""
        now_s = self._monotonic_s()
        with self._lock:
            one = self._of(event.connection)
            streams = self._take(event.connection, LOST)
            self._log_gathered(event.connection, one)
            name, one.is_up = "connection.lost" if one.is_up else "connection.failed", False
            is_news = one.lost_s is None
            one.lost_s = now_s if one.lost_s is None else one.lost_s
            one.held_s = HELD_S[0]
            one.attempts = max(event.failures, one.attempts + 1)
            since_s, attempt = now_s - one.lost_s, one.attempts
        code = {} if event.close_code is None else {"close_code": event.close_code}
        shown = {"cause": event.cause, **code, "reason": event.detail, "wait_s": round(event.wait_s, 3)}
        before = {"streams": streams} if is_news else {"lost_for_s": round(since_s, 1)}
        is_told = is_news or event.is_refused or attempt & (attempt - 1) == 0
        tell = log.warning if is_told else log.debug
        tell(name, connection=event.connection, **before, attempt=attempt, **shown)

    # Under the lock.

    def _of(self, connection: str) -> _Connection:
        return self._connections.setdefault(connection, _Connection())

    def _take(self, connection: str, cause: str) -> int:
        """Return how many streams ended for a cause that has a line of its own."""
        some = self._of(connection).gathered.pop(cause, None)
        return 0 if some is None else len(some.names)

    def _log_gathered(self, name: str, one: _Connection) -> None:
        gathered, one.gathered = one.gathered, {}
        began = gathered.pop(BEGUN, None)
        for cause, some in gathered.items():
            tell = log.warning if cause in TROUBLE else log.info
            shown = {"streams": len(some.names), "of": _some(some.names)}
            tell("coverage.ended", connection=name, cause=cause, **shown)
        if began is None:
            return
        again: dict[str, float] = {"lost_for_s": round(began.longest_s, 1)} if began.longest_s else {}
        if one.lost_s is not None:
            again["attempts"] = one.attempts
        one.lost_s, one.attempts = None, 0
        one.held_s = min(2 * one.held_s, HELD_S[1])
        log.info("coverage.begun", connection=name, streams=len(began.names), of=_some(began.names), **again)


def _is_due(cause: str, some: _Gathered, held_s: float, now_s: float) -> bool:
    quiet_s = HELD_S[0] if cause in (LOST, STOPPED) else QUIET_S  # a line of its own comes sooner
    return now_s - some.last_s >= quiet_s or now_s - some.first_s >= held_s


def _some(names: list[str]) -> str:
    unique = list(dict.fromkeys(names))
    more = len(unique) - MOST_NAMES
    return ", ".join(unique[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
