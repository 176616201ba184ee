"""Sections are classes of the parts that use them; the settings check what they hold, however it is given."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from collector.live.limits import Pace
from collector.retry import Backoff
from collector.settings import DatabaseSettings, Settings
from collector.sinks.options import SinkOptions
from collector.writer.limits import WriterLimits


def test_a_section_may_be_given_as_a_mapping_or_as_the_part_s_own_object() -> None:
    of_mapping = Settings.model_validate({"stream": {"heartbeat_s": 5}})
    assert of_mapping == Settings.model_validate({"stream": Pace(heartbeat_s=5.0)})
    assert isinstance(of_mapping.stream, Pace)
    assert (of_mapping.stream.heartbeat_s, of_mapping.stream.stale_after_s) == (5.0, 10.0)


@pytest.mark.parametrize(
    ("section", "location"),
    [
        ({"heartbeat_s": 0}, ("stream", "heartbeat_s")),
        ({"heartbeat_s": "5"}, ("stream", "heartbeat_s")),  # strict: text is no number
        ({"heartbeat_s": float("nan")}, ("stream", "heartbeat_s")),
        ({"max_reconnect_attempts": True}, ("stream", "max_reconnect_attempts")),
        (Pace(heartbeat_s=-1.0), ("stream", "heartbeat_s")),
        ({"heartbeat": 5}, ("stream",)),
        (WriterLimits(), ("stream",)),
        (5, ("stream",)),
    ],
)
def test_what_a_section_cannot_hold_is_refused(section: Any, location: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"stream": section})
    assert [error["loc"] for error in caught.value.errors()] == [location]


def test_the_database_is_the_options_of_every_sink_and_an_address_that_shows_no_password() -> None:
    database = replace(Settings().database, url="postgresql://me:hidden@host/d", call_timeout_s=2.0)
    assert isinstance(database, SinkOptions)
    assert database == DatabaseSettings(url="postgresql://me:hidden@host/d", call_timeout_s=2.0)
    assert "hidden" not in repr(database) + str(Settings(database=database).masked())


def test_base_and_most_of_a_wait_make_its_backoff() -> None:
    settings = Settings()
    assert settings.stream.backoff == Backoff(0.2, 60.0)
    assert (settings.writer.retry, settings.breaker.wait) == (Backoff(0.1, 30.0), Backoff(0.5, 30.0))
