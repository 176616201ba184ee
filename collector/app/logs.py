"""Log one line for each change of state that is published on the event bus."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import structlog

from collector.events import (
    ClockStep,
    DatabaseState,
    EventBus,
    FirstContact,
    HandlerFailure,
    MarketRepeated,
    MarketsChosen,
    MarketsFound,
    MarketsNotRefreshed,
    PotentialHalt,
    RequestRefused,
    RequestsPaused,
    RequestsWait,
    SegmentChanged,
    SnapshotFailed,
    SystemState,
    UniverseChanged,
    UniverseNotRanked,
    WitnessDisagreed,
)

log = structlog.get_logger()

WITHOUT_NETWORK = "tries go on; `python run.py demo` needs no network"
MOST_NAMES = 8  # on one line


def log_events(events: EventBus) -> None:
    """Attach the log to the event bus: one line for each change of state."""
    events.attach(SystemState, _log_state)
    events.attach(SegmentChanged, _log_segment)
    events.attach(PotentialHalt, _log_halt)
    events.attach(DatabaseState, _log_database)
    events.attach(SnapshotFailed, _log_snapshot)
    events.attach(WitnessDisagreed, _log_witness)
    events.attach(RequestRefused, _log_refusal)
    events.attach(RequestsPaused, _log_pause)
    events.attach(RequestsWait, _log_wait)
    events.attach(MarketsChosen, _log_choices)
    events.attach(MarketRepeated, _log_repeated)
    events.attach(MarketsNotRefreshed, _log_not_refreshed)
    events.attach(MarketsFound, _log_found)
    events.attach(UniverseChanged, _log_universe)
    events.attach(UniverseNotRanked, _log_not_ranked)
    events.attach(FirstContact, _log_contact)
    events.attach(ClockStep, lambda step: log.warning("clock.stepped", step_s=round(step.step_s, 3)))


def _log_state(event: SystemState) -> None:
    shown = {"cause": event.cause} if event.cause else {}
    log.info("stream.changed", connection=event.connection, state=event.state.value, **shown)


def _log_segment(event: SegmentChanged) -> None:
    stream = {"exchange": event.exchange, "symbol": event.symbol, "channel": event.channel}
    if event.verified:
        log.info("coverage.begun", **stream)
    else:
        log.info("coverage.ended", **stream, cause=event.cause, detail=event.detail)


def _log_halt(event: PotentialHalt) -> None:
    where = {"exchange": event.exchange, **({"symbol": event.symbol} if event.symbol else {})}
    log.warning("potential_halt", code=event.code, reason=event.reason, **where)


def _log_database(event: DatabaseState) -> None:
    shown = {"cause": event.cause} if event.cause else {}
    tell = log.warning if event.state == "open" else log.info
    tell("database.breaker", state=event.state, **shown)


def _log_snapshot(event: SnapshotFailed) -> None:
    log.warning("snapshot.failed", exchange=event.exchange, symbol=event.symbol, detail=event.detail)


def _log_witness(event: WitnessDisagreed) -> None:
    stream = {"exchange": event.exchange, "symbol": event.symbol, "channel": event.channel}
    log.warning("witness.disagreed", **stream, detail=event.detail)


def _log_refusal(event: RequestRefused) -> None:
    """Log a refusal that is asked about again; one to unsubscribe does no harm."""
    shown = {"connection": event.connection, "topics": _some(event.topics), "words": event.words}
    if event.again_in_s is None:
        log.debug("unsubscribe.refused", **shown)
    else:
        log.info("subscription.put_off", **shown, again_in_s=round(event.again_in_s, 3))


def _log_pause(event: RequestsPaused) -> None:
    """Log once until when nothing is asked over REST."""
    until = datetime.fromtimestamp(event.until_ns / 1e9, UTC).isoformat(timespec="seconds")
    for_s = round((event.until_ns - event.at_ns) / 1e9, 1)
    log.warning("requests.paused", exchange=event.exchange, cause=event.cause, for_s=for_s, until=until)


def _log_wait(event: RequestsWait) -> None:
    log.info(
        "requests.wait",
        exchange=event.exchange,
        need=event.need,
        waited_s=round(event.waited_s, 1),
        others=event.waiting,
    )


def _log_choices(event: MarketsChosen) -> None:
    """Log in one line which markets the names were taken for, and how to choose the other kind."""
    first = event.choices[0]
    other, other_kind = first.others[0]
    log.info(
        "markets.chosen",
        exchange=event.exchange,
        name=_some([one.name for one in event.choices]),
        market=_some([one.symbol for one in event.choices]),
        kind=_some(list(dict.fromkeys(one.kind for one in event.choices))),
        also=_some([symbol for one in event.choices for symbol, _ in one.others]),
        for_the_other=f"market: {other_kind} of {event.exchange}, or write {other}",
    )


def _log_repeated(event: MarketRepeated) -> None:
    names = ", ".join(event.names)
    log.warning(
        "markets.repeated", exchange=event.exchange, market=event.symbol, names=names, collected="once"
    )


def _log_not_refreshed(event: MarketsNotRefreshed) -> None:
    log.warning("markets.not_refreshed", exchange=event.exchange, detail=event.detail)


def _log_found(event: MarketsFound) -> None:
    log.info("markets.found", exchange=event.exchange, names=_some(event.names))


def _log_universe(event: UniverseChanged) -> None:
    shown = {"joined": _some(event.joined), "left": _some(event.left)}
    told = {name: text for name, text in shown.items() if text}
    log.info("universe.changed", exchange=event.exchange, **told, markets=event.members)


def _log_not_ranked(event: UniverseNotRanked) -> None:
    log.warning("universe.not_ranked", exchange=event.exchange, detail=event.detail)


def _log_contact(event: FirstContact) -> None:
    where = {"exchange": event.exchange, "address": event.address}
    if event.why is None:
        log.info("exchange.reached", **where)
    else:
        log.warning("exchange.unreachable", **where, why=event.why, what_next=WITHOUT_NETWORK)


def _some(texts: Sequence[str]) -> str:
    more = len(texts) - MOST_NAMES
    return ", ".join(texts[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def log_unknown(exchange: str) -> Callable[[str, str, str], None]:
    """Return a function that logs the first of each kind of frame that could not be read."""

    def show(reason: str, detail: str, start_of_frame: str) -> None:
        log.warning("frame.rejected", exchange=exchange, reason=reason, detail=detail, frame=start_of_frame)

    return show


def log_failed_subscriber(failure: HandlerFailure) -> None:
    """Log that a subscriber raised an error: the first time, the tenth, the hundredth ..."""
    count = failure.count
    if count == 10 ** (len(str(count)) - 1):
        event_type, error = type(failure.event).__name__, repr(failure.error)
        log.warning(
            "subscriber.failed",
            subscriber=failure.subscriber,
            event_type=event_type,
            error=error,
            times=count,
        )
