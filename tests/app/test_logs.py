"""Each change of state is one line of the log, as loud as it matters."""

from structlog.testing import capture_logs

from collector.app.logs import log_events
from collector.events.bus import EventBus
from collector.events.notices import RequestRefused


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
