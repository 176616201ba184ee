"""Each change of state is one line of the log, as loud as it matters."""

import io
import json
from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from collector.app.breaker_log import BreakerLog
from collector.app.logs import log_dead_thread, log_events
from collector.app.request_log import RequestLog
from collector.events.bus import EventBus
from collector.events.notices import DatabaseState, RequestRefused, RequestsPaused, RequestsWait
from collector.log.options import LogOptions
from collector.log.output import set_up_logging
from collector.network.budget import BudgetNow
from collector.retry import Backoff
from collector.writer.breaker import Breaker


@pytest.fixture(autouse=True)
def unchanged_log() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_a_refusal_for_now_is_a_line_and_one_to_unsubscribe_is_for_those_who_look_closely() -> None:
    events = EventBus()
    log_events(events)
    with capture_logs() as lines:
        events.publish(
            RequestRefused("kraken", "kraken.spot.0", 1, ("book.10:A/B", "trade:A/B"), "No", 1.2345)
        )
        events.publish(RequestRefused("kraken", "kraken.spot.0", 1, ("book.10:A/B",), "No", None))
    shown = {"connection": "kraken.spot.0", "words": "No"}
    assert lines == [
        {
            "event": "subscription.put_off",
            "log_level": "info",
            "topics": "book.10:A/B, trade:A/B",
            "again_in_s": 1.234,
            **shown,
        },
        {"event": "unsubscribe.refused", "log_level": "debug", "topics": "book.10:A/B", **shown},
    ]


class Asked:
    """What is asked of Binance over REST, on made-up time."""

    def __init__(self) -> None:
        self.now_s, self.waits, self.waited_s, self.waiting, self.closed_for_s = 0.0, 7, 70.0, 0, 0.0
        self.events = EventBus()
        self.log = RequestLog(self.budgets, monotonic_s=lambda: self.now_s)
        self.log.listen(self.events)

    def budgets(self) -> dict[str, tuple[BudgetNow, ...]]:
        return {"binance": (BudgetNow(0.5, self.closed_for_s, "x", self.waiting, self.waits, self.waited_s),)}

    def look_until(self, end_s: float) -> None:
        while self.now_s < end_s:
            self.now_s += 0.5
            self.log.look()

    def wait(self, waited_s: float) -> None:
        self.waits, self.waited_s = self.waits + 1, self.waited_s + waited_s
        self.events.publish(RequestsWait("binance", 1, "backfill", waited_s, 3))

    def pause(self, for_s: float) -> None:
        now_ns = round(self.now_s * 1e9)
        self.events.publish(RequestsPaused("binance", now_ns, now_ns + round(for_s * 1e9), "http_429"))


def test_waits_and_pauses_of_one_spell_are_told_once_and_their_sum_at_its_end() -> None:
    asked = Asked()
    with capture_logs() as lines:
        for number in range(10):
            asked.wait(12.0)
            asked.pause(20.0)
            asked.look_until(30.0 * (number + 1))
        asked.look_until(400.0)
        asked.wait(11.0)  # another spell
        asked.log.finish()
    told = [line for line in lines if line["log_level"] != "debug"]
    assert [(line["event"], line["log_level"]) for line in told] == [
        ("requests.wait", "warning"),
        ("requests.paused", "warning"),
        ("requests.flow_again", "info"),
        ("requests.wait", "warning"),
        ("requests.flow_again", "info"),
    ]
    over = told[2]
    assert (over["exchange"], over["waits"], over["waited_s"]) == ("binance", 10, 120.0)
    assert (over["pauses"], over["paused_s"], over["lasted_s"]) == (10, 200.0, 290.0)


def test_a_spell_is_not_over_while_somebody_waits_and_one_that_lasts_is_told_again() -> None:
    asked = Asked()
    asked.waiting = 1
    with capture_logs() as lines:
        asked.wait(12.0)
        asked.look_until(9_000.0)
        asked.waiting = 0
        asked.look_until(9_040.0)
        assert "requests.flow_again" not in {line["event"] for line in lines}
        asked.look_until(9_061.0)
    assert [(line["event"], line.get("lasted_s")) for line in lines] == [
        ("requests.wait", None),
        *(("requests.still_held", lasted_s) for lasted_s in (300.0, 900.0, 3600.0, 7200.0)),
        ("requests.flow_again", 9000.0),
    ]


def test_a_pause_of_requests_is_a_line_with_its_end_and_a_long_wait_one_with_its_reason() -> None:
    with capture_logs() as lines:
        Asked().events.publish(RequestsPaused("binance", 10**9, 121 * 10**9, "http_418"))
        Asked().events.publish(RequestsWait("binance", 1, "backfill", 12.34, 3))
    assert lines == [
        {
            "event": "requests.paused",
            "log_level": "warning",
            "exchange": "binance",
            "cause": "http_418",
            "for_s": 120.0,
            "until": "1970-01-01T00:02:01+00:00",
        },
        {
            "event": "requests.wait",
            "log_level": "warning",
            "exchange": "binance",
            "need": "backfill",
            "waited_s": 12.3,
            "others": 3,
        },
    ]


def test_an_outage_is_told_from_the_first_refusal_to_the_end_without_the_password() -> None:
    out, events, now_s = io.StringIO(), EventBus(), [100.0]
    set_up_logging(LogOptions(level="debug"), out, secrets=["hunter2222"])
    BreakerLog(monotonic_s=lambda: now_s[0]).listen(events)
    breaker = Breaker(
        2,
        Backoff(0.0, 0.0),
        Backoff(0.0, 0.0),
        now_s=lambda: now_s[0],
        on_change=lambda state, cause: events.publish(DatabaseState(state.value, 1, cause, 1500)),
    )
    for _ in range(3):  # closed, opened, tried and opened again
        assert breaker.ready()
        breaker.failed("postgresql://me:hunter2222@host is away")
        now_s[0] += 60.0
    assert breaker.ready()
    breaker.succeeded()
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert {line["event"] for line in lines} == {"database.breaker"}
    cause = "postgresql://me:****@host is away"
    assert [(one["level"], one["state"], one.get("cause"), one.get("after_s")) for one in lines] == [
        ("warning", "open", cause, None),
        ("info", "half_open", cause, 60.0),
        ("debug", "open", cause, 60.0),
        ("debug", "half_open", cause, 120.0),
        ("info", "closed", None, 120.0),
    ]
    assert {line["rows_waiting"] for line in lines} == {1500}
    assert lines[-1]["tries"] == 2


def test_what_ended_a_thread_is_logged_with_its_traceback() -> None:
    out = io.StringIO()
    set_up_logging(LogOptions(), out)
    try:
        int("no number")
    except ValueError as error:
        log_dead_thread("websocket", error)
    line = json.loads(out.getvalue())
    assert (line["event"], line["level"], line["thread"]) == ("thread.died", "error", "websocket")
    assert "Traceback" in line["exception"]
    assert "test_logs.py" in line["exception"]


def test_a_follower_that_is_away_is_told_as_a_database_is() -> None:
    now_s = [0.0]
    told = BreakerLog("follower.breaker", sink="second.db", monotonic_s=lambda: now_s[0])
    with capture_logs() as lines:
        for at_s, state in (
            (0.0, "open"),
            (5.0, "half_open"),
            (5.0, "open"),
            (9.0, "half_open"),
            (9.0, "closed"),
        ):
            now_s[0] = at_s
            told.changed(state, "" if state == "closed" else "away", 12)
    shown = [line for line in lines if line["log_level"] != "debug"]
    assert [(line["state"], line["log_level"], line["sink"]) for line in shown] == [
        ("open", "warning", "second.db"),
        ("half_open", "info", "second.db"),
        ("closed", "info", "second.db"),
    ]
    assert (shown[-1]["after_s"], shown[-1]["tries"], shown[-1]["rows_waiting"]) == (9.0, 2, 12)
