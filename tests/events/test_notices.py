"""What an exchange says of itself, and what all events have."""

from datetime import UTC, datetime

import pytest

from collector.events.notices import BookVerified, PotentialHalt, State, SystemState


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("online", State.ONLINE),
        ("post_only", State.POST_ONLY),
        ("on fire", State.OTHER),
        ("", State.OTHER),
        ("ONLINE", State.OTHER),
        ("error", State.OTHER),  # ours, of a connection
        ("connected", State.OTHER),
    ],
)
def test_a_word_that_is_not_known_is_another_state(word: str, state: State) -> None:
    assert State.said(word) is state


def test_states_and_alarms_have_ids_that_grow_and_a_time_and_are_equal_by_what_they_say() -> None:
    at_ns = 1_767_323_045_678_901_234
    first = SystemState("bybit", "bybit.0", State.CONNECTED, at_ns)
    alarm = PotentialHalt("bybit", "code", "why", at_ns)
    second = SystemState("bybit", "bybit.0", State.CONNECTED, at_ns)
    verified = BookVerified("bybit", "BTC/USDT", "book.50", at_ns, at_ns, "gap")
    assert first.id < alarm.id < second.id < verified.id
    assert first == second
    assert {one.at for one in (first, alarm, verified)} == {datetime(2026, 1, 2, 3, 4, 5, 678_901, UTC)}
