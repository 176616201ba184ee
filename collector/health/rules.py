"""Judge each part of a collector, and the whole. Pure: facts and limits in, states and reasons out.

Degraded is not dead: data is collected, and something needs a person's eye. Unhealthy: nothing is collected,
or what is collected cannot be kept.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median

from collector.health.facts import Facts, StreamFact
from collector.health.limits import HealthLimits

MOST_NAMED = 5
MOST_ALIKE = 2  # streams of an exchange that are named one by one
NEARLY_FULL = 0.8
STEP_TOLD_S = 600.0  # so long a step of the clock is told
LATE_S = 5.0  # the loop, which turns every second, has something that holds it up
Figure = float | int | str | None


class Verdict(StrEnum):
    """The state of a part, or of the whole; the later, the worse."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


_OK, _DEGRADED, _UNHEALTHY = Verdict.HEALTHY, Verdict.DEGRADED, Verdict.UNHEALTHY
_ORDER = tuple(Verdict)


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its state, why it is not healthy, and the figures that were looked at."""

    name: str
    state: Verdict = _OK
    reason: str = ""
    figures: Mapping[str, Figure] = field(default_factory=dict)
    alarms: bool = False  # whether an alarm is raised when it ceases to be healthy


@dataclass(frozen=True, slots=True)
class Health:
    """The whole: as bad as its worst part."""

    parts: tuple[Part, ...]

    @property
    def state(self) -> Verdict:
        """Return the state of the worst part."""
        return max((part.state for part in self.parts), key=_ORDER.index, default=_OK)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return why it is not healthy, part by part."""
        return tuple(f"{part.name}: {part.reason}" for part in self.parts if part.reason)


def is_wedged(silent_s: float, limits: HealthLimits, *, ended: bool = False) -> bool:
    """Return whether the loop that collects has stopped for good: only a new start can help."""
    return ended or silent_s > limits.wedged_after_s


def judge(facts: Facts, limits: HealthLimits) -> Health:
    """Judge every part."""
    exchanges = (_exchange(name, facts, limits) for name in facts.exchanges)
    return Health((*(rule(facts, limits) for rule in RULES), *exchanges))


def _loop(facts: Facts, limits: HealthLimits) -> Part:
    figures = {"silent_s": round(facts.loop_silent_s, 3)}
    if facts.loop_ended:
        return Part("collecting", _UNHEALTHY, "the thread that collects has ended", figures)
    if is_wedged(facts.loop_silent_s, limits):
        reason = f"the loop that collects has not turned for {facts.loop_silent_s:.0f} s"
        return Part("collecting", _UNHEALTHY, reason, figures)
    if facts.loop_silent_s > LATE_S:
        reason = f"the loop that collects is {facts.loop_silent_s:.0f} s late"
        return Part("collecting", _DEGRADED, reason, figures)
    return Part("collecting", figures=figures)


def _streams(facts: Facts, _limits: HealthLimits) -> Part:
    """Compare with what is configured: a market that is missing is never fine."""
    wrong = [one for one in facts.streams if one.state != "verified"]
    verified = len(facts.streams) - len(wrong)
    figures = {"asked_for": len(facts.streams), "verified": verified}
    refused = [f"refused: {text}" for text in facts.refused]
    reasons = [*refused, *_stream_texts(wrong)]
    if not facts.streams and not reasons:
        reasons = ["no stream has begun"]
    if not reasons:
        return Part("streams", figures=figures)
    return Part("streams", _DEGRADED if verified else _UNHEALTHY, _listed(reasons), figures)


def _stream_texts(streams: Sequence[StreamFact]) -> Iterator[str]:
    """Yield what is wrong with each stream; many of an exchange that share it are named together."""
    alike: dict[tuple[str, str, str], list[StreamFact]] = {}
    for one in streams:
        alike.setdefault((one.exchange, one.state, one.cause), []).append(one)
    for (exchange, state, cause), some in alike.items():
        since = f" since {cause}" if cause else ""
        if len(some) > MOST_ALIKE:
            yield f"{len(some)} streams of {exchange} are {state}{since}, {some[0].name} first"
        else:
            yield from (f"{one.name} is {state}{since}" for one in some)


def _exchange(name: str, facts: Facts, limits: HealthLimits) -> Part:
    """Judge one configured exchange: whether it is reached, what it says, and when it last said something."""
    streams = [one for one in facts.streams if one.exchange == name]
    ages_s = [one.age_s for one in streams if one.age_s is not None]
    age_s = min(ages_s, default=None)
    figures: dict[str, Figure] = {
        "streams": len(streams),
        "verified": sum(one.state == "verified" for one in streams),
        "last_message_age_s": None if age_s is None else round(age_s, 3),
    }
    reasons = [f"no answer from {text}" for text in facts.unreached if _is_of(name, text)]
    reasons += [text for text in facts.statuses if _is_of(name, text)]
    if not streams and not reasons:
        reasons.append("nothing of it is collected")
    if streams and age_s is None and not reasons:
        reasons.append("nothing has come from it yet")
    if age_s is not None and age_s > limits.silent_after_s:
        reasons.append(f"its last message came {age_s:.0f} s ago, more than {limits.silent_after_s:g} s")
    return Part(f"exchange {name}", _DEGRADED if reasons else _OK, _listed(reasons), figures)


def _is_of(exchange: str, text: str) -> bool:
    return text.split(" ", 1)[0].rstrip(":") == exchange


def _lags_s(facts: Facts, limits: HealthLimits) -> Iterator[tuple[str, float]]:
    """Yield the exchange and the lag of each stream that says something now; old messages tell of then."""
    for one in facts.streams:
        if one.lag_s is not None and one.age_s is not None and one.age_s <= limits.silent_after_s:
            yield one.exchange, one.lag_s


def _lag(facts: Facts, limits: HealthLimits) -> Part:
    """Compare the middle lag of each exchange's live streams with the limit."""
    lags_s: dict[str, list[float]] = {}
    for exchange, lag_s in _lags_s(facts, limits):
        lags_s.setdefault(exchange, []).append(lag_s)
    middle_s = {name: median(values) for name, values in lags_s.items()}
    late = [
        f"{name} is {lag_s:.1f} s late, more than {limits.lag_s:g} s"
        for name, lag_s in middle_s.items()
        if lag_s > limits.lag_s
    ]
    figures = {f"{name}_s": round(lag_s, 3) for name, lag_s in middle_s.items()}
    return Part("lag", _DEGRADED if late else _OK, _listed(late), figures, alarms=True)


def _clock(facts: Facts, limits: HealthLimits) -> Part:
    """Find a clock that is behind: messages come before they were sent."""
    least_s = min((lag_s for _, lag_s in _lags_s(facts, limits)), default=None)
    step_s = facts.clock_step_age_s
    figures = {"least_lag_s": None if least_s is None else round(least_s, 3)}
    if least_s is not None and -least_s > limits.clock_off_s:
        reason = f"this clock is {-least_s:.1f} s behind the exchanges', more than {limits.clock_off_s:g} s"
        return Part("clock", _DEGRADED, reason, figures, alarms=True)
    if step_s is not None and step_s < STEP_TOLD_S:
        reason = f"the clock was stepped {step_s:.0f} s ago"
        return Part("clock", _DEGRADED, reason, figures)  # it is an event of its own
    return Part("clock", figures=figures, alarms=True)


def _commit(facts: Facts, limits: HealthLimits) -> Part:
    age_s = facts.commit_age_s
    figures = {"age_s": None if age_s is None else round(age_s, 3), "pending": facts.pending}
    if not facts.writer_alive:
        return Part("writer", _UNHEALTHY, "the writer thread has ended", figures)
    without_s = facts.uptime_s if age_s is None else age_s
    if facts.pending and without_s > limits.commit_after_s:
        last = f"since the start {without_s:.0f} s ago nothing was committed"
        if age_s is not None:
            last = f"the last commit was {age_s:.0f} s ago"
        return Part("writer", _DEGRADED, f"{facts.pending} events wait, and {last}", figures)
    return Part("writer", figures=figures)


def _database(facts: Facts, _limits: HealthLimits) -> Part:
    figures = {"breaker": facts.breaker}
    if facts.database_error is not None:
        return Part("database", _DEGRADED, f"it refuses: {facts.database_error}", figures)
    if facts.breaker != "closed":
        return Part("database", _DEGRADED, f"it is left alone: the breaker is {facts.breaker}", figures)
    return Part("database", figures=figures)


def _buffer(facts: Facts, _limits: HealthLimits) -> Part:
    share = facts.buffer_rows / facts.buffer_max_rows
    figures = {"rows": facts.buffer_rows, "max_rows": facts.buffer_max_rows}
    if share >= 1.0:
        return Part("buffer", _UNHEALTHY, "it is full: what comes is dropped", figures)
    if share >= NEARLY_FULL:
        return Part("buffer", _DEGRADED, f"{share:.0%} of it is taken", figures)
    return Part("buffer", figures=figures)


def _spool(facts: Facts, _limits: HealthLimits) -> Part:
    share = facts.spool_bytes / facts.spool_max_bytes
    figures = {"rows": facts.spooled_rows, "bytes": facts.spool_bytes, "max_bytes": facts.spool_max_bytes}
    if facts.spilling and share >= NEARLY_FULL:
        return Part("spool", _DEGRADED, f"{share:.0%} of its room is taken, and it grows", figures)
    if facts.spilling or facts.spooled_rows:
        reason = f"{facts.spooled_rows} rows wait in it for the database"
        if not facts.spooled_rows:
            reason = "what comes goes to it, until the database takes it again"
        return Part("spool", _DEGRADED, reason, figures)
    return Part("spool", figures=figures)


def _identity(facts: Facts, _limits: HealthLimits) -> Part:
    figures = {"difference": facts.difference, "dropped": facts.dropped}
    if facts.difference:
        reason = f"{facts.difference} events are not accounted for"
        return Part("identity", _DEGRADED, reason, figures)
    if facts.dropped:
        return Part("identity", _DEGRADED, f"{facts.dropped} events found no room and are lost", figures)
    return Part("identity", figures=figures)


def _housekeeping(facts: Facts, _limits: HealthLimits) -> Part:
    reasons = [f"{chore} fails: {why}" for chore, why in facts.chores.items()]
    return Part("housekeeping", _DEGRADED if reasons else _OK, _listed(reasons))


def _followers(facts: Facts, _limits: HealthLimits) -> Part:
    reasons = [f"{name} refuses: {why}" for name, why in facts.followers.items()]
    return Part("followers", _DEGRADED if reasons else _OK, _listed(reasons))


def _reports(facts: Facts, _limits: HealthLimits) -> Part:
    reasons = [f"{name} does not arrive: {why}" for name, why in facts.reports.items()]
    return Part("reports", _DEGRADED if reasons else _OK, _listed(reasons))


def _disk(facts: Facts, limits: HealthLimits) -> Part:
    free = facts.machine.disk_free_bytes
    figures = {"free_bytes": free}
    if free is not None and free < limits.disk_free_bytes:
        reason = f"{free:,} bytes are free, fewer than {limits.disk_free_bytes:,}"
        return Part("disk", _DEGRADED, reason, figures, alarms=True)
    return Part("disk", figures=figures, alarms=True)


def _memory(facts: Facts, limits: HealthLimits) -> Part:
    taken = facts.machine.memory_bytes
    figures = {"bytes": taken}
    if taken is not None and taken > limits.memory_bytes:
        reason = f"{taken:,} bytes are taken, more than {limits.memory_bytes:,}"
        return Part("memory", _DEGRADED, reason, figures, alarms=True)
    return Part("memory", figures=figures, alarms=True)


def _cpu(facts: Facts, limits: HealthLimits) -> Part:
    cores = facts.machine.cpu_cores
    figures = {"cores": None if cores is None else round(cores, 3)}
    if cores is not None and cores > limits.cpu_cores:
        reason = f"{cores:.2f} cores are taken over a minute, more than {limits.cpu_cores:g}"
        return Part("cpu", _DEGRADED, reason, figures, alarms=True)
    return Part("cpu", figures=figures, alarms=True)


RULES: Sequence[Callable[[Facts, HealthLimits], Part]] = (
    *(_loop, _streams, _lag, _clock, _commit, _database, _buffer, _spool, _identity),
    *(_housekeeping, _followers, _reports, _disk, _memory, _cpu),
)


def _listed(reasons: Sequence[str]) -> str:
    return "; ".join(_first(reasons))


def _first(reasons: Sequence[str]) -> Iterator[str]:
    yield from reasons[:MOST_NAMED]
    if len(reasons) > MOST_NAMED:
        yield f"and {len(reasons) - MOST_NAMED} more"
