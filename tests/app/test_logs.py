"""Each change of state is one line of the log, as loud as it matters."""

import io
import json
from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from collector.app.logs import log_events
from collector.events.bus import EventBus
from collector.events.notices import DatabaseState, RequestRefused, RequestsPaused, RequestsWait
from collector.log.options import LogOptions
from collector.log.output import set_up_logging
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


def test_a_pause_of_requests_is_a_line_with_its_end_and_a_long_wait_one_with_its_reason() -> None:
    events = EventBus()
    log_events(events)
    with capture_logs() as lines:
        events.publish(RequestsPaused("binance", 10**9, 121 * 10**9, "http_418"))
        events.publish(RequestsWait("binance", 1, "backfill", 12.34, 3))
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
            "log_level": "info",
            "exchange": "binance",
            "need": "backfill",
            "waited_s": 12.3,
            "others": 3,
        },
    ]


def test_each_change_of_the_breaker_is_one_line_without_the_password() -> None:
    out, events, now_s = io.StringIO(), EventBus(), [100.0]
    set_up_logging(LogOptions(), out, secrets=["hunter2222"])
    log_events(events)
    breaker = Breaker(
        2,
        Backoff(0.0, 0.0),
        Backoff(0.0, 0.0),
        now_s=lambda: now_s[0],
        on_change=lambda state, cause: events.publish(DatabaseState(state.value, 1, cause)),
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
    assert [(line["level"], line["state"], line.get("cause")) for line in lines] == [
        ("warning", "open", cause),
        ("info", "half_open", cause),
        ("warning", "open", cause),
        ("info", "half_open", cause),
        ("info", "closed", None),
    ]
