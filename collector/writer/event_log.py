"""Keep the collector's own events until the next write stores them."""

import threading
import time
from collections.abc import Callable
from typing import Any

from collector.events import (
    ChoreState,
    ClockStep,
    DatabaseState,
    Notice,
    PotentialHalt,
    SegmentChanged,
    SnapshotFailed,
    SystemState,
    WitnessDisagreed,
)
from collector.sinks import Rows, Value

MOST_WAITING = 2_000  # events between two writes; what is beyond is counted
MOST_CHARACTERS = 1_000
KINDS: tuple[type[Any], ...] = (
    SystemState,
    SegmentChanged,
    SnapshotFailed,
    WitnessDisagreed,
    PotentialHalt,
    DatabaseState,
    ChoreState,
    ClockStep,
)

Row = tuple[int, str, str | None, str | None, str, str]  # at, kind, exchange, symbol, code, detail
COLUMNS = ("at_ns", "kind", "exchange", "symbol", "code", "detail")


class EventLog:
    """A bounded list of events. Any thread adds, the writer's takes."""

    def __init__(self, session_id: str, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._session_id = session_id
        self._now_ns = now_ns
        self._lock = threading.Lock()
        # Guarded by _lock: all below.
        self._rows: list[Row] = []
        self._left_out = 0

    def note(self, event: Notice) -> None:
        """Add an event; only count it when too many wait."""
        with self._lock:
            if len(self._rows) < MOST_WAITING:
                self._rows.append(event_row(event))
            else:
                self._left_out += 1

    def take(self) -> tuple[Rows, ...]:
        """Return the events since the last call as rows; an empty tuple if there were none."""
        with self._lock:
            rows, self._rows = self._rows, []
            left_out, self._left_out = self._left_out, 0
        if left_out:
            rows.append((self._now_ns(), "events", None, None, "too_many", f"{left_out} more are not told"))
        if not rows:
            return ()
        columns: dict[str, list[Value]] = {"session_id": [self._session_id] * len(rows)}
        columns |= {name: list(values) for name, values in zip(COLUMNS, zip(*rows, strict=True), strict=True)}
        return (Rows("events", columns),)


def event_row(event: Notice) -> Row:
    """Return an event as it stands in the table: at_ns, kind, exchange, symbol, code, detail."""
    match event:
        case SystemState():
            detail = _joined(event.connection, event.cause, event.detail)
            return event.at_ns, "system_state", event.exchange, None, event.state.value, detail
        case SegmentChanged():
            code = "verified" if event.verified else event.cause
            detail = _joined(event.channel, f"segment {event.segment_id}", event.detail)
            return event.at_ns, "segment", event.exchange, event.symbol, code, detail
        case SnapshotFailed() | WitnessDisagreed():
            kind, code, channel = "snapshot", "failed", ""
            if isinstance(event, WitnessDisagreed):
                kind, code, channel = "witness", "disagreed", event.channel
            return event.at_ns, kind, event.exchange, event.symbol, code, _joined(channel, event.detail)
        case PotentialHalt():
            detail = _joined(event.reason, event.detail)
            return event.at_ns, "potential_halt", event.exchange, event.symbol, event.code, detail
        case DatabaseState() | ChoreState() | ClockStep():
            kind, code, detail = _of_ourselves(event)
            return event.at_ns, kind, None, None, code, detail


def _of_ourselves(event: DatabaseState | ChoreState | ClockStep) -> tuple[str, str, str]:
    match event:
        case DatabaseState():
            return "database", event.state, _joined(event.cause)
        case ChoreState():
            return "housekeeping", event.chore, _joined(event.problem)
        case ClockStep():
            return "clock", "step", f"{event.step_s:+.3f} s"


def _joined(*parts: str) -> str:
    """Return one text that every database takes: an exchange's own words may be in it."""
    text = ": ".join(part for part in parts if part)[:MOST_CHARACTERS]
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
