"""Every part of a collector is judged by what is configured; the whole is as bad as its worst part."""

from dataclasses import replace

import pytest

from collector.health.facts import Facts, MachineFacts, StreamFact
from collector.health.limits import HealthLimits
from collector.health.rules import Health, Part, Verdict, is_wedged, judge

LIMITS = HealthLimits()
BOOK = StreamFact("bybit BTC/USDT book.50", "bybit", "verified", age_s=0.1, lag_s=0.05)
TRADES = replace(BOOK, name="bybit BTC/USDT trade")
KRAKEN = replace(BOOK, name="kraken BTC/USD book.25", exchange="kraken")
MACHINE = MachineFacts(memory_bytes=200_000_000, cpu_cores=0.2, disk_free_bytes=50_000_000_000)
WELL = Facts(("bybit",), (BOOK, TRADES), commit_age_s=0.2, buffer_max_rows=1000, machine=MACHINE)
BOTH = replace(WELL, exchanges=("bybit", "kraken"))
SPOOL = {"spool_bytes": 10, "spool_max_bytes": 100}


def part(facts: Facts, name: str) -> Part:
    (found,) = (one for one in judge(facts, LIMITS).parts if one.name == name)
    return found


def streams(*states: str) -> Facts:
    return replace(WELL, streams=tuple(replace(BOOK, state=state, cause="disconnect") for state in states))


def machine(**figures: float) -> Facts:
    return replace(WELL, machine=replace(MACHINE, **figures))  # type: ignore[arg-type]


def lags(*lags_s: float, exchange: str = "bybit", age_s: float = 0.1) -> Facts:
    made = tuple(replace(BOOK, exchange=exchange, lag_s=lag_s, age_s=age_s) for lag_s in lags_s)
    return replace(WELL, exchanges=(exchange,), streams=made)


CASES: list[tuple[str, Facts, str, str, str]] = [
    ("the loop turns", WELL, "collecting", "healthy", ""),
    ("the loop is late", replace(WELL, loop_silent_s=6.0), "collecting", "degraded", "6 s late"),
    (
        "the loop is wedged",
        replace(WELL, loop_silent_s=31.0),
        "collecting",
        "unhealthy",
        "not turned for 31 s",
    ),
    ("the thread ended", replace(WELL, loop_ended=True), "collecting", "unhealthy", "has ended"),
    ("one stream syncs", streams("verified", "syncing"), "streams", "degraded", "syncing since disconnect"),
    ("one market is missing", streams("verified", "missing"), "streams", "degraded", "is missing"),
    ("no stream is verified", streams("down", "down"), "streams", "unhealthy", "is down since disconnect"),
    ("no stream has begun", streams(), "streams", "unhealthy", "no stream has begun"),
    ("a market is refused", replace(WELL, refused=("X: no",)), "streams", "degraded", "refused: X: no"),
    ("an exchange is all there", WELL, "exchange bybit", "healthy", ""),
    ("an exchange is missing", BOTH, "exchange kraken", "degraded", "nothing of it is collected"),
    (
        "an exchange does not answer",
        replace(BOTH, unreached=("kraken at wss://k: refused",)),
        "exchange kraken",
        "degraded",
        "no answer from kraken at wss://k: refused",
    ),
    (
        "another exchange's trouble",
        replace(BOTH, unreached=("kraken at wss://k: refused",)),
        "exchange bybit",
        "healthy",
        "",
    ),
    (
        "an exchange is under maintenance",
        replace(WELL, statuses=("bybit is under maintenance",)),
        "exchange bybit",
        "degraded",
        "under maintenance",
    ),
    (
        "nothing has come yet",
        replace(WELL, streams=(replace(BOOK, age_s=None),)),
        "exchange bybit",
        "degraded",
        "nothing has come from it yet",
    ),
    ("an exchange is silent", lags(0.1, age_s=301.0), "exchange bybit", "degraded", "came 301 s ago"),
    ("one of its streams speaks", lags(0.1, age_s=299.0), "exchange bybit", "healthy", ""),
    ("lag within the limit", lags(4.9, 5.0, 5.0), "lag", "healthy", ""),
    ("one late stream of three", lags(0.1, 0.1, 60.0), "lag", "healthy", ""),
    ("an exchange is late", lags(6.0, 6.0, 0.1), "lag", "degraded", "bybit is 6.0 s late, more than 5 s"),
    ("lag of old messages", lags(60.0, age_s=301.0), "lag", "healthy", ""),
    ("the clock is behind", lags(0.1, -1.5), "clock", "degraded", "1.5 s behind"),
    ("the clock was behind, by old messages", lags(-1.5, age_s=301.0), "clock", "healthy", ""),
    ("the clock is a little behind", lags(0.1, -1.0), "clock", "healthy", ""),
    ("a step just now", replace(WELL, clock_step_age_s=3.0), "clock", "degraded", "stepped 3 s ago"),
    ("a step long ago", replace(WELL, clock_step_age_s=601.0), "clock", "healthy", ""),
    ("commits come", replace(WELL, pending=9, commit_age_s=30.0), "writer", "healthy", ""),
    (
        "commits do not come",
        replace(WELL, pending=9, commit_age_s=31.0),
        "writer",
        "degraded",
        "9 events wait",
    ),
    (
        "none ever came",
        replace(WELL, pending=9, commit_age_s=None, uptime_s=31.0),
        "writer",
        "degraded",
        "since the start 31 s ago nothing was committed",
    ),
    ("none came yet", replace(WELL, pending=9, commit_age_s=None, uptime_s=29.0), "writer", "healthy", ""),
    ("nothing to commit", replace(WELL, commit_age_s=999.0), "writer", "healthy", ""),
    ("the writer ended", replace(WELL, writer_alive=False), "writer", "unhealthy", "has ended"),
    (
        "the database refuses",
        replace(WELL, database_error="locked"),
        "database",
        "degraded",
        "refuses: locked",
    ),
    ("the breaker is open", replace(WELL, breaker="open"), "database", "degraded", "breaker is open"),
    ("the buffer fills", replace(WELL, buffer_rows=800), "buffer", "degraded", "80% of it is taken"),
    ("the buffer is full", replace(WELL, buffer_rows=1000), "buffer", "unhealthy", "full"),
    ("rows wait in the spool", replace(WELL, spooled_rows=7, **SPOOL), "spool", "degraded", "7 rows wait"),
    (
        "the spool is nearly full",
        replace(WELL, spooled_rows=7, spilling=True, spool_bytes=80, spool_max_bytes=100),
        "spool",
        "degraded",
        "80% of its room is taken",
    ),
    ("an unexplained event", replace(WELL, difference=1), "identity", "degraded", "1 events are not"),
    ("a lost event", replace(WELL, dropped=2), "identity", "degraded", "2 events found no room"),
    (
        "a chore fails",
        replace(WELL, chores={"archive": "no"}),
        "housekeeping",
        "degraded",
        "archive fails: no",
    ),
    ("a follower refuses", replace(WELL, followers={"x": "no"}), "followers", "degraded", "x refuses: no"),
    ("reports fail", replace(WELL, reports={"x": "no"}), "reports", "degraded", "x does not arrive: no"),
    ("little room", machine(disk_free_bytes=999_999_999), "disk", "degraded", "999,999,999 bytes are free"),
    ("enough room", machine(disk_free_bytes=1_000_000_000), "disk", "healthy", ""),
    ("much memory", machine(memory_bytes=2_147_483_649), "memory", "degraded", "more than 2,147,483,648"),
    ("a busy processor", machine(cpu_cores=0.91), "cpu", "degraded", "0.91 cores"),
    ("a machine that does not tell", replace(WELL, machine=MachineFacts()), "cpu", "healthy", ""),
]


@pytest.mark.parametrize(
    ("facts", "name", "state", "reason"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_a_part_is_judged(facts: Facts, name: str, state: str, reason: str) -> None:
    found = part(facts, name)
    assert found.state == state
    assert reason in found.reason
    assert bool(found.reason) == (state != "healthy")


def test_a_collector_that_is_well_is_healthy_in_every_part() -> None:
    health = judge(WELL, LIMITS)
    assert (health.state, health.reasons) == (Verdict.HEALTHY, ())


def test_the_whole_is_as_bad_as_its_worst_part() -> None:
    a, b, c = (Part(state.value, state, "why") for state in Verdict)
    assert [Health(parts).state for parts in ((a,), (a, b), (c, b, a), ())] == [
        "healthy",
        "degraded",
        "unhealthy",
        "healthy",
    ]
    assert Health((b, c)).reasons == ("degraded: why", "unhealthy: why")


def test_many_reasons_are_named_in_part_and_counted() -> None:
    refused = replace(streams("verified"), refused=tuple(f"no {number}" for number in range(9)))
    reason = part(refused, "streams").reason
    assert reason.count("refused: ") == 5
    assert reason.endswith("and 4 more")


def test_many_streams_of_an_exchange_that_are_alike_are_named_together() -> None:
    reason = part(streams("verified", *["down"] * 9, "syncing"), "streams").reason
    together, alone = reason.split("; ")
    assert together.startswith("9 streams of bybit are down")
    assert together.endswith(" first")
    assert alone.endswith(" is syncing since disconnect")


def test_thresholds_alarm_and_states_do_not() -> None:
    """What has an event of its own raises no second alarm."""
    assert {one.name for one in judge(WELL, LIMITS).parts if one.alarms} == {
        *("lag", "clock", "disk", "memory", "cpu")
    }


@pytest.mark.parametrize(
    ("silent_s", "ended", "wedged"), [(30.0, False, False), (30.1, False, True), (0, True, True)]
)
def test_only_a_loop_that_does_not_turn_is_wedged(silent_s: float, ended: bool, wedged: bool) -> None:
    assert is_wedged(silent_s, LIMITS, ended=ended) is wedged


def test_a_spool_in_use_that_holds_nothing_yet_says_what_goes_on() -> None:
    found = part(replace(WELL, spilling=True, spooled_rows=0), "spool")
    assert (found.state, found.reason) == (
        Verdict.DEGRADED,
        "what comes goes to it, until the database takes it again",
    )
